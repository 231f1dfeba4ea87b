#include "reconcile/job_queue.h"

#include <algorithm>
#include <mutex>
#include <set>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "api/reasons.h"
#include "base/json.h"
#include "base/time.h"
#include "desired/desired.h"
#include "kube/object_request.h"
#include "kube/resource.h"
#include "reconcile/children.h"
#include "reconcile/observe.h"
#include "reconcile/removal.h"

namespace lambda::reconcile {
namespace {

using base::milliseconds;
using base::Result;
using judgement::Trouble;
using nlohmann::json;
using runtime::Action;

// How soon to look again where something is not as it should be.
constexpr milliseconds look_again_after_change{1'000};
constexpr milliseconds look_again_in_trouble{5'000};

std::string now_text() {
  return base::format_rfc3339(std::chrono::system_clock::now());
}

auto vhost_of(const api::JobQueue& queue) {
  const api::Rabbitmq& rabbitmq = queue.spec.rabbitmq;
  return std::tie(rabbitmq.cluster, rabbitmq.connection_secret, rabbitmq.namespace_name, rabbitmq.vhost);
}

// The first queue that both want; two JobQueues must not have one in common. Empty: none.
std::string find_common_queue(const api::JobQueue& a, const api::JobQueue& b) {
  if (vhost_of(a) != vhost_of(b)) return {};
  for (const std::string& name : {a.spec.queue.name, a.spec.dead_letter.queue}) {
    if (name == b.spec.queue.name || name == b.spec.dead_letter.queue) return name;
  }
  return {};
}

auto seniority(const api::JobQueue& queue) {
  return std::tuple(queue.meta.creation_timestamp, queue.meta.uid);
}

std::optional<Trouble> find_older_claim(const Watches& watches, const api::JobQueue& queue) {
  for (const SharedObject& object : watches.all(kube::resources::job_queue)) {
    const auto other = api::parse_job_queue(*object);
    if (!other || other->meta.key == queue.meta.key) continue;
    const std::string common = find_common_queue(*other, queue);
    if (!common.empty() && seniority(*other) < seniority(queue)) {
      return Trouble{api::reason::claimed,
                     "the queue " + common + " is that of JobQueue " + to_string(other->meta.key) +
                         ", which is older: delete one of the two, or give one another queue"};
    }
  }
  return std::nullopt;
}

std::optional<api::QueueStatus> status_of(const rabbitmq::SharedSnapshot& snapshot, const std::string& name) {
  if (!snapshot) return std::nullopt;
  const auto found = snapshot->queues.find(name);
  if (found == snapshot->queues.end()) return std::nullopt;
  const topology::QueueFigures& figures = found->second.figures;
  api::QueueStatus status;
  status.name = name;
  status.messages_ready = figures.messages_ready;
  status.messages_unacknowledged = figures.messages_unacknowledged;
  status.consumers = figures.consumers;
  status.publish_rate = figures.publish_rate;
  status.deliver_rate = figures.deliver_rate;
  return status;
}

api::JobQueueStatus make_status(const api::JobQueue& queue, const Look& look) {
  api::JobQueueStatus status;
  status.observed_generation = queue.meta.generation;
  status.conditions =
      api::merge_conditions(queue.status.conditions, judgement::judge(queue, look.observation), now_text());
  status.queue = status_of(look.snapshot, queue.spec.queue.name);
  status.dead_letter_queue = status_of(look.snapshot, queue.spec.dead_letter.queue);
  if (queue.spec.path == api::Path::trigger) {
    status.unrouted_queue = status_of(look.snapshot, desired::unrouted_queue_name(queue.spec));
    if (!look.seen.broker_uid.empty()) {
      status.trigger_queue =
          status_of(look.snapshot, desired::trigger_queue_name(queue.spec, look.seen.broker_uid));
    }
  }
  status.adopted = look.observation.adopted;
  status.broker_uid = look.seen.broker_uid;
  status.trigger_uid = look.seen.trigger_uid;
  status.rabbitmq_version = look.snapshot ? look.snapshot->broker_version : queue.status.rabbitmq_version;
  return status;
}

bool is_ready(const api::JobQueueStatus& status) {
  const auto found = std::ranges::find(status.conditions, api::condition::ready, &api::Condition::type);
  return found != status.conditions.end() && found->status == api::ConditionStatus::yes;
}

}  // namespace

class JobQueues::Impl {
 public:
  explicit Impl(Tools tools) : tools_(tools) {}

  Result<Action> reconcile(const api::ObjectKey& key, const std::stop_token& stop) {
    const SharedObject object = tools_.watches.find(kube::resources::job_queue, key);
    if (!object) return Action::await_change();
    const api::ReadJobQueue read = api::read_job_queue(*object);
    if (read.queue.meta.deleting()) return remove(read.queue, stop);
    if (!read.problems.empty()) return refuse(read, stop);
    if (!read.queue.meta.has_finalizer()) return set_finalizers(read.queue, true, stop);
    if (auto claimed = find_older_claim(tools_.watches, read.queue)) {
      Look look;
      look.observation.all = std::move(claimed);
      return tell(read.queue, look, stop);
    }
    const auto look = look_at(tools_, read.queue, stop);
    if (!look) return tl::unexpected(look.error());
    count(*look);
    return tell(read.queue, *look, stop);
  }

 private:
  // The schema refuses most of it; what gets here was written around it.
  Result<Action> refuse(const api::ReadJobQueue& read, const std::stop_token& stop) {
    Look look;
    std::string message;
    for (const base::Error& problem : read.problems) {
      message += (message.empty() ? "" : "; ") + base::describe(problem);
    }
    look.observation.all = Trouble{api::reason::invalid, std::move(message)};
    return tell(read.queue, look, stop);
  }

  Result<Action> set_finalizers(const api::JobQueue& queue, bool ours, const std::stop_token& stop) {
    std::vector<std::string> finalizers = queue.meta.finalizers;
    std::erase(finalizers, std::string(api::finalizer));
    if (ours) finalizers.emplace_back(api::finalizer);
    const auto patched = tools_.api.patch(kube::resources::job_queue, queue.meta.key.namespace_name,
                                          queue.meta.key.name, kube::PatchKind::merge,
                                          kube::finalizers_patch(finalizers, queue.meta.resource_version),
                                          {.field_manager = std::string(desired::manager)}, stop);
    if (!patched && patched.error().kind != base::ErrorKind::not_found)
      return tl::unexpected(patched.error());
    return Action::await_change();
  }

  Result<Action> remove(const api::JobQueue& queue, const std::stop_token& stop) {
    if (!queue.meta.has_finalizer()) return Action::await_change();
    // What belongs to the one that is older is not ours to take away.
    if (!find_older_claim(tools_.watches, queue)) {
      const auto left = remove_job_queue(tools_, queue, unfed_, stop);
      if (!left) return tl::unexpected(left.error());
      if (*left) {
        Look look;
        look.observation.all = **left;
        look.seen.broker_uid = queue.status.broker_uid;  // the next step still needs them
        look.seen.trigger_uid = queue.status.trigger_uid;
        if (auto told = tell(queue, look, stop); !told) return told;
        return Action::requeue(look_again_after_change);
      }
    }
    unfed_.forget(queue.meta.uid);
    tools_.log.info("JobQueue removed", {{"job_queue", to_string(queue.meta.key)}});
    return set_finalizers(queue, false, stop);
  }

  Result<Action> tell(const api::JobQueue& queue, const Look& look, const std::stop_token& stop) {
    const api::JobQueueStatus status = make_status(queue, look);
    publish_figures(status);
    if (!(status == queue.status)) {
      const auto written = write_status(queue, status, stop);
      if (!written) return tl::unexpected(written.error());
      tell_changes(queue, status);
    }
    if (look.changed) return Action::requeue(look_again_after_change);
    if (!is_ready(status)) {
      return Action::requeue(std::min(look_again_in_trouble, queue.spec.drift_interval));
    }
    return Action::requeue(queue.spec.drift_interval);
  }

  Result<void> write_status(const api::JobQueue& queue, const api::JobQueueStatus& status,
                            const std::stop_token& stop) {
    const json object{{"apiVersion", api::group_version},
                      {"kind", api::job_queue_kind},
                      {"metadata",
                       {{"name", queue.meta.key.name},
                        {"namespace", queue.meta.key.namespace_name},
                        {"uid", queue.meta.uid}}},
                      {"status", api::to_json(status)}};
    const auto written = tools_.api.apply(
        object, {.field_manager = std::string(desired::manager), .force = true, .status = true}, stop);
    if (!written && written.error().kind != base::ErrorKind::not_found)
      return tl::unexpected(written.error());
    return {};
  }

  // A person who asks `kubectl describe` sees what changed, when, and why.
  void tell_changes(const api::JobQueue& queue, const api::JobQueueStatus& status) {
    for (const api::Condition& condition : status.conditions) {
      const auto before = std::ranges::find(queue.status.conditions, condition.type, &api::Condition::type);
      const bool is_new = before == queue.status.conditions.end();
      if (!is_new && before->status == condition.status && before->reason == condition.reason) continue;
      if (condition.type == api::condition::ready || condition.reason == api::reason::not_needed) continue;
      const bool bad =
          condition.status == api::ConditionStatus::no || condition.reason == api::reason::repaired;
      if (condition.status == api::ConditionStatus::unknown) continue;
      tools_.events.record({.regarding = {.api_version = std::string(api::group_version),
                                          .kind = std::string(api::job_queue_kind),
                                          .key = queue.meta.key,
                                          .uid = queue.meta.uid},
                            .type = bad ? runtime::EventType::warning : runtime::EventType::normal,
                            .reason = condition.reason,
                            .action = "Reconcile",
                            .message = condition.type + ": " + condition.message});
    }
  }

  void count(const Look& look) {
    for (const judgement::Repaired& each : look.observation.repaired) {
      tools_.registry
          .counter("operator_drifts_repaired_total",
                   "Things in the broker, and objects for it, that were not as they should be.",
                   {{"kind", each.kind}})
          .Increment();
      tools_.log.warning("repaired", {{"drift", each.text}});
    }
  }

  void publish_figures(const api::JobQueueStatus& status) {
    for (const auto* queue :
         {&status.queue, &status.trigger_queue, &status.dead_letter_queue, &status.unrouted_queue}) {
      if (!*queue) continue;
      const metrics::Labels labels{{"queue", (*queue)->name}};
      const auto set = [&](const char* name, const char* help, const auto& value) {
        if (value) tools_.registry.gauge(name, help, labels).Set(static_cast<double>(*value));
      };
      set("rabbitmq_queue_messages_ready", "Messages that wait in the queue.", (*queue)->messages_ready);
      set("rabbitmq_queue_messages_unacknowledged", "Messages that were delivered and not acknowledged.",
          (*queue)->messages_unacknowledged);
      set("rabbitmq_queue_consumers", "Consumers of the queue.", (*queue)->consumers);
      set("rabbitmq_queue_publish_rate", "Messages a second that come in.", (*queue)->publish_rate);
      set("rabbitmq_queue_deliver_rate", "Messages a second that go out.", (*queue)->deliver_rate);
    }
  }

  const Tools tools_;
  Unfed unfed_;
};

JobQueues::JobQueues(Tools tools) : impl_(std::make_unique<Impl>(tools)) {}
JobQueues::~JobQueues() = default;

Result<Action> JobQueues::reconcile(const api::ObjectKey& key, const std::stop_token& stop) {
  return impl_->reconcile(key, stop);
}

}  // namespace lambda::reconcile
