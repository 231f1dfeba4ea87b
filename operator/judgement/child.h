// What can be told of a Kubernetes object that was made for a JobQueue, by looking at it. Pure.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"

namespace lambda::judgement {

/// "Trigger knative-lambda-dev/kaniko-jobs-trigger", for messages.
std::string shown(const nlohmann::json& object);

api::ObjectKey key_of(const nlohmann::json& object);

/// What an object's own controller says of it.
enum class Readiness { ready, waiting, failed };
struct ReadinessSaid {
  Readiness readiness = Readiness::waiting;
  std::string message;
};
ReadinessSaid readiness_of(const nlohmann::json& object);

/// Whether the operator made the object: it carries our label, or has fields that we applied, should somebody
/// have taken the label off. Without metadata.managedFields only the label tells.
bool is_made_by_us(const nlohmann::json& object);

enum class Ownership { ours, other_job_queues, foreign };

/// Whose the object is that has the name of the one that is wanted.
Ownership ownership_of(const nlohmann::json& found, const nlohmann::json& wanted);

/// The JobQueue that the labels of the object name; empty where they name none.
api::ObjectKey job_queue_of(const nlohmann::json& object);

}  // namespace lambda::judgement
