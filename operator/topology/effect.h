// What a queue or exchange does in the end, by its arguments and its policies together. RabbitMQ's rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "topology/topology.h"

namespace lambda::topology {

/// By the policy's names of settings ("max-length"), without those that do nothing, as a default does.
using Effect = Arguments;

/// Of one that is declared so and to which the definition applies.
Effect effect_of(const Queue& queue, const Arguments& definition);
Effect effect_of(const Exchange& exchange, const Arguments& definition);

/// The settings that a policy can make, as arguments; `name` is the argument's. Nothing for others.
std::optional<std::string> setting_of_queue_argument(const std::string& name);
std::optional<std::string> setting_of_exchange_argument(const std::string& name);

/// Whether it makes no difference to what is delivered: where a queue lies and how it is stored.
bool is_about_storage(const std::string& queue_argument);

/// A user policy and an operator policy together.
Arguments merge(const Arguments& user_definition, const Arguments& operator_definition);

/// From RabbitMQ 4.0 on a quorum queue drops what was delivered 20 times, unless told otherwise.
bool has_default_delivery_limit(std::string_view broker_version);

/// After how many deliveries this queue gives a message up, by its arguments and whatever policies apply;
/// none if it never does, or is not there.
std::optional<std::int64_t> delivery_limit_of(const Snapshot& found, const std::string& queue);

}  // namespace lambda::topology
