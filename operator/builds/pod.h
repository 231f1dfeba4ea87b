// What is needed of a build's pod. Pure.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"
#include "base/time.h"

namespace lambda::builds {

/// Of its first container, Kaniko's. Texts that are unknown are empty.
struct Pod {
  api::ObjectKey key;
  std::string uid;
  std::string job_name;
  std::string container;  // its name
  std::string phase;      // Pending, Running, Succeeded, Failed, Unknown
  base::CalendarTime created{};
  std::optional<base::CalendarTime> scheduled;  // it has a node
  std::optional<base::CalendarTime> container_started;
  std::optional<base::CalendarTime> container_finished;
  std::string waiting_reason;  // "ErrImagePull", "ContainerCreating", …
  std::string waiting_message;
  bool unschedulable = false;
  std::string unschedulable_message;
  std::string terminated_reason;  // "OOMKilled", "Error", "Completed"
  std::optional<int> exit_code;
  std::string termination_message;  // the image's digest, if the exit code is 0
  std::string reason;               // status.reason: "Evicted", "NodeLost", …
  std::string message;
  std::string disruption;  // message of the condition DisruptionTarget, where it is true
  bool deleting = false;

  bool operator==(const Pod&) const = default;
};

/// Nothing for what is no pod of a Job.
std::optional<Pod> read_pod(const nlohmann::json& pod);

}  // namespace lambda::builds
