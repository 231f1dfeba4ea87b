// What Knative's controllers for RabbitMQ (eventing-rabbitmq 0.48) call the things that they make in the
// broker, so that ours can be bound to them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lambda::desired::knative {

/// kmeta.ChildName: parent and suffix, or with a hash in it where they are longer than 63 characters
/// together. With a uid as the suffix that is any parent of more than 27.
std::string child_name(std::string_view parent, std::string_view suffix);

/// The headers exchange that a Broker's ingress publishes to.
std::string broker_exchange(std::string_view broker_namespace, std::string_view broker,
                            std::string_view broker_uid);

/// The queue of a Trigger.
std::string trigger_queue(std::string_view trigger_namespace, std::string_view trigger,
                          std::string_view broker_uid);

/// The headers exchange and the queue behind it that a Trigger with a dead-letter sink has. The dispatcher
/// publishes to the exchange what it gives up on.
std::string trigger_dead_letter_exchange(std::string_view trigger_namespace, std::string_view trigger,
                                         std::string_view trigger_uid);
std::string trigger_dead_letter_queue(std::string_view trigger_namespace, std::string_view trigger,
                                      std::string_view trigger_uid);

/// The policy that sets that exchange for the trigger's queue.
std::string trigger_policy(std::string_view trigger_namespace, std::string_view trigger,
                           std::string_view trigger_uid);
inline constexpr std::int64_t trigger_policy_priority = 1;

}  // namespace lambda::desired::knative
