#include "builds/pod.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "builds/json_fields.h"

namespace lambda::builds {
namespace {

using base::CalendarTime;
using nlohmann::json;

constexpr std::string_view job_name_label = "batch.kubernetes.io/job-name";

const json& first_of(const json& array) {
  static const json none;
  return array.is_array() && !array.empty() ? array.front() : none;
}

// The statuses are sorted by name, the containers are not.
const json& state_of(const json& pod, const std::string& container) {
  const json& statuses = base::at(base::at(pod, "status"), "containerStatuses");
  for (const json& status : statuses) {
    if (!container.empty() && text_of(status, "name") == container) return base::at(status, "state");
  }
  return base::at(first_of(statuses), "state");
}

void read_state(Pod& out, const json& state) {
  const json& waiting = base::at(state, "waiting");
  out.waiting_reason = text_of(waiting, "reason");
  out.waiting_message = text_of(waiting, "message");
  const json& terminated = base::at(state, "terminated");
  out.terminated_reason = text_of(terminated, "reason");
  out.termination_message = text_of(terminated, "message");
  const json& exit_code = base::at(terminated, "exitCode");
  if (exit_code.is_number_integer()) out.exit_code = exit_code.get<int>();
  // A container that never started ends with the beginning of time in both.
  const auto known = [](std::optional<CalendarTime> time) {
    return time && *time > CalendarTime{} ? time : std::nullopt;
  };
  out.container_started =
      known(time_of(terminated.is_null() ? base::at(state, "running") : terminated, "startedAt"));
  out.container_finished = known(time_of(terminated, "finishedAt"));
}

void read_condition(Pod& out, const json& condition) {
  const std::string type = text_of(condition, "type");
  const std::string status = text_of(condition, "status");
  if (type == "PodScheduled" && status == "False" && text_of(condition, "reason") == "Unschedulable") {
    out.unschedulable = true;
    out.unschedulable_message = text_of(condition, "message");
  } else if (type == "PodScheduled" && status == "True") {
    out.scheduled = time_of(condition, "lastTransitionTime");
  } else if (type == "DisruptionTarget" && status == "True") {
    const std::string message = text_of(condition, "message");
    out.disruption = message.empty() ? text_of(condition, "reason") : message;
    if (out.disruption.empty()) out.disruption = type;
  }
}

}  // namespace

std::optional<Pod> read_pod(const json& pod) {
  const json& metadata = base::at(pod, "metadata");
  const json& status = base::at(pod, "status");
  const std::string job_name = text_of(base::at(metadata, "labels"), job_name_label);
  if (job_name.empty() || text_of(metadata, "name").empty()) return std::nullopt;
  Pod out;
  out.key = {.namespace_name = text_of(metadata, "namespace"), .name = text_of(metadata, "name")};
  out.uid = text_of(metadata, "uid");
  out.job_name = job_name;
  out.phase = text_of(status, "phase");
  out.created = time_of(metadata, "creationTimestamp").value_or(CalendarTime{});
  out.container = text_of(first_of(base::at(base::at(pod, "spec"), "containers")), "name");
  read_state(out, state_of(pod, out.container));
  for (const json& condition : base::at(status, "conditions")) read_condition(out, condition);
  out.reason = text_of(status, "reason");
  out.message = text_of(status, "message");
  out.deleting = !base::at(metadata, "deletionTimestamp").is_null();
  return out;
}

}  // namespace lambda::builds
