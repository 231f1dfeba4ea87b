#include "builds/verdict.h"

#include <algorithm>

#include "builds/failure.h"
#include "builds/plain_text.h"
#include "builds/reasons.h"

namespace lambda::builds {
namespace {

using build::FailureClass;
using build::Outcome;

constexpr int killed = 128 + 9;
constexpr int terminated = 128 + 15;

Failure infrastructure(std::string_view reason, std::string_view message) {
  return {.failure_class = FailureClass::infrastructure,
          .reason = std::string(reason),
          .message = one_line(message)};
}

bool is_digest(std::string_view text) {
  constexpr std::string_view algorithm = "sha256:";
  constexpr std::size_t digits = 64;
  if (!text.starts_with(algorithm) || text.size() != algorithm.size() + digits) return false;
  text.remove_prefix(algorithm.size());
  return std::ranges::all_of(text, [](char c) { return ('0' <= c && c <= '9') || ('a' <= c && c <= 'f'); });
}

// Kaniko writes it before it pushes.
std::string digest_of(const std::optional<Pod>& pod) {
  if (!pod || pod->exit_code != 0) return {};
  std::string text = one_line(pod->termination_message);
  return is_digest(text) ? text : std::string();
}

std::string end_of_container(const Pod& pod) {
  std::string out = "its container ended";
  if (pod.exit_code) out += " with exit code " + std::to_string(*pod.exit_code);
  if (!pod.terminated_reason.empty()) out += " (" + pod.terminated_reason + ")";
  return out;
}

// "why: what": whichever of them is known.
std::string joined(std::string_view why, std::string_view what) {
  if (why.empty() || what.empty()) return std::string(why.empty() ? what : why);
  return std::string(why) + ": " + std::string(what);
}

bool is_killed(const Pod& pod) {
  return !pod.exit_code || *pod.exit_code == killed || *pod.exit_code == terminated;
}

std::optional<Failure> read_container_end(const Pod& pod) {
  if (pod.terminated_reason == "OOMKilled") {
    return Failure{.failure_class = FailureClass::oom,
                   .reason = std::string(reason::out_of_memory),
                   .message = "it needed more memory than its limit allows: " + end_of_container(pod)};
  }
  if (pod.terminated_reason == "ContainerStatusUnknown") {
    return infrastructure(reason::node_lost,
                          joined(pod.termination_message, "nobody knows how its container ended"));
  }
  if (pod.terminated_reason == "StartError" || pod.terminated_reason == "ContainerCannotRun") {
    return infrastructure(reason::container_refused, joined(pod.terminated_reason, pod.termination_message));
  }
  return std::nullopt;
}

// What the cluster did to the pod.
std::optional<Failure> read_disruption(const Pod& pod) {
  if (pod.reason == "Evicted") {
    return infrastructure(reason::evicted, pod.message.empty() ? pod.disruption : pod.message);
  }
  if (pod.reason == "NodeLost" || pod.phase == "Unknown") {
    return infrastructure(reason::node_lost, joined(pod.reason, pod.message));
  }
  if (!pod.disruption.empty()) return infrastructure(reason::disrupted, pod.disruption);
  if (!pod.reason.empty()) return infrastructure(reason::pod_failed, joined(pod.reason, pod.message));
  return std::nullopt;
}

Failure nothing_known(const JobEnd& end, const Evidence& evidence) {
  if (evidence.pod && evidence.pod->exit_code) {
    const std::vector<std::string_view> lines = split_lines(evidence.log_tail);
    const std::string last =
        lines.empty() ? "it left no log" : "its log ends with: " + one_line(lines.back());
    return {.failure_class = FailureClass::unknown,
            .reason = std::string(reason::exit_code),
            .message = one_line(end_of_container(*evidence.pod) + "; " + last)};
  }
  return {.failure_class = FailureClass::unknown,
          .reason = std::string(reason::evidence_gone),
          .message = one_line(joined("neither its pod's end nor its log could be read", end.message))};
}

// From what is certain to what has to be read between the lines. `evidence.log_tail` is plain.
Failure find_failure(const JobEnd& end, const Evidence& evidence) {
  if (reason::is_terminal(end.reason)) return infrastructure(end.reason, end.message);
  const Pod* const pod = evidence.pod ? &*evidence.pod : nullptr;
  if (pod != nullptr) {
    if (const auto failure = read_container_end(*pod)) return *failure;
    if (const auto failure = read_disruption(*pod)) return *failure;
  }
  if (const auto failure = read_failure(evidence.log_tail)) return *failure;
  if (pod != nullptr && pod->deleting && is_killed(*pod)) {
    return infrastructure(reason::pod_deleted, "somebody deleted its pod");
  }
  return nothing_known(end, evidence);
}

Failure find_timeout(const Build& build, const Evidence& evidence) {
  Failure out{.failure_class = FailureClass::unknown,
              .reason = std::string(reason::deadline_exceeded),
              .message = "its deadline passed"};
  if (build.deadline.count() > 0)
    out.message += ", " + base::format_duration(build.deadline) + " after its release";
  if (evidence.pod && evidence.pod->container_started) {
    out.failure_class = FailureClass::timeout;
  } else if (evidence.waiting) {
    out.failure_class = FailureClass::infrastructure;
    out.message += ", before it ran: " + joined(evidence.waiting->reason, evidence.waiting->message);
  } else if (evidence.pod) {
    out.failure_class = FailureClass::infrastructure;
    out.message += ", before it ran";
  } else {
    out.message += "; nobody saw whether it ran";
  }
  out.message = one_line(out.message);
  return out;
}

void set_failure(Verdict& out, Failure failure, std::string_view plain_log) {
  out.failure_class = failure.failure_class;
  out.reason = std::move(failure.reason);
  out.message = std::move(failure.message);
  out.log_tail = clean_log_tail(without_usage(plain_log));
}

Outcome outcome_of(const JobEnd& end) {
  if (end.complete) return Outcome::complete;
  if (end.reason == reason_superseded) return Outcome::superseded;
  return end.reason == reason::deadline_exceeded ? Outcome::timeout : Outcome::failed;
}

}  // namespace

Verdict judge(const Build& build, const Evidence& evidence) {
  const JobEnd end = build.end.value_or(JobEnd{});
  const Evidence plain{
      .pod = evidence.pod, .waiting = evidence.waiting, .log_tail = plain_text(evidence.log_tail)};
  Verdict out;
  out.outcome = outcome_of(end);
  out.finished = end.time;
  if (plain.pod) {
    out.container_started = plain.pod->container_started;
    out.finished = plain.pod->container_finished.value_or(end.time);
  }
  switch (out.outcome) {
    case Outcome::complete:
      out.reason = reason::complete;
      out.digest = digest_of(plain.pod);
      out.message =
          out.digest.empty() ? "its image was pushed; nobody saw its digest" : "its image was pushed";
      break;
    case Outcome::superseded:
      out.reason = reason::superseded;
      out.message = one_line(end.message);
      break;
    case Outcome::timeout:
      set_failure(out, find_timeout(build, plain), plain.log_tail);
      break;
    case Outcome::failed:
      set_failure(out, find_failure(end, plain), plain.log_tail);
      break;
  }
  return out;
}

}  // namespace lambda::builds
