// What a queue or exchange does in the end, by its arguments and its policies together. RabbitMQ's rules.
#pragma once

#include <optional>
#include <string>

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

}  // namespace lambda::topology
