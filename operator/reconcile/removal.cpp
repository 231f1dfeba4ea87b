#include "reconcile/removal.h"

#include <algorithm>
#include <array>
#include <set>

#include "api/reasons.h"
#include "base/json.h"
#include "desired/desired.h"
#include "judgement/child.h"
#include "kube/resource.h"
#include "rabbitmq/management.h"
#include "reconcile/children.h"
#include "reconcile/observe.h"

namespace lambda::reconcile {
namespace {

using base::ErrorKind;
using base::Result;
using judgement::key_of;
using judgement::shown;
using judgement::Trouble;
using nlohmann::json;

using MaybeTrouble = std::optional<Trouble>;

// RabbitMQ counts the messages of a queue every 5 s by default, twice that under load. Only what was counted
// after the source had gone says that a queue is empty and stays so.
constexpr std::chrono::seconds figures_max_age{11};

bool is_kind(const json& object, std::string_view kind) {
  return base::text_at(object, "/kind") == kind;
}

// What the last look saw of others' things.
desired::Seen seen_before(const api::JobQueue& queue) {
  desired::Seen out;
  out.broker_uid = queue.status.broker_uid;
  out.trigger_uid = queue.status.trigger_uid;
  return out;
}

// What others want as well must stay.
bool is_wanted_by_others(const Tools& tools, const api::JobQueue& queue, const json& object) {
  if (!desired::is_shared(object)) return false;
  for (const SharedObject& other : tools.watches.all(kube::resources::job_queue)) {
    const auto parsed = api::parse_job_queue(*other);
    if (!parsed || parsed->meta.key == queue.meta.key || parsed->meta.deleting()) continue;
    for (const json& wanted : desired::make(*parsed, {}).objects) {
      if (is_kind(wanted, base::text_at(object, "/kind")) && key_of(wanted) == key_of(object)) return true;
    }
  }
  return false;
}

// Exchanges, and policies on them, may be those of several JobQueues.
struct WantedByOthers {
  std::set<std::string> exchanges;
  std::set<std::string> policies;
};

WantedByOthers wanted_by_others(const Tools& tools, const api::JobQueue& queue) {
  WantedByOthers out;
  for (const SharedObject& object : tools.watches.all(kube::resources::job_queue)) {
    const auto other = api::parse_job_queue(*object);
    if (!other || other->meta.key == queue.meta.key || other->meta.deleting()) continue;
    if (other->spec.rabbitmq.vhost != queue.spec.rabbitmq.vhost) continue;
    const topology::Topology wanted = desired::make(*other, seen_before(*other)).topology;
    for (const topology::Exchange& exchange : wanted.exchanges) out.exchanges.insert(exchange.name);
    for (const topology::Policy& policy : wanted.policies) out.policies.insert(policy.name);
  }
  return out;
}

class Removing {
 public:
  Removing(const Tools& tools, const api::JobQueue& queue, Unfed& unfed, const std::stop_token& stop)
      : tools_(tools),
        queue_(queue),
        unfed_(unfed),
        stop_(stop),
        children_(tools.api, tools.watches),
        force_(queue.meta.annotations.contains(std::string(api::force_deletion_annotation)) &&
               queue.meta.annotations.find(api::force_deletion_annotation)->second == "true"),
        desired_(desired::make(queue, seen_before(queue))) {}

  Result<MaybeTrouble> run() {
    for (const auto step : {&Removing::remove_source, &Removing::remove_trigger, &Removing::remove_objects,
                            &Removing::remove_from_broker}) {
      auto trouble = (this->*step)();
      if (!trouble || *trouble) return trouble;
    }
    return MaybeTrouble();
  }

 private:
  Result<MaybeTrouble> remove_source() { return remove_kind("RabbitmqSource"); }

  Result<MaybeTrouble> remove_trigger() {
    if (find_children("Trigger").empty()) return MaybeTrouble();
    if (!force_ && queue_.spec.deletion_policy == api::DeletionPolicy::retain) {
      if (auto trouble = wait_for_backlog()) return trouble;
    }
    return remove_kind("Trigger");
  }

