#include "reconcile/redrive.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <tuple>

#include "api/job_queue.h"
#include "api/reasons.h"
#include "api/redrive.h"
#include "base/time.h"
#include "desired/desired.h"
#include "kube/object_request.h"
#include "kube/resource.h"
#include "rabbitmq/access.h"
#include "redrive/redrive.h"
#include "topology/effect.h"

namespace lambda::reconcile {
namespace {

using base::ErrorKind;
using base::milliseconds;
using base::Result;
using nlohmann::json;
using runtime::Action;

constexpr milliseconds look_again{5'000};
constexpr milliseconds write_again{1'000};

// A dead-letter queue: broker, vhost, name.
using Place = std::tuple<std::string, std::string, std::string>;

std::string now_text() {
  return base::format_rfc3339(std::chrono::system_clock::now());
}

struct Target {
  std::string exchange;  // empty: `routing_key` names a queue
  std::string routing_key;
};

Target target_of(const api::RedriveTarget& target, const api::JobQueueSpec& queue) {
  if (!target.exchange.empty()) return {.exchange = target.exchange, .routing_key = target.routing_key};
  return {.exchange = {}, .routing_key = target.queue.empty() ? queue.queue.name : target.queue};
}

redrive::Filter filter_of(const api::RedriveFilter& filter) {
  return {.reason = filter.reason,
          .third_party_id = filter.third_party_id,
          .parser_id = filter.parser_id,
          .before = base::parse_rfc3339(filter.before),
          .after = base::parse_rfc3339(filter.after)};
}

std::optional<std::uint64_t> count_of(const std::optional<std::int64_t>& number) {
  return number ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

void set_counts(api::RedriveStatus& status, const redrive::Counts& counts,
                const std::optional<redrive::Checkpoint>& checkpoint) {
  const auto number = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
  status.scanned = number(counts.scanned);
  status.matched = number(counts.matched);
  status.moved = number(counts.moved);
  status.skipped = number(counts.skipped);
  status.remaining = number(counts.remaining);
  status.gone = number(counts.gone);
  status.per_reason.clear();
  for (const auto& [reason, count] : counts.matched_per_reason) status.per_reason[reason] = number(count);
  if (checkpoint) status.checkpoint = redrive::to_json(*checkpoint);
}

struct Verdict {
  api::RedrivePhase phase = api::RedrivePhase::failed;
  std::string_view reason;
  std::string message;
};

Verdict judge_failure(const base::Error& error) {
  const auto failed = [&](std::string_view reason) {
    return Verdict{api::RedrivePhase::failed, reason, error.message};
  };
  switch (error.kind) {
    case ErrorKind::not_found:
      return failed(error.field == "spec.target" ? api::redrive_reason::target_missing
                                                 : api::redrive_reason::dead_letter_queue_missing);
    case ErrorKind::unauthenticated:
    case ErrorKind::forbidden:
      return failed(api::redrive_reason::rabbitmq_unauthorized);
    case ErrorKind::conflict:
      return failed(api::redrive_reason::delivery_limit);
    case ErrorKind::invalid:
      return failed(api::redrive_reason::invalid);
    default:
      return failed(error.field == "spec.target" ? api::redrive_reason::target_refuses
                                                 : api::redrive_reason::rabbitmq_unreachable);
  }
}

Verdict judge(const redrive::Outcome& outcome, const redrive::Plan& plan) {
  if (outcome.ending == redrive::Ending::failed) return judge_failure(outcome.error);
  const auto completed = [](std::string_view reason, std::string message) {
    return Verdict{api::RedrivePhase::completed, reason, std::move(message)};
  };
  const std::string moved = std::to_string(outcome.counts.moved) + " of " +
                            std::to_string(outcome.counts.scanned) + " letters moved";
  if (plan.dry_run) {
    return completed(api::redrive_reason::dry_run,
                     std::to_string(outcome.counts.matched) + " letters match; nothing was moved");
  }
  if (outcome.ending == redrive::Ending::limited) return completed(api::redrive_reason::limit_reached, moved);
  if (outcome.counts.matched == 0) return completed(api::redrive_reason::nothing_matched, moved);
  return completed(api::redrive_reason::moved_all, moved);
}

std::vector<api::Condition> conditions_of(const api::DeadLetterRedrive& redrive, api::RedrivePhase phase,
                                          std::string_view reason, const std::string& message) {
  using Status = api::ConditionStatus;
  const bool ended = phase == api::RedrivePhase::completed || phase == api::RedrivePhase::failed;
  const auto make = [&](std::string_view type, Status status) {
    return api::Condition{.type = std::string(type),
                          .status = status,
                          .reason = std::string(reason),
                          .message = message,
                          .last_transition_time = {},
                          .observed_generation = redrive.meta.generation};
  };
  const auto yes_if = [](bool yes) { return yes ? Status::yes : Status::no; };
  return api::merge_conditions(
      redrive.status.conditions,
      {make(api::condition::complete, ended ? yes_if(phase == api::RedrivePhase::completed) : Status::no),
       make(api::condition::failed, yes_if(phase == api::RedrivePhase::failed))},
      now_text());
}

}  // namespace

class Redrives::Impl {
 public:
  Impl(Tools tools, std::string ca_file, base::WriteGuard may_write)
      : tools_(tools), ca_file_(std::move(ca_file)), may_write_(std::move(may_write)) {}

  Result<Action> reconcile(const api::ObjectKey& key, const std::stop_token& stop) {
    const SharedObject object = tools_.watches.find(kube::resources::dead_letter_redrive, key);
    if (!object) return Action::await_change();
    const api::ReadRedrive read = api::read_redrive(*object);
    const api::DeadLetterRedrive& redrive = read.redrive;
    if (redrive.meta.deleting()) return Action::await_change();
    if (has_ended(redrive)) return wait_for_its_end(redrive, stop);
    if (!read.problems.empty()) {
      return end(redrive, redrive.status,
                 {api::RedrivePhase::failed, api::redrive_reason::invalid, describe(read.problems.front())},
                 stop);
    }
    const SharedObject queue_object = tools_.watches.find(
        kube::resources::job_queue, {.namespace_name = key.namespace_name, .name = redrive.spec.queue});
    if (!queue_object) {
      return wait(redrive, api::redrive_reason::queue_missing,
                  "there is no JobQueue " + redrive.spec.queue + " in this namespace", stop);
    }
    const auto queue = api::parse_job_queue(*queue_object);
    if (!queue) return wait(redrive, api::redrive_reason::queue_missing, describe(queue.error()), stop);
    if (queue->meta.deleting()) {
      return wait(redrive, api::redrive_reason::queue_deleting, "the JobQueue is being deleted", stop);
    }
    return prepare(redrive, *queue, stop);
  }

 private:
  static bool has_ended(const api::DeadLetterRedrive& redrive) {
    return redrive.status.phase == api::RedrivePhase::completed ||
           redrive.status.phase == api::RedrivePhase::failed;
  }

  // Deletes it when its time is up.
  Result<Action> wait_for_its_end(const api::DeadLetterRedrive& redrive, const std::stop_token& stop) {
    if (!redrive.spec.ttl_seconds_after_finished) return Action::await_change();
    const auto finished = base::parse_rfc3339(redrive.status.finished_at);
    if (!finished) return Action::await_change();
    const auto ends = *finished + std::chrono::seconds(*redrive.spec.ttl_seconds_after_finished);
    const auto left = std::chrono::ceil<milliseconds>(ends - std::chrono::system_clock::now());
    if (left.count() > 0) return Action::requeue(std::min(left, milliseconds(std::chrono::hours(1))));
    const auto removed =
        tools_.api.remove(kube::resources::dead_letter_redrive, redrive.meta.key.namespace_name,
                          redrive.meta.key.name, {.uid = redrive.meta.uid, .resource_version = {}}, stop);
    if (!removed && removed.error().kind != ErrorKind::not_found) return tl::unexpected(removed.error());
    return Action::await_change();
  }

  Result<Action> prepare(const api::DeadLetterRedrive& redrive, const api::JobQueue& queue,
                         const std::stop_token& stop) {
    const auto access = tools_.connections.find(queue.spec.rabbitmq, queue.meta.key.namespace_name, stop);
    if (!access) return wait(redrive, api::redrive_reason::secret_missing, access.error().message, stop);
    const auto uri = rabbitmq::amqp_uri(*access, queue.spec.rabbitmq.vhost);
    if (!uri) return wait(redrive, api::redrive_reason::secret_missing, describe(uri.error()), stop);
    const Target target = target_of(redrive.spec.target, queue.spec);
    if (target.exchange.empty() && target.routing_key == queue.spec.dead_letter.queue) {
      return end(redrive, redrive.status,
                 {api::RedrivePhase::failed, api::redrive_reason::target_is_source,
                  "the target is the dead-letter queue itself: name another one"},
                 stop);
    }
    const Place place{access->management_url, queue.spec.rabbitmq.vhost, queue.spec.dead_letter.queue};
    if (!begin(place)) {
      return wait(redrive, api::redrive_reason::other_redrive_runs,
                  "another redrive of " + queue.spec.dead_letter.queue + " runs; this one is next", stop);
    }
    const Finisher finisher{*this, place};
    redrive::Plan plan = make_plan(redrive, queue, *uri, target);
    plan.delivery_limit = find_delivery_limit(*access, queue, stop);
    return run(redrive, plan, stop);
  }

  bool begin(const Place& place) {
    const std::lock_guard lock(mutex_);
    return running_.insert(place).second;
  }
  void finish(const Place& place) {
    const std::lock_guard lock(mutex_);
    running_.erase(place);
  }

  // Whatever a run ends with, an exception too: the next one must not wait for ever.
  struct Finisher {
    Impl& of;
    const Place& place;

    ~Finisher() { of.finish(place); }
  };

  // What the queue has, by whatever set it; what the spec says where the management API does not tell.
  std::optional<std::uint64_t> find_delivery_limit(const rabbitmq::Access& access, const api::JobQueue& queue,
                                                   const std::stop_token& stop) {
    const auto snapshot = tools_.snapshots.get(access, queue.spec.rabbitmq.vhost, base::Clock::now(), stop);
    return count_of(snapshot ? topology::delivery_limit_of(**snapshot, queue.spec.dead_letter.queue)
                             : queue.spec.dead_letter.delivery_limit);
  }

  redrive::Plan make_plan(const api::DeadLetterRedrive& redrive, const api::JobQueue& queue,
                          const amqp::Uri& uri, const Target& target) const {
    redrive::Plan plan;
    plan.connection.uri = amqp::fixed_uri(uri);
    plan.connection.ca_file = ca_file_;
    plan.connection.name = "knative-lambda-operator, redrive " + to_string(redrive.meta.key);
    plan.queue = queue.spec.dead_letter.queue;
    plan.exchange = target.exchange;
    plan.routing_key = target.routing_key;
    plan.filter = filter_of(redrive.spec.filter);
    plan.limit = count_of(redrive.spec.limit);
    plan.rate = count_of(redrive.spec.rate);
    plan.dry_run = redrive.spec.dry_run;
    plan.may_write = may_write_;
    if (!redrive.status.checkpoint.is_null()) {
      if (auto checkpoint = redrive::parse_checkpoint(redrive.status.checkpoint)) {
        plan.checkpoint = std::move(*checkpoint);
      }
    }
    return plan;
  }

  Result<Action> run(const api::DeadLetterRedrive& redrive, const redrive::Plan& plan,
                     const std::stop_token& stop) {
    api::RedriveStatus status = redrive.status;
    status.phase = api::RedrivePhase::running;
    if (status.started_at.empty()) status.started_at = now_text();
    const auto on_progress = [&](const redrive::Progress& progress) {
      set_counts(status, progress.counts, progress.checkpoint);
      const std::string message = progress.trouble.empty() ? "moves letters" : progress.trouble;
      status.conditions = conditions_of(redrive, status.phase, api::redrive_reason::running, message);
      const auto written = write(redrive, status, stop);
      if (!written) log_unwritten(redrive, written.error());
      // Without rights or without the object there is nobody to do it for.
      const bool gone =
          !written && (written.error().kind == ErrorKind::forbidden ||
                       written.error().kind == ErrorKind::not_found || written.error().http_status == 409);
      return !gone && is_wanted(redrive);
    };
    const redrive::Outcome outcome = redrive::run(plan, on_progress, stop, tools_.log);
    if (outcome.ending == redrive::Ending::stopped) return Action::await_change();
    set_counts(status, outcome.counts, outcome.checkpoint);
    return end(redrive, std::move(status), judge(outcome, plan), stop);
  }

  bool is_wanted(const api::DeadLetterRedrive& redrive) const {
    const SharedObject object = tools_.watches.find(kube::resources::dead_letter_redrive, redrive.meta.key);
    const auto now = object ? api::parse_object_meta(*object) : Result<api::ObjectMeta>(redrive.meta);
    return object && now && now->uid == redrive.meta.uid && !now->deleting();
  }

  // Told until it is written: a redrive whose end nobody noted down would be run again.
  Result<Action> end(const api::DeadLetterRedrive& redrive, api::RedriveStatus status, const Verdict& verdict,
                     const std::stop_token& stop) {
    status.phase = verdict.phase;
    status.finished_at = now_text();
    status.conditions = conditions_of(redrive, status.phase, verdict.reason, verdict.message);
    std::mutex mutex;
    std::condition_variable_any pause;
    std::unique_lock lock(mutex);
    for (;;) {
      const auto written = write(redrive, status, stop);
      if (written) break;
      const ErrorKind kind = written.error().kind;
      if (kind != ErrorKind::unavailable && kind != ErrorKind::timeout)
        return tl::unexpected(written.error());
      if (written.error().http_status == 409) return Action::await_change();  // another one of that name
      log_unwritten(redrive, written.error());
      pause.wait_for(lock, stop, write_again, [] { return false; });
      if (stop.stop_requested()) return tl::unexpected(written.error());
    }
    const bool failed = verdict.phase == api::RedrivePhase::failed;
    tools_.events.record({.regarding = {.api_version = std::string(api::group_version),
                                        .kind = std::string(api::redrive_kind),
                                        .key = redrive.meta.key,
                                        .uid = redrive.meta.uid},
                          .type = failed ? runtime::EventType::warning : runtime::EventType::normal,
                          .reason = std::string(verdict.reason),
                          .action = "Redrive",
                          .message = verdict.message});
    if (redrive.spec.ttl_seconds_after_finished) return Action::requeue(look_again);
    return Action::await_change();
  }

  Result<Action> wait(const api::DeadLetterRedrive& redrive, std::string_view reason,
                      const std::string& message, const std::stop_token& stop) {
    api::RedriveStatus status = redrive.status;
    status.conditions = conditions_of(redrive, status.phase, reason, message);
    status.observed_generation = redrive.meta.generation;
    if (!(status == redrive.status)) {
      const auto written = write(redrive, status, stop);
      if (!written) return tl::unexpected(written.error());
    }
    return Action::requeue(look_again);
  }

  void log_unwritten(const api::DeadLetterRedrive& redrive, const base::Error& error) const {
    tools_.log.warning("cannot write the status of a redrive, to be tried again",
                       {{"redrive", to_string(redrive.meta.key)}, {"error", base::describe(error)}});
  }

  Result<void> write(const api::DeadLetterRedrive& redrive, api::RedriveStatus status,
                     const std::stop_token& stop) const {
    status.observed_generation = redrive.meta.generation;
    const json object{{"apiVersion", api::group_version},
                      {"kind", api::redrive_kind},
                      {"metadata",
                       {{"name", redrive.meta.key.name},
                        {"namespace", redrive.meta.key.namespace_name},
                        {"uid", redrive.meta.uid}}},
                      {"status", api::to_json(status)}};
    const auto written = tools_.api.apply(
        object,
        {.field_manager = std::string(desired::manager), .force = true, .status = true, .dry_run = false},
        stop);
    if (!written) return tl::unexpected(written.error());
    return {};
  }

  const Tools tools_;
  const std::string ca_file_;
  const base::WriteGuard may_write_;
  std::mutex mutex_;
  std::set<Place> running_;
};

Redrives::Redrives(Tools tools, std::string ca_file, base::WriteGuard may_write)
    : impl_(std::make_unique<Impl>(tools, std::move(ca_file), std::move(may_write))) {}
Redrives::~Redrives() = default;

Result<Action> Redrives::reconcile(const api::ObjectKey& key, const std::stop_token& stop) {
  return impl_->reconcile(key, stop);
}

}  // namespace lambda::reconcile
