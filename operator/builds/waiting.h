// Why a build that was released does not run yet, and whether waiting can help. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "builds/build.h"
#include "builds/pod.h"

namespace lambda::builds {

/// What a Kubernetes Event about the Job or its pod says.
struct EventNote {
  std::string reason;  // "FailedMount", "FailedCreate", …
  std::string message;

  bool operator==(const EventNote&) const = default;
};

struct Waiting {
  std::string reason;    // one of docs/builds.md: "ImageUnavailable", "SecretMissing", "ConfigMapMissing",
                         // "ContainerRefused", "NodeSelectorImpossible", "Unschedulable", "QuotaExceeded",
                         // "PodRefused", "Starting"
  std::string message;   // for a person: what was found
  bool can_heal = true;  // false: only somebody who changes something can mend it

  bool operator==(const Waiting&) const = default;
};

/// Whether pod (null: there is none yet) and Job leave open why it waits, so that Events are worth a request.
bool needs_events(const Build& build, const Pod* pod);

/// Nothing if it is suspended, runs, is being deleted, or is over or about to be. `events` are of both Job
/// and pod, in the order of their last occurrence: what was said before the image was pulled says nothing any
/// more.
std::optional<Waiting> why_waiting(const Build& build, const Pod* pod, const std::vector<EventNote>& events);

}  // namespace lambda::builds
