#include "follow/builds.h"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/labels.h"
#include "builds/oom_retry.h"
#include "builds/waiting.h"
#include "desired/desired.h"
#include "kube/answer.h"
#include "kube/resource.h"

namespace lambda::follow {
namespace {

using base::CalendarTime;
using base::milliseconds;
using base::Result;
using builds::Build;
using builds::Pod;
using builds::Waiting;
using runtime::Action;

// Before that, nobody has said anything yet about what is being started.
constexpr milliseconds patience_with_starts{3'000};
constexpr milliseconds look_again{5'000};
// So long before its deadline the log of a running build is read, since its pod goes with the deadline.
constexpr milliseconds last_look_before_deadline{5'000};
// A node that is gone never gives a log.
constexpr unsigned failed_reads_max = 4;
constexpr std::size_t waiting_max_bytes = 1024;

CalendarTime now() {
  return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

// What the watchdog counts from: it was released, and, once it has one, its pod has a node.
CalendarTime waits_since(const Build& build, const Pod* pod) {
  CalendarTime since = build.started.value_or(build.created);
  if (pod != nullptr) since = std::max(since, pod->scheduled.value_or(pod->created));
  return since;
}

// What stands on the Job, for whoever begins to lead after it was seen.
std::optional<Waiting> waiting_on(const Build& build) {
  const std::size_t colon = build.waiting.find(": ");
  if (colon == std::string::npos) return std::nullopt;
  return Waiting{.reason = build.waiting.substr(0, colon), .message = build.waiting.substr(colon + 2)};
}

milliseconds until(CalendarTime time) {
  return std::max(time - now(), milliseconds(0));
}

}  // namespace

// How a complete one ended can be read as long as its Job is there; of others the evidence goes.
bool can_be_told(const Build& build) {
  return build.over() && (build.end->complete || build.has_verdict);
}

Builds::Builds(Tools tools, milliseconds watchdog, OnBuild on_news, OnBuild on_gone)
    : tools_(tools),
      watchdog_(watchdog),
      on_news_(std::move(on_news)),
      on_gone_(std::move(on_gone)),
      writes_(tools.api),
      reader_(tools.api, tools.store) {}

Result<Action> Builds::reconcile(const api::ObjectKey& key, const std::stop_token& stop) {
  const BuildPointer build = tools_.store.find(key);
  if (!build) {
    forget(key);
    tools_.store.forget_pods(key);
    on_gone_(key);
    return Action::await_change();
  }
  if (build->over()) return finish(*build, stop);
  if (build->deleting) return Action::await_change();
  if (build->failing) return watch_failing(*build, stop);
  if (build->suspended) return Action::await_change();  // whoever admits it says so
  const auto pod = tools_.store.last_pod(key);
  if (pod && pod->container_started) return watch_running(*build, *pod, stop);
  return watch_waiting(*build, pod ? &*pod : nullptr, stop);
}

Result<Action> Builds::watch_waiting(const Build& build, const Pod* pod, const std::stop_token& stop) {
  const CalendarTime since = waits_since(build, pod);
  const milliseconds waited = now() - since;
  if (waited < patience_with_starts) return Action::requeue(patience_with_starts - waited);
  std::vector<builds::EventNote> events;
  if (needs_events(build, pod)) {
    auto read = reader_.events(build, pod, stop);
    if (!read) return tl::unexpected(read.error());
    events = std::move(*read);
  }
  const auto waiting = why_waiting(build, pod, events);
  if (!waiting) return Action::requeue(look_again);
  remember(build.key, [&](Memory& memory) { memory.waiting = waiting; });
  if (auto told = tell_waiting(build, waiting->reason + ": " + waiting->message, stop); !told) {
    return tl::unexpected(told.error());
  }
  if (waiting->can_heal) return Action::requeue(look_again);
  if (waited < watchdog_) return Action::requeue(std::min(look_again, watchdog_ - waited));
  tools_.log.warning("a build that can't start is ended", {{"job_name", build.key.name},
                                                           {"third_party_id", build.third_party_id},
                                                           {"reason", waiting->reason},
                                                           {"error", waiting->message}});
  if (auto ended = writes_.fail(build, waiting->reason, waiting->message, stop); !ended) {
    return tl::unexpected(ended.error());
  }
  return Action::await_change();
}

Result<void> Builds::tell_waiting(const Build& build, std::string_view text, const std::stop_token& stop) {
  const std::string cut = base::cut(text, waiting_max_bytes);
  if (cut == build.waiting) return {};
  return writes_.annotate(build, build::annotation::waiting, cut, stop);
}

Result<Action> Builds::watch_running(const Build& build, const Pod& pod, const std::stop_token& stop) {
  on_news_(build.key);
  if (auto told = tell_waiting(build, "", stop); !told) return tl::unexpected(told.error());
  if (build.deadline.count() == 0 || !build.started) return Action::await_change();
  const milliseconds left = until(*build.started + build.deadline - last_look_before_deadline);
  if (left.count() > 0) return Action::requeue(left);
  if (memory_of(build.key).log_tail.empty()) keep_log(build, pod, stop);
  return Action::await_change();
}

// Its pods are being deleted, their logs with them.
Result<Action> Builds::watch_failing(const Build& build, const std::stop_token& stop) {
  if (build.suspended) {
    if (auto released = writes_.release(build, stop); !released) return tl::unexpected(released.error());
  }
  const auto pod = tools_.store.last_pod(build.key);
  if (pod && pod->container_started) keep_log(build, *pod, stop);
  return Action::await_change();
}

void Builds::keep_log(const Build& build, const Pod& pod, const std::stop_token& stop) {
  auto tail = reader_.log_tail(pod, stop);
  if (!tail || tail->empty()) return;
  remember(build.key, [&](Memory& memory) { memory.log_tail = std::move(*tail); });
}

Result<Action> Builds::finish(const Build& build, const std::stop_token& stop) {
  if (can_be_told(build)) {
    forget(build.key);
    on_news_(build.key);
    return Action::await_change();
  }
  const auto evidence = gather(build, stop);
  if (!evidence) return tl::unexpected(evidence.error());
  builds::Verdict verdict = judge(build, *evidence);
  const bool may_retry = !build.oom_retry_memory.empty() && !has_successor(build);
  if (verdict.failure_class == build::FailureClass::oom && may_retry) {
    auto retried = retry_with_more_memory(build, stop);
    if (!retried) return tl::unexpected(retried.error());
    verdict.retried_as = std::move(*retried);
  }
  const auto written = writes_.annotate(build, build::annotation::result, to_text(verdict), stop);
  if (!written) return tl::unexpected(written.error());
  return Action::await_change();
}

Result<builds::Evidence> Builds::gather(const Build& build, const std::stop_token& stop) {
  Memory memory = memory_of(build.key);
  builds::Evidence evidence{.pod = tools_.store.last_pod(build.key),
                            .waiting = std::move(memory.waiting),
                            .log_tail = std::move(memory.log_tail)};
  if (!evidence.waiting) evidence.waiting = waiting_on(build);
  auto pod = reader_.pod(build, stop);
  if (!pod) return tl::unexpected(pod.error());
  if (!*pod) return evidence;
  evidence.pod = std::move(*pod);
  if (!evidence.pod->container_started) return evidence;
  auto tail = reader_.log_tail(*evidence.pod, stop);
  if (!tail) {
    if (memory.failed_reads >= failed_reads_max) return evidence;
    remember(build.key, [](Memory& each) { ++each.failed_reads; });
    return tl::unexpected(tail.error());
  }
  if (!tail->empty()) evidence.log_tail = std::move(*tail);
  return evidence;
}

// A retry would push its image over that of the newer build.
bool Builds::has_successor(const Build& build) const {
  if (!build.cancel_on_newer) return false;
  return std::ranges::any_of(tools_.store.all(), [&](const BuildPointer& other) {
    return other->third_party_id == build.third_party_id && other->parser_id == build.parser_id &&
           other->attempt == 0 && other->created > build.created;
  });
}

// The name of the Job that tries it again; empty if it can't be.
Result<std::string> Builds::retry_with_more_memory(const Build& build, const std::stop_token& stop) {
  const auto job = tools_.api.get(kube::resources::job, build.key.namespace_name, build.key.name, stop);
  if (!job) return tl::unexpected(job.error());
  const auto retry = builds::make_oom_retry(*job);
  if (!retry) {
    tools_.log.warning("no retry with more memory",
                       {{"job_name", build.key.name}, {"error", base::describe(retry.error())}});
    return std::string();
  }
  const auto created = tools_.api.create(*retry, desired::manager, stop);
  // It may be there from a try whose answer was lost.
  if (created || kube::is_already_there(created.error())) return (*retry)["metadata"]["name"];
  if (base::worth_retrying(created.error().kind)) return tl::unexpected(created.error());
  tools_.log.warning("no retry with more memory",
                     {{"job_name", build.key.name}, {"error", base::describe(created.error())}});
  return std::string();
}

Builds::Memory Builds::memory_of(const api::ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = memory_.find(key);
  return found == memory_.end() ? Memory() : found->second;
}

template <class Change>
void Builds::remember(const api::ObjectKey& key, Change change) {
  const std::lock_guard lock(mutex_);
  change(memory_[key]);
}

void Builds::forget(const api::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  memory_.erase(key);
}

}  // namespace lambda::follow
