#include "topology/effect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace lambda::topology {
namespace {

/// Which value counts where an argument and a policy name the same setting.
enum class Rule { smaller, argument, policy };

struct Setting {
  std::string_view name;
  Rule of_quorum;
  Rule of_classic;
};

constexpr std::string_view delivery_limit = "delivery-limit";
constexpr std::int64_t default_delivery_limit = 20;

// RabbitMQ 3.10 has no list of these in its documentation: tests/component/rabbitmq_test.cpp asks the broker.
constexpr std::array settings = {
    Setting{"message-ttl", Rule::smaller, Rule::smaller},
    Setting{"expires", Rule::policy, Rule::smaller},
    Setting{"max-length", Rule::smaller, Rule::smaller},
    Setting{"max-length-bytes", Rule::smaller, Rule::smaller},
    Setting{delivery_limit, Rule::smaller, Rule::smaller},
    Setting{"overflow", Rule::policy, Rule::argument},
    Setting{"dead-letter-exchange", Rule::argument, Rule::argument},
    Setting{"dead-letter-routing-key", Rule::argument, Rule::argument},
    Setting{"dead-letter-strategy", Rule::argument, Rule::argument},
};

constexpr std::array<std::string_view, 8> storage_arguments = {
    "x-queue-leader-locator", "x-queue-master-locator", "x-quorum-initial-group-size",
    "x-initial-cluster-size", "x-queue-mode",           "x-queue-version",
    "x-max-in-memory-length", "x-max-in-memory-bytes",
};

constexpr std::string_view alternate_exchange = "alternate-exchange";
constexpr std::string_view argument_prefix = "x-";

const nlohmann::json* find(const Arguments& arguments, const std::string& name) {
  const auto found = arguments.find(name);
  return found == arguments.end() ? nullptr : &found->second;
}

/// A negative limit is none (RabbitMQ 4's way to say so).
const nlohmann::json& smaller_limit(const nlohmann::json& a, const nlohmann::json& b) {
  if (a < 0 || b < 0) return std::max(a, b);
  return std::min(a, b);
}

const nlohmann::json* resolve(const nlohmann::json* argument, const nlohmann::json* policy, Rule rule) {
  if (argument == nullptr) return policy;
  if (policy == nullptr) return argument;
  if (rule == Rule::smaller) return &smaller_limit(*argument, *policy);
  return rule == Rule::policy ? policy : argument;
}

bool is_default(std::string_view setting, const nlohmann::json& value) {
  return (setting == "overflow" && value == "drop-head") ||
         (setting == "dead-letter-strategy" && value == "at-most-once");
}

/// Without an exchange to send them to, how dead letters are sent does nothing.
void forget_dead_lettering_to_nowhere(Effect& effect) {
  if (effect.contains("dead-letter-exchange")) return;
  effect.erase("dead-letter-routing-key");
  effect.erase("dead-letter-strategy");
}

// Empty where there is no such policy.
Arguments definition_of(const std::map<std::string, Policy>& policies, const std::string& name) {
  const auto found = policies.find(name);
  return found == policies.end() ? Arguments{} : found->second.definition;
}

}  // namespace

Effect effect_of(const Queue& queue, const Arguments& definition) {
  Effect effect;
  for (const Setting& setting : settings) {
    const std::string name(setting.name);
    const nlohmann::json* const value =
        resolve(find(queue.arguments, std::string(argument_prefix) + name), find(definition, name),
                queue.type == "classic" ? setting.of_classic : setting.of_quorum);
    if (value != nullptr && !is_default(name, *value)) effect[name] = *value;
  }
  forget_dead_lettering_to_nowhere(effect);
  return effect;
}

Effect effect_of(const Exchange& exchange, const Arguments& definition) {
  const std::string name(alternate_exchange);
  const nlohmann::json* const value =
      resolve(find(exchange.arguments, name), find(definition, name), Rule::argument);
  return value == nullptr ? Effect{} : Effect{{name, *value}};
}

std::optional<std::string> setting_of_queue_argument(const std::string& name) {
  if (!name.starts_with(argument_prefix)) return std::nullopt;
  std::string setting = name.substr(argument_prefix.size());
  const bool known = std::ranges::find(settings, setting, &Setting::name) != settings.end();
  return known ? std::optional(std::move(setting)) : std::nullopt;
}

std::optional<std::string> setting_of_exchange_argument(const std::string& name) {
  return name == alternate_exchange ? std::optional(name) : std::nullopt;
}

bool is_about_storage(const std::string& queue_argument) {
  return std::ranges::find(storage_arguments, queue_argument) != storage_arguments.end();
}

Arguments merge(const Arguments& user_definition, const Arguments& operator_definition) {
  Arguments merged = user_definition;
  for (const auto& [name, value] : operator_definition) {
    const auto [place, is_new] = merged.emplace(name, value);
    if (is_new) continue;
    place->second = value.is_number() ? smaller_limit(place->second, value) : value;
  }
  return merged;
}

bool has_default_delivery_limit(std::string_view broker_version) {
  int major = 0;
  std::from_chars(broker_version.data(), broker_version.data() + broker_version.size(), major);
  return major >= 4;
}

std::optional<std::int64_t> delivery_limit_of(const Snapshot& found, const std::string& queue) {
  const auto place = found.queues.find(queue);
  if (place == found.queues.end() || place->second.queue.type != "quorum") return std::nullopt;
  const ObservedQueue& observed = place->second;
  const Arguments definition =
      merge(definition_of(found.policies, observed.policy),
            definition_of(found.operator_policies, observed.operator_policy.value_or("")));
  const Effect effect = effect_of(observed.queue, definition);
  const nlohmann::json* const limit = find(effect, std::string(delivery_limit));
  if (limit == nullptr || !limit->is_number_integer()) {
    return has_default_delivery_limit(found.broker_version) ? std::optional(default_delivery_limit)
                                                            : std::nullopt;
  }
  return *limit < 0 ? std::nullopt : std::optional(limit->get<std::int64_t>());
}

}  // namespace lambda::topology
