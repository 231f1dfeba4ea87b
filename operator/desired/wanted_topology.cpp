#include "desired/wanted_topology.h"

#include <algorithm>

#include "desired/knative_names.h"
#include "topology/effect.h"

namespace lambda::desired {
namespace {

using api::JobQueueSpec;
using nlohmann::json;
using topology::Arguments;
using topology::Topology;

// Above the customary 0 and 1 (Knative's own), so that a policy for everything in the vhost does not win.
constexpr std::int64_t policy_priority = 10;
constexpr std::string_view name_prefix = "knative-lambda.";

topology::Policy policy_for(std::string_view name, std::string apply_to, Arguments definition) {
  return {std::string(name_prefix) + std::string(name), topology::pattern_of({std::string(name)}),
          std::move(apply_to), policy_priority, std::move(definition)};
}

void put_bounds(Arguments& definition, const std::optional<base::milliseconds>& message_ttl,
                const std::optional<std::int64_t>& max_length) {
  if (message_ttl) definition["message-ttl"] = message_ttl->count();
  if (max_length) definition["max-length"] = *max_length;
}

void put_delivery_limit(Arguments& definition, const std::optional<std::int64_t>& limit, const Seen& seen) {
  if (limit) {
    definition["delivery-limit"] = *limit;
  } else if (topology::has_default_delivery_limit(seen.broker_version.value_or(""))) {
    definition["delivery-limit"] = -1;
  }
}

Arguments queue_definition(const JobQueueSpec& spec, const Seen& seen) {
  Arguments definition = {{"overflow", to_string(spec.queue.overflow)},
                          {"dead-letter-exchange", spec.dead_letter.exchange},
                          {"dead-letter-routing-key", spec.dead_letter.routing_key}};
  put_bounds(definition, spec.queue.message_ttl, spec.queue.max_length);
  if (spec.queue.type == api::QueueType::quorum) {
    definition["dead-letter-strategy"] = to_string(spec.dead_letter.strategy);
    put_delivery_limit(definition, spec.queue.delivery_limit, seen);
  }
  return definition;
}

Arguments dead_letter_definition(const JobQueueSpec& spec, const Seen& seen) {
  Arguments definition = {{"overflow", to_string(api::Overflow::reject_publish)}};
  put_bounds(definition, spec.dead_letter.message_ttl, spec.dead_letter.max_length);
  put_delivery_limit(definition, spec.dead_letter.delivery_limit, seen);
  return definition;
}

// The newest stay: an event that nobody asked for must not block the broker's ingress.
Arguments unrouted_definition(const JobQueueSpec& spec, const Seen& seen) {
  Arguments definition = {{"overflow", to_string(api::Overflow::drop_head)}};
  put_bounds(definition, std::nullopt, spec.queue.max_length);
  put_delivery_limit(definition, std::nullopt, seen);
  return definition;
}

topology::Exchange exchange(std::string name, api::ExchangeType type) {
  return {std::move(name), std::string(to_string(type)), true, false, {}};
}

topology::Queue queue(std::string name, api::QueueType type) {
  return {std::move(name), std::string(to_string(type)), true, false, {}};
}

// Shared by the JobQueues of one Broker, as an exchange can have one alternate.
std::string unrouted_exchange(const api::TriggerSettings& trigger) {
  return "unrouted." + trigger.broker_namespace + "." + trigger.broker;
}

void add_dead_letters(Topology& topology, const JobQueueSpec& spec, const Seen& seen) {
  const auto& settings = spec.dead_letter;
  topology.exchanges.push_back(exchange(settings.exchange, settings.exchange_type));
  topology.queues.push_back(queue(settings.queue, api::QueueType::quorum));
  topology.policies.push_back(policy_for(settings.queue, "queues", dead_letter_definition(spec, seen)));
  topology.bindings.push_back({settings.exchange, settings.queue, settings.routing_key, {}});
}

void add_queue(Topology& topology, const JobQueueSpec& spec, const Seen& seen) {
  if (spec.routing.exchange != spec.dead_letter.exchange)
    topology.exchanges.push_back(exchange(spec.routing.exchange, spec.routing.exchange_type));
  topology.queues.push_back(queue(spec.queue.name, spec.queue.type));
  topology.policies.push_back(policy_for(spec.queue.name, "queues", queue_definition(spec, seen)));
  for (const std::string& key : spec.routing.keys)
    topology.bindings.push_back({spec.routing.exchange, spec.queue.name, key, {}});
}

void add_unrouted(Topology& topology, const JobQueueSpec& spec, const Seen& seen) {
  const std::string name = unrouted_queue_name(spec);
  topology.exchanges.push_back(exchange(unrouted_exchange(spec.trigger), api::ExchangeType::fanout));
  topology.queues.push_back(queue(name, api::QueueType::quorum));
  topology.policies.push_back(policy_for(name, "queues", unrouted_definition(spec, seen)));
  topology.bindings.push_back({unrouted_exchange(spec.trigger), name, "", {}});
}

// The bounds of the trigger's queue. It has Knative's policy, beside which none of ours would count; an
// operator policy is merged with it.
void add_trigger_bounds(Topology& topology, const JobQueueSpec& spec, const Seen& seen) {
  Arguments bounds;
  put_bounds(bounds, spec.queue.message_ttl, spec.queue.max_length);
  if (spec.queue.delivery_limit) bounds["delivery-limit"] = *spec.queue.delivery_limit;
  if (bounds.empty()) return;
  topology.operator_policies.push_back(
      policy_for(trigger_queue_name(spec, seen.broker_uid), "queues", std::move(bounds)));
}

// What Knative's controllers made once and never look at again: the Broker's exchange, the trigger's queue,
// its binding and its policy, as they make them.
void add_trigger_queue(Topology& topology, const JobQueueSpec& spec, const Seen& seen, api::QueueType type) {
  const auto& trigger = spec.trigger;
  const std::string source =
      knative::broker_exchange(trigger.broker_namespace, trigger.broker, seen.broker_uid);
  const std::string name = trigger_queue_name(spec, seen.broker_uid);
  Arguments match(trigger.filter.begin(), trigger.filter.end());
  match["x-knative-trigger"] = trigger.name;
  match["x-match"] = "all";
  topology.exchanges.push_back(exchange(source, api::ExchangeType::headers));
  topology.queues.push_back(queue(name, type));
  topology.bindings.push_back({source, name, "", std::move(match)});
  topology.policies.push_back(
      {knative::trigger_policy(trigger.broker_namespace, trigger.name, seen.trigger_uid),
       topology::pattern_of({name}),
       "queues",
       knative::trigger_policy_priority,
       {{"dead-letter-exchange",
         knative::trigger_dead_letter_exchange(trigger.broker_namespace, trigger.name, seen.trigger_uid)}}});
}

// What matches no trigger, the Broker's ingress answers with 202 and its exchange drops: unless that one has
// an alternate.
void add_alternate(Topology& topology, const JobQueueSpec& spec, const Seen& seen) {
  const std::string source =
      knative::broker_exchange(spec.trigger.broker_namespace, spec.trigger.broker, seen.broker_uid);
  topology.policies.push_back(
      policy_for(source, "exchanges", {{"alternate-exchange", unrouted_exchange(spec.trigger)}}));
}

// What the trigger gives up on, and what its queue expires or evicts, comes to the exchange that Knative
// makes for a trigger with a dead-letter sink. Ours is the second queue there; the first feeds the sink.
void add_trigger_dead_letters(Topology& topology, const JobQueueSpec& spec, const Seen& seen) {
  const auto& trigger = spec.trigger;
  const std::string name =
      knative::trigger_dead_letter_exchange(trigger.broker_namespace, trigger.name, seen.trigger_uid);
  topology.exchanges.push_back(exchange(name, api::ExchangeType::headers));
  topology.bindings.push_back({name, spec.dead_letter.queue, "", {{"x-match", "all"}}});

  Arguments bounds;
  if (trigger.dead_letter_sink) {
    put_bounds(bounds, spec.queue.message_ttl, spec.queue.max_length);
  } else if (seen.dead_letters_bound) {
    bounds["max-length"] = 0;  // nobody wants the copies
  }
  const std::string copies =
      knative::trigger_dead_letter_queue(trigger.broker_namespace, trigger.name, seen.trigger_uid);
  if (!bounds.empty()) topology.operator_policies.push_back(policy_for(copies, "queues", std::move(bounds)));
}

std::optional<api::QueueType> trigger_queue_type(const JobQueueSpec& spec, const Seen& seen) {
  if (spec.trigger.create_broker && !seen.broker_is_foreign) return api::QueueType::quorum;
  return seen.broker_queue_type;
}

}  // namespace

std::string trigger_queue_name(const JobQueueSpec& spec, std::string_view broker_uid) {
  return knative::trigger_queue(spec.trigger.broker_namespace, spec.trigger.name, broker_uid);
}

std::string unrouted_queue_name(const JobQueueSpec& spec) {
  return spec.queue.name + ".unrouted";
}

Topology chain_topology(const JobQueueSpec& spec, const Seen& seen) {
  Topology topology;
  add_dead_letters(topology, spec, seen);
  add_queue(topology, spec, seen);
  if (spec.path == api::Path::trigger) add_unrouted(topology, spec, seen);
  return topology;
}

Topology knative_topology(const JobQueueSpec& spec, const Seen& seen) {
  Topology topology;
  if (spec.path != api::Path::trigger) return topology;
  if (!seen.broker_uid.empty()) {
    add_alternate(topology, spec, seen);
    add_trigger_bounds(topology, spec, seen);
  }
  if (!seen.trigger_uid.empty()) add_trigger_dead_letters(topology, spec, seen);
  const std::optional<api::QueueType> type = trigger_queue_type(spec, seen);
  if (type && !seen.broker_uid.empty() && !seen.trigger_uid.empty())
    add_trigger_queue(topology, spec, seen, *type);
  return topology;
}

}  // namespace lambda::desired
