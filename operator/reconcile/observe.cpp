#include "reconcile/observe.h"

#include <algorithm>

#include "api/reasons.h"
#include "base/json.h"
#include "desired/knative_names.h"
#include "judgement/child.h"
#include "kube/resource.h"
#include "rabbitmq/repair.h"
#include "reconcile/children.h"

namespace lambda::reconcile {
namespace {

using base::ErrorKind;
using base::Result;
using judgement::key_of;
using judgement::Observation;
using judgement::Part;
using judgement::part_of;
using judgement::PartTrouble;
using judgement::shown;
using judgement::Trouble;
using nlohmann::json;
using topology::Drift;

constexpr const char* broker_class_annotation = "/metadata/annotations/eventing.knative.dev~1broker.class";
constexpr std::string_view rabbitmq_broker_class = "RabbitMQBroker";

// A Broker that somebody else made.
void judge_foreign_broker(const json& broker, Observation& observation) {
  const auto add = [&](std::vector<PartTrouble>& to, std::string_view reason, std::string message) {
    to.push_back({Part::trigger, {reason, std::move(message)}});
  };
  if (base::text_at(broker, broker_class_annotation) != rabbitmq_broker_class) {
    return add(observation.troubles, api::reason::broker_class_other,
               shown(broker) + " is of the class \"" + base::text_at(broker, broker_class_annotation) +
                   "\": name one of the class RabbitMQBroker");
  }
  const judgement::ReadinessSaid said = judgement::readiness_of(broker);
  if (said.readiness == judgement::Readiness::ready) return;
  if (said.readiness == judgement::Readiness::failed) {
    return add(observation.troubles, api::reason::object_not_ready, shown(broker) + ": " + said.message);
  }
  add(observation.waits, api::reason::waiting_for_broker, shown(broker) + ": " + said.message);
}

// Of the queues that Knative makes for its triggers.
std::optional<api::QueueType> queue_type_of(const Tools& tools, const json& broker,
                                            const std::stop_token& stop) {
  if (base::text_at(broker, "/spec/config/kind") != "RabbitmqBrokerConfig") return std::nullopt;
  const std::string& place = base::text_at(broker, "/spec/config/namespace");
  const api::ObjectKey key{place.empty() ? key_of(broker).namespace_name : place,
                           base::text_at(broker, "/spec/config/name")};
  const auto config = tools.lookups.get(kube::resources::rabbitmq_broker_config, key, stop);
  if (!config) return std::nullopt;
  return base::text_at(*config, "/spec/queueType") == "classic" ? api::QueueType::classic
                                                                : api::QueueType::quorum;
}

// Arguments that adopted queues were declared with: the objects of ours remember them, should the queue go.
void remember_arguments(const Watches& watches, const api::JobQueue& queue,
                        std::map<std::string, topology::Arguments>& arguments) {
  for (const SharedObject& object : watches.children_of(queue.meta.key)) {
    if (base::text_at(*object, "/kind") != "Queue") continue;
    topology::Arguments declared;
    const json arguments_of_object = object->value("/spec/arguments"_json_pointer, json::object());
    for (const auto& [name, value] : arguments_of_object.items()) {
      if (name != "x-queue-type") declared.emplace(name, value);
    }
    if (!declared.empty())
      arguments.insert_or_assign(base::text_at(*object, "/spec/name"), std::move(declared));
  }
}

bool is_bound_to_trigger(const api::JobQueueSpec& spec, const desired::Seen& seen,
                         const topology::Snapshot& snapshot) {
  if (seen.trigger_uid.empty()) return false;
  const std::string exchange = desired::knative::trigger_dead_letter_exchange(
      spec.trigger.broker_namespace, spec.trigger.name, seen.trigger_uid);
  return std::ranges::any_of(snapshot.bindings, [&](const topology::Binding& binding) {
    return binding.exchange == exchange && binding.queue == spec.dead_letter.queue;
  });
}

// One look, step by step; what each step finds is in the Look.
class Looking {
 public:
  Looking(const Tools& tools, const api::JobQueue& queue, const std::stop_token& stop)
      : tools_(tools), queue_(queue), stop_(stop) {}

  Result<Look> run() {
    look_.observation.findings = desired::lint(queue_);
    const auto access = tools_.connections.find(queue_.spec.rabbitmq, queue_.meta.key.namespace_name, stop_);
    if (!access) look_.observation.broker = access.error();
    look_.seen = see_knative(tools_, queue_, look_.observation, stop_);
    if (access) take_snapshot(*access, base::Clock::now() - queue_.spec.drift_interval);
    see_broker();
    desired_ = desired::make(queue_, look_.seen);
    const auto applied = apply_children();
    if (!applied) return tl::unexpected(applied.error());
    if (access && look_.snapshot) {
      if (look_.changed) take_snapshot(*access, base::Clock::now());
      if (look_.snapshot) repair(*access);
    }
    // What is made for the first time was never otherwise.
    look_.observation.is_new = look_.changed && !was_ready();
    if (!was_ready()) look_.observation.repaired.clear();
    return std::move(look_);
  }

