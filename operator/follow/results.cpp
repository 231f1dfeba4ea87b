#include "follow/results.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "build/dead_letter.h"
#include "build/labels.h"
#include "builds/result_event.h"
#include "cloudevents/json.h"
#include "kube/resource.h"

namespace lambda::follow {
namespace {

using base::CalendarTime;
using base::ErrorKind;
using base::milliseconds;
using base::Result;
using build::FailureClass;
using builds::Build;
using builds::Verdict;
using nlohmann::json;
using runtime::Action;

// Who refuses one event may have mended it by then.
constexpr milliseconds after_refusal{30'000};

CalendarTime now() {
  return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

// The words of base::ErrorKind that a dead letter's reason has.
ErrorKind reason_of(const Verdict& verdict) {
  switch (verdict.failure_class.value_or(FailureClass::unknown)) {
    case FailureClass::source:
    case FailureClass::dockerfile:
      return ErrorKind::invalid;
    case FailureClass::oom:
      return ErrorKind::too_large;
    case FailureClass::timeout:
      return ErrorKind::timeout;
    case FailureClass::push:
    case FailureClass::infrastructure:
      return ErrorKind::unavailable;
    case FailureClass::unknown:
      break;
  }
  return ErrorKind::internal;
}

std::string annotation_of(const json& job, std::string_view name) {
  const json& text = base::at(base::at(base::at(job, "metadata"), "annotations"), name);
  return text.is_string() ? text.get<std::string>() : std::string();
}

bool is_settled(const json& job) {
  const json& labels = base::at(base::at(job, "metadata"), "labels");
  return base::at(labels, build::label::outcome).is_string();
}

build::DeadLetter make_letter(const Build& build, const Verdict& verdict, cloudevents::Event event) {
  build::DeadLetter letter;
  letter.original = std::move(event);
  letter.reason = base::to_string(reason_of(verdict));
  letter.error = verdict.reason + ": " + verdict.message;
  letter.stage = build::Stage::build;
  letter.attempts = build.attempt + 1;
  letter.first_time = base::format_rfc3339(build.created);
  letter.last_time = base::format_rfc3339(verdict.finished);
  letter.correlation_id = build.correlation_id;
  letter.job_name = build.key.name;
  letter.third_party_id = build.third_party_id;
  return letter;
}

}  // namespace

Results::Results(Tools tools, ResultSettings settings, Sink* sink, DeadLetters* dead_letters,
                 metrics::Registry& registry)
    : tools_(tools),
      settings_(std::move(settings)),
      sink_(sink),
      dead_letters_(dead_letters),
      registry_(registry),
      writes_(tools.api),
      reader_(tools.api, tools.store),
      given_up_(registry.counter("operator_build_results_total", "Result events by what became of them",
                                 {{"outcome", "given_up"}})) {}

Result<Action> Results::reconcile(const api::ObjectKey& key, const std::stop_token& stop) {
  const BuildPointer build = tools_.store.find(key);
  if (!build) return Action::await_change();
  return build->over() ? tell_end(*build, stop) : tell_started(*build, stop);
}

void Results::forget(const api::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  told_.erase(key);
}

Result<Action> Results::tell_started(const Build& build, const std::stop_token& stop) {
  const auto pod = tools_.store.last_pod(build.key);
  if (!pod || !pod->container_started || sink_ == nullptr) return Action::await_change();
  // Its end tells it again, if the sink is away now.
  if (!deliver_started(build, *pod->container_started, stop)) return later();
  return Action::await_change();
}

Result<Action> Results::tell_end(const Build& build, const std::stop_token& stop) {
  const bool too_old = now() - build.end->time >= settings_.give_up_after;
  // While the sink is away, nothing else is asked for it either.
  if (sink_ != nullptr && !too_old && sink_->retry_in() > milliseconds(0)) return later();
  const auto job = tools_.api.get(kube::resources::job, build.key.namespace_name, build.key.name, stop);
  if (!job && job.error().kind == ErrorKind::not_found) return Action::await_change();
  if (!job) return tl::unexpected(job.error());
  if (is_settled(*job)) return Action::await_change();  // the watch has not said so yet
  const auto whole = builds::read_build(*job);
  if (!whole || whole->uid != build.uid || !can_be_told(*whole)) return Action::await_change();
  return tell_end(*whole, *job, too_old, stop);
}

Result<Action> Results::tell_end(const Build& build, const json& job, bool too_old,
                                 const std::stop_token& stop) {
  const auto verdict = verdict_of(build, job, stop);
  if (!verdict) return tl::unexpected(verdict.error());
  if (is_dead_letter(build, *verdict)) {
    if (auto sent = dead_letter(build, *verdict, job, stop); !sent) return tl::unexpected(sent.error());
  }
  if (const auto delivered = deliver(build, *verdict, stop); !delivered) {
    if (!too_old) {
      return delivered.error().kind == ErrorKind::invalid ? Action::requeue(after_refusal) : later();
    }
    given_up_.Increment();
    tools_.log.error("result event given up",
                     {{"job_name", build.key.name}, {"error", base::describe(delivered.error())}});
  }
  if (auto settled = settle(build, *verdict, stop); !settled) return tl::unexpected(settled.error());
  return Action::await_change();
}

Action Results::later() const {
  return Action::requeue(std::clamp(sink_->retry_in(), milliseconds(50), settings_.max_retry_delay));
}

Result<Verdict> Results::verdict_of(const Build& build, const json& job, const std::stop_token& stop) const {
  if (build.has_verdict) {
    auto written = builds::parse_verdict(annotation_of(job, build::annotation::result));
    if (written) return written;
    tools_.log.warning("the annotation with the result is none",
                       {{"job_name", build.key.name}, {"error", base::describe(written.error())}});
  }
  auto pod = reader_.pod(build, stop);
  if (!pod) return tl::unexpected(pod.error());
  return judge(build, {.pod = *pod ? std::move(*pod) : tools_.store.last_pod(build.key),
                       .waiting = std::nullopt,
                       .log_tail = {}});
}

Result<void> Results::deliver_started(const Build& build, CalendarTime container_started,
                                      const std::stop_token& stop) {
  if (told(build.key).started) return {};
  auto sent = sink_->send(started_event(build, container_started, settings_.source), stop);
  if (!sent) return sent;
  const std::lock_guard lock(mutex_);
  told_[build.key].started = true;
  return {};
}

Result<void> Results::deliver(const Build& build, const Verdict& verdict, const std::stop_token& stop) {
  if (sink_ == nullptr) return {};
  if (verdict.container_started) {
    if (auto sent = deliver_started(build, *verdict.container_started, stop); !sent) return sent;
  }
  return sink_->send(result_event(build, verdict, settings_.source), stop);
}

Results::Told Results::told(const api::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = told_.find(key);
  return found == told_.end() ? Told() : found->second;
}

bool Results::is_dead_letter(const Build& build, const Verdict& verdict) {
  if (dead_letters_ == nullptr || build.dead_lettered || !verdict.retried_as.empty()) return false;
  if (!verdict.failure_class || told(build.key).dead_lettered) return false;
  const auto& classes = settings_.dead_letter_classes;
  return std::ranges::find(classes, *verdict.failure_class) != classes.end();
}

Result<void> Results::dead_letter(const Build& build, const Verdict& verdict, const json& job,
                                  const std::stop_token& stop) {
  auto event = cloudevents::decode_json(annotation_of(job, build::annotation::event));
  if (!event) {
    tools_.log.warning("a failed build can't be dead-lettered: its Job does not hold its event",
                       {{"job_name", build.key.name}, {"third_party_id", build.third_party_id}});
    return {};
  }
  auto sent = dead_letters_->send(make_letter(build, verdict, std::move(*event)), stop);
  if (!sent) return sent;
  {
    const std::lock_guard lock(mutex_);
    told_[build.key].dead_lettered = true;
  }
  return writes_.annotate(build, build::annotation::dead_lettered, base::format_rfc3339(now()), stop);
}

Result<void> Results::settle(const Build& build, const Verdict& verdict, const std::stop_token& stop) {
  auto settled = writes_.settle(build, verdict, stop);
  if (!settled) return settled;
  const auto word = verdict.failure_class ? build::to_string(*verdict.failure_class) : "none";
  registry_
      .counter("operator_builds_total", "Builds that are over, and told",
               {{"outcome", std::string(build::to_string(verdict.outcome))}, {"class", std::string(word)}})
      .Increment();
  tools_.log.info("build over", {{"job_name", build.key.name},
                                 {"third_party_id", build.third_party_id},
                                 {"correlation_id", build.correlation_id},
                                 {"outcome", build::to_string(verdict.outcome)},
                                 {"class", word},
                                 {"reason", verdict.reason}});
  return {};
}

}  // namespace lambda::follow
