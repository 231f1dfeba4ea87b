#include "builds/waiting.h"

#include <algorithm>
#include <array>
#include <ranges>
#include <string_view>

#include "builds/plain_text.h"
#include "builds/reasons.h"

namespace lambda::builds {
namespace {

constexpr std::array image_waits{
    "ErrImagePull",      "ImagePullBackOff",    "InvalidImageName",         "ErrImageNeverPull",
    "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"};
constexpr std::array container_waits{
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
    "PreStartHookError",          "PostStartHookError",   "CrashLoopBackOff"};

template <class Words>
bool is_one_of(const Words& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Waiting wait_for(std::string_view reason, std::string_view message) {
  return {
      .reason = std::string(reason), .message = one_line(message), .can_heal = !reason::is_terminal(reason)};
}

// What kubelet says of a Secret or a ConfigMap that is not there, or has not the key; nothing for all else.
std::optional<std::string_view> missing_object(std::string_view message) {
  if (has(message, "non-existent secret key") ||
      (has(message, "couldn't find key ") && has(message, " in Secret "))) {
    return reason::secret_missing;
  }
  if (has(message, "non-existent config key") ||
      (has(message, "couldn't find key ") && has(message, " in ConfigMap "))) {
    return reason::config_map_missing;
  }
  if (!has(message, "\" not found")) return std::nullopt;
  if (has(message, "secret \"")) return reason::secret_missing;
  if (has(message, "configmap \"")) return reason::config_map_missing;
  return std::nullopt;
}

// "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match …. preemption: …": what is said of the
// nodes, without what is said of preemption.
std::string_view node_reasons(std::string_view message) {
  constexpr std::string_view opening = "nodes are available: ";
  const std::size_t start = message.find(opening);
  if (start == std::string_view::npos) return {};
  message.remove_prefix(start + opening.size());
  const std::size_t end = std::min(message.find(". "), message.size());
  message = message.substr(0, end);
  if (message.ends_with('.')) message.remove_suffix(1);
  return message;
}

bool is_about_selector(std::string_view node_reason) {
  return has(node_reason, "node(s) didn't match Pod's node affinity/selector") ||
         has(node_reason, "node(s) didn't match Pod's node selector") ||
         has(node_reason, "node(s) didn't satisfy plugin(s) [NodeAffinity]");
}

bool is_selector_impossible(std::string_view message) {
  std::string_view rest = node_reasons(message);
  if (rest.empty()) return false;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(", ");
    if (!is_about_selector(rest.substr(0, comma))) return false;
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 2);
  }
  return true;
}

Waiting wait_for_node(const Pod& pod) {
  const bool impossible = is_selector_impossible(pod.unschedulable_message);
  return wait_for(impossible ? reason::node_selector_impossible : reason::unschedulable,
                  pod.unschedulable_message);
}

Waiting wait_for_pod(const std::vector<EventNote>& events) {
  for (const EventNote& note : std::views::reverse(events)) {
    if (note.reason != "FailedCreate") continue;
    return wait_for(has(note.message, "exceeded quota") ? reason::quota_exceeded : reason::pod_refused,
                    note.message);
  }
  return wait_for(reason::starting, "Kubernetes has not made its pod yet");
}

bool says_mounted(const EventNote& note) {
  return note.reason == "Pulling" || note.reason == "Pulled" || note.reason == "Created" ||
         note.reason == "Started";
}

bool says_trouble(const EventNote& note) {
  return note.reason == "FailedMount" || note.reason == "FailedAttachVolume" ||
         note.reason == "FailedCreatePodSandBox";
}

// kubelet tells from time to time that a mount timed out, without the cause that it told before.
Waiting wait_for_volumes(const Pod& pod, const std::vector<EventNote>& events) {
  const EventNote* last = nullptr;
  for (const EventNote& note : std::views::reverse(events)) {
    if (says_mounted(note)) {
      if (last == nullptr) last = &note;
      break;
    }
    if (!says_trouble(note)) continue;
    if (const auto missing = missing_object(note.message)) return wait_for(*missing, note.message);
    if (last == nullptr) last = &note;
  }
  if (last != nullptr) return wait_for(reason::starting, last->message);
  if (!pod.waiting_message.empty()) return wait_for(reason::starting, pod.waiting_message);
  return wait_for(reason::starting,
                  pod.waiting_reason.empty() ? "its pod has no node yet" : "its container is being created");
}

bool may_wait(const Build& build) {
  return !build.suspended && !build.over() && !build.failing && !build.deleting;
}

bool runs_or_ran(const Pod& pod) {
  return pod.container_started || pod.exit_code || (!pod.phase.empty() && pod.phase != "Pending");
}

// What the pod itself says; nothing if it leaves that open.
std::optional<Waiting> said_by_pod(const Pod& pod) {
  if (pod.unschedulable) return wait_for_node(pod);
  const std::string message =
      pod.waiting_message.empty() ? pod.waiting_reason : pod.waiting_reason + ": " + pod.waiting_message;
  if (is_one_of(image_waits, pod.waiting_reason)) return wait_for(reason::image_unavailable, message);
  if (is_one_of(container_waits, pod.waiting_reason)) {
    return wait_for(missing_object(pod.waiting_message).value_or(reason::container_refused), message);
  }
  return std::nullopt;
}

}  // namespace

bool needs_events(const Build& build, const Pod* pod) {
  if (!may_wait(build)) return false;
  return pod == nullptr || (!runs_or_ran(*pod) && !pod->deleting && !said_by_pod(*pod));
}

std::optional<Waiting> why_waiting(const Build& build, const Pod* pod, const std::vector<EventNote>& events) {
  if (!may_wait(build)) return std::nullopt;
  if (pod == nullptr) return wait_for_pod(events);
  if (runs_or_ran(*pod)) return std::nullopt;
  if (const auto said = said_by_pod(*pod)) return said;
  return wait_for_volumes(*pod, events);
}

}  // namespace lambda::builds