 private:
  void take_snapshot(const rabbitmq::Access& access, base::TimePoint not_before) {
    auto snapshot = tools_.snapshots.get(access, queue_.spec.rabbitmq.vhost, not_before, stop_);
    if (snapshot) {
      look_.snapshot = std::move(*snapshot);
      return;
    }
    look_.snapshot = nullptr;
    broker_failed(snapshot.error());
  }

  void broker_failed(const base::Error& error) {
    look_.observation.broker = broker_trouble(error, queue_.spec.rabbitmq.vhost);
    if (error.kind == ErrorKind::unauthenticated) tools_.connections.forget(queue_.spec.rabbitmq);
  }

  // What the broker knows and the desired objects depend on.
  void see_broker() {
    if (!look_.snapshot) {
      remember_arguments(tools_.watches, queue_, look_.seen.queue_arguments);
      return;
    }
    look_.seen.broker_version = look_.snapshot->broker_version;
    look_.seen.dead_letters_bound = is_bound_to_trigger(queue_.spec, look_.seen, *look_.snapshot);
    const topology::Topology plain = desired::make(queue_, look_.seen).topology;
    for (auto& [thing, arguments] : topology::adopted(plain, *look_.snapshot)) {
      if (thing.first == topology::Kind::queue) look_.seen.queue_arguments.emplace(thing.second, arguments);
    }
    remember_arguments(tools_.watches, queue_, look_.seen.queue_arguments);
    look_.observation.adopted = topology::adopted_arguments(plain, *look_.snapshot);
  }

  Result<void> apply_children() {
    const Children children(tools_.api, tools_.watches);
    auto applied = children.apply(queue_, desired_.objects, stop_);
    if (!applied) return tl::unexpected(applied.error());
    look_.changed = applied->changed();
    look_.observation.repaired = std::move(applied->repaired);
    append(look_.observation.troubles, std::move(applied->troubles));
    objects_wait_ = !applied->waits.empty();
    append(look_.observation.waits, std::move(applied->waits));
    for (const SharedObject& object : children.left_over(queue_, desired_.objects)) {
      const auto removed = children.remove(*object, stop_);
      if (!removed) return removed;
      look_.changed = true;
    }
    return {};
  }

  static void append(std::vector<PartTrouble>& to, std::vector<PartTrouble> from) {
    std::ranges::move(from, std::back_inserter(to));
  }

  // Between our exchange and our queue only the spec decides: a routing key that it names no more goes.
  void remove_old_keys(const rabbitmq::Access& access) {
    for (const topology::Binding& found : look_.snapshot->bindings) {
      if (found.exchange != queue_.spec.routing.exchange || found.queue != queue_.spec.queue.name) continue;
      const auto is_it = [&](const topology::Binding& wanted) { return name_of(wanted) == name_of(found); };
      if (std::ranges::any_of(desired_.topology.bindings, is_it)) continue;
      const auto removed =
          tools_.snapshots.management(access)->delete_binding(queue_.spec.rabbitmq.vhost, found, stop_);
      if (!removed) return broker_failed(removed.error());
      tools_.log.info("a binding that is wanted no more is removed", {{"binding", name_of(found)}});
      look_.changed = true;
    }
  }

  // What an older look at the broker did not have may be there by now.
  std::vector<Drift> find_drifts(const rabbitmq::Access& access) {
    std::vector<Drift> drifts = topology::compare(desired_.topology, *look_.snapshot);
    if (drifts.empty()) return drifts;
    take_snapshot(access, base::Clock::now());
    if (!look_.snapshot) return {};
    return topology::compare(desired_.topology, *look_.snapshot);
  }

  // While the topology operator is about to make things, only what nobody else makes is ours to make.
  void repair(const rabbitmq::Access& access) {
    const bool others_are_at_it = look_.changed || objects_wait_;
    if (!others_are_at_it) remove_old_keys(access);
    const std::vector<Drift> drifts = find_drifts(access);
    if (drifts.empty()) return;
    const std::vector<Drift> ours =
        others_are_at_it ? topology::compare(desired_.own, *look_.snapshot) : drifts;
    for (const Drift& drift : drifts) {
      if (!topology::can_be_repaired(drift) || std::ranges::find(ours, drift) != ours.end()) continue;
      wait_for(drift);
    }
    if (ours.empty()) return;
    const topology::Topology& wanted = others_are_at_it ? desired_.own : desired_.topology;
    const auto management = tools_.snapshots.management(access);
    settle(rabbitmq::repair(*management, queue_.spec.rabbitmq.vhost, wanted, ours, stop_));
    take_snapshot(access, base::Clock::now());
  }