  // Knative drops the trigger's queue with the Trigger, whatever it holds.
  MaybeTrouble wait_for_backlog() {
    const std::string name = desired::trigger_queue_name(queue_.spec, queue_.status.broker_uid);
    const base::TimePoint trusted_from = unfed_.since(queue_.meta.uid) + figures_max_age;
    const auto access = tools_.connections.find(queue_.spec.rabbitmq, queue_.meta.key.namespace_name, stop_);
    if (!access) return blocked(access.error().message);
    const auto snapshot =
        tools_.snapshots.get(*access, queue_.spec.rabbitmq.vhost, base::Clock::now(), stop_);
    if (!snapshot) return blocked(broker_trouble(snapshot.error(), queue_.spec.rabbitmq.vhost).message);
    const auto found = (*snapshot)->queues.find(name);
    if (found == (*snapshot)->queues.end()) return std::nullopt;
    if (found->second.figures.messages() == 0) {
      if (base::Clock::now() >= trusted_from) return std::nullopt;
      return Trouble{api::reason::deleting,
                     "the trigger's queue " + name +
                         " is empty, as its figures of some "
                         "seconds ago say: they are asked for once more before it goes"};
    }
    return Trouble{api::reason::holds_messages,
                   "the trigger's queue " + name + " still holds " +
                       std::to_string(found->second.figures.messages()) +
                       " messages; the Trigger goes when they are delivered. To drop them: annotate with " +
                       std::string(api::force_deletion_annotation) + "=true"};
  }

  // Queues stay in the broker when their objects go: remove_from_broker decides about them.
  Result<MaybeTrouble> remove_objects() {
    MaybeTrouble left;
    for (const SharedObject& object : children_.left_over(queue_, {})) {
      auto trouble = remove_one(*object);
      if (!trouble) return trouble;
      if (*trouble) left = std::move(*trouble);
    }
    if (left) return left;
    return remove_shared();
  }

  Result<MaybeTrouble> remove_shared() {
    MaybeTrouble left;
    for (const json& wanted : desired_.objects) {
      if (!desired::is_shared(wanted) || is_wanted_by_others(tools_, queue_, wanted)) continue;
      const auto resource = kube::resource_of(wanted);
      const SharedObject object = resource ? tools_.watches.find(*resource, key_of(wanted)) : nullptr;
      if (!object) continue;
      auto trouble = remove_one(*object);
      if (!trouble) return trouble;
      if (*trouble) left = std::move(*trouble);
    }
    return left;
  }

  Result<MaybeTrouble> remove_kind(std::string_view kind) {
    MaybeTrouble left;
    for (const SharedObject& object : find_children(kind)) {
      auto trouble = remove_one(*object);
      if (!trouble) return trouble;
      if (*trouble) left = std::move(*trouble);
    }
    return left;
  }

  std::vector<SharedObject> find_children(std::string_view kind) const {
    std::vector<SharedObject> out = children_.left_over(queue_, {});
    std::erase_if(out, [&](const SharedObject& object) { return !is_kind(*object, kind); });
    return out;
  }

  Result<MaybeTrouble> remove_one(const json& object) {
    const auto removed = children_.remove(object, stop_);
    if (!removed) return tl::unexpected(removed.error());
    const bool is_going = !base::text_at(object, "/metadata/deletionTimestamp").empty();
    if (is_going && force_) {
      const auto released = children_.release(object, stop_);
      if (!released) return tl::unexpected(released.error());
    }
    return Trouble{api::reason::deleting,
                   is_going ? shown(object) + " waits for its own controller. To not wait: annotate with " +
                                  std::string(api::force_deletion_annotation) + "=true"
                            : shown(object) + " is being deleted"};
  }

