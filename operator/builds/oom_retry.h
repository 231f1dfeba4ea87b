// The Job that tries a build once more with more memory. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::builds {

/// From the whole Job as the API server has it: the next attempt of the same event, by name, annotation and,
/// where it is there, event annotation (attribute lambdaattempt); the memory of its annotation
/// oom-retry-memory as request and limit of the first container, and that annotation gone, so that there is
/// no third. It pushes to the same place. Nothing that Kubernetes added (selector, controller labels, status,
/// uid, …) nor that the operator wrote (waiting, result) goes with it. If it was to be admitted, by us or by
/// Kueue, it comes suspended again. `invalid` if the Job has no such annotation, or its identity (event-id,
/// event-source, attempt) does not give its name.
base::Result<nlohmann::json> make_oom_retry(const nlohmann::json& job);

}  // namespace lambda::builds