  void settle(const rabbitmq::Repair& repair) {
    for (const Drift& drift : repair.left) {
      const std::string_view reason =
          drift.what == Drift::What::other ? api::reason::different : api::reason::policy_shadowed;
      tell(drift, {reason, topology::describe(drift)});
    }
    for (const rabbitmq::Refusal& refusal : repair.refused) {
      tell(refusal.drift,
           {api::reason::rabbitmq_refused,
            topology::describe(refusal.drift) + ", and RabbitMQ refuses it: " + refusal.error.message});
    }
    look_.changed = look_.changed || !repair.repaired.empty();
    for (const Drift& drift : repair.repaired) {
      look_.observation.repaired.push_back({part_of(drift, desired_.topology, queue_.spec),
                                            std::string(topology::to_string(drift.kind)),
                                            topology::describe(drift)});
    }
    if (repair.stopped) broker_failed(*repair.stopped);
  }

  bool was_ready() const {
    const auto ready =
        std::ranges::find(queue_.status.conditions, api::condition::ready, &api::Condition::type);
    return ready != queue_.status.conditions.end() && ready->status == api::ConditionStatus::yes &&
           ready->observed_generation == queue_.meta.generation;
  }

  void tell(const Drift& drift, Trouble trouble) {
    look_.observation.troubles.push_back(
        {part_of(drift, desired_.topology, queue_.spec), std::move(trouble)});
  }

  void wait_for(const Drift& drift) {
    look_.observation.waits.push_back({part_of(drift, desired_.topology, queue_.spec),
                                       {api::reason::progressing, topology::describe(drift)}});
  }

  const Tools& tools_;
  const api::JobQueue& queue_;
  const std::stop_token& stop_;
  Look look_;
  desired::Desired desired_;
  bool objects_wait_ = false;
};

}  // namespace

judgement::Trouble broker_trouble(const base::Error& error, const std::string& vhost) {
  switch (error.kind) {
    case ErrorKind::unauthenticated:
    case ErrorKind::forbidden:
      return {api::reason::rabbitmq_unauthorized,
              "RabbitMQ refuses the credentials: check username, password and the user's tag "
              "(policymaker; administrator for operator policies) and rights; " +
                  error.message};
    case ErrorKind::not_found:
      return {api::reason::vhost_missing,
              "RabbitMQ has no vhost \"" + vhost + "\": create it, or name another one; " + error.message};
    default:
      return {api::reason::rabbitmq_unreachable,
              "RabbitMQ's management API can't be asked: " + error.message};
  }
}

desired::Seen see_knative(const Tools& tools, const api::JobQueue& queue, judgement::Observation& observation,
                          const std::stop_token& stop) {
  desired::Seen seen;
  const api::JobQueueSpec& spec = queue.spec;
  if (spec.path != api::Path::trigger) return seen;
  const std::string& place = spec.trigger.broker_namespace;
  if (const auto trigger = tools.watches.find(kube::resources::trigger, {place, spec.trigger.name})) {
    seen.trigger_uid = base::text_at(*trigger, "/metadata/uid");
  }
  const api::ObjectKey key{place, spec.trigger.broker};
  if (const auto ours = tools.watches.find(kube::resources::broker, key)) {
    seen.broker_uid = base::text_at(*ours, "/metadata/uid");
    return seen;
  }
  const auto broker = tools.lookups.get(kube::resources::broker, key, stop);
  if (broker) {
    seen.broker_uid = base::text_at(*broker, "/metadata/uid");
    // Ours without its label: it is put right like everything else.
    if (spec.trigger.create_broker && judgement::is_made_by_us(*broker)) return seen;
    seen.broker_is_foreign = true;
    seen.broker_queue_type = queue_type_of(tools, *broker, stop);
    judge_foreign_broker(*broker, observation);
    return seen;
  }
  if (spec.trigger.create_broker && broker.error().kind == ErrorKind::not_found) return seen;
  // What was known of it stays true until it is seen to be gone.
  if (broker.error().kind != ErrorKind::not_found) seen.broker_uid = queue.status.broker_uid;
  observation.troubles.push_back({Part::trigger,
                                  {api::reason::broker_missing, "Knative Broker " + to_string(key) +
                                                                    " can't be read: create it, or set "
                                                                    "trigger.broker.create; " +
                                                                    broker.error().message}});
  return seen;
}

Result<Look> look_at(const Tools& tools, const api::JobQueue& queue, const std::stop_token& stop) {
  return Looking(tools, queue, stop).run();
}

}  // namespace lambda::reconcile