  Result<MaybeTrouble> remove_from_broker() {
    const auto access = tools_.connections.find(queue_.spec.rabbitmq, queue_.meta.key.namespace_name, stop_);
    if (!access) return force_ ? MaybeTrouble() : blocked(access.error().message);
    const auto management = tools_.snapshots.management(*access);
    const auto done = clear(*management);
    if (done || force_ || done.error().kind == ErrorKind::not_found) return MaybeTrouble();
    return blocked(broker_trouble(done.error(), queue_.spec.rabbitmq.vhost).message);
  }

  Result<void> clear(rabbitmq::Management& management) {
    const WantedByOthers others = wanted_by_others(tools_, queue_);
    return drop_bindings(management)
        .and_then([&] { return drop_queues(management); })
        .and_then([&] { return drop_policies(management, others); })
        .and_then([&] { return drop_exchanges(management, others); });
  }

  // A queue that stays must get nothing new; its dead letters still need their way.
  Result<void> drop_bindings(rabbitmq::Management& management) {
    for (const topology::Binding& binding : desired_.topology.bindings) {
      if (binding.exchange == queue_.spec.dead_letter.exchange) continue;
      if (auto done = management.delete_binding(vhost(), binding); !done) return done;
    }
    return {};
  }

  Result<void> drop_queues(rabbitmq::Management& management) {
    for (const topology::Queue& each : desired_.topology.queues) {
      if (auto done = drop_queue(management, each.name); !done) return done;
    }
    return {};
  }

  Result<void> drop_policies(rabbitmq::Management& management, const WantedByOthers& others) {
    for (const topology::Policy& policy : desired_.topology.policies) {
      if (kept_.contains(policy_subject(policy)) || others.policies.contains(policy.name)) continue;
      if (auto done = management.delete_policy(vhost(), policy.name); !done) return done;
    }
    for (const topology::Policy& policy : desired_.topology.operator_policies) {
      if (auto done = management.delete_operator_policy(vhost(), policy.name); !done) return done;
    }
    return {};
  }

  Result<void> drop_exchanges(rabbitmq::Management& management, const WantedByOthers& others) {
    for (const topology::Exchange& exchange : desired_.topology.exchanges) {
      if (others.exchanges.contains(exchange.name)) continue;
      auto done = management.delete_exchange(vhost(), exchange.name, true);
      if (!done && done.error().kind != ErrorKind::conflict) return done;
    }
    return {};
  }

  const std::string& vhost() const { return queue_.spec.rabbitmq.vhost; }

  // A queue that stays keeps its policy: its bounds and its dead-lettering are part of what was promised.
  std::string policy_subject(const topology::Policy& policy) const {
    for (const topology::Queue& each : desired_.topology.queues) {
      if (policy.pattern == topology::pattern_of({each.name})) return each.name;
    }
    return {};
  }

  Result<void> drop_queue(rabbitmq::Management& management, const std::string& name) {
    const bool only_empty = !force_ && queue_.spec.deletion_policy == api::DeletionPolicy::retain;
    auto done = management.delete_queue(vhost(), name, only_empty || force_);
    if (!done && done.error().kind == ErrorKind::conflict) {
      kept_.insert(name);
      tools_.log.warning("a queue that holds messages stays", {{"queue", name}});
      return {};
    }
    return done;
  }

  Trouble blocked(const std::string& why) const {
    return {api::reason::deletion_blocked, why + ". To leave what is in the broker as it is: annotate with " +
                                               std::string(api::force_deletion_annotation) + "=true"};
  }

  const Tools& tools_;
  const api::JobQueue& queue_;
  Unfed& unfed_;
  const std::stop_token& stop_;
  const Children children_;
  const bool force_;
  const desired::Desired desired_;
  std::set<std::string> kept_;
};

}  // namespace

base::TimePoint Unfed::since(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  return since_.try_emplace(uid, base::Clock::now()).first->second;
}

void Unfed::forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  since_.erase(uid);
}

Result<MaybeTrouble> remove_job_queue(const Tools& tools, const api::JobQueue& queue, Unfed& unfed,
                                      const std::stop_token& stop) {
  return Removing(tools, queue, unfed, stop).run();
}

}  // namespace lambda::reconcile
