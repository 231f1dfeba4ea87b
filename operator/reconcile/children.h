// Makes the Kubernetes objects of a JobQueue what they should be, and takes them away.
#pragma once

#include <optional>
#include <stop_token>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/job_queue.h"
#include "base/error.h"
#include "desired/desired.h"
#include "kube/api.h"
#include "reconcile/judgement.h"
#include "reconcile/watches.h"

namespace lambda::reconcile {

struct AppliedChildren {
  std::vector<PartTrouble> troubles;  // refused, in the way of something, or their controllers complain
  std::vector<PartTrouble> waits;     // their controllers have not got to them yet
  bool changed = false;               // something was written
};

/// Thread-safe.
class Children {
 public:
  Children(const kube::Api& api, const Watches& watches) : api_(api), watches_(watches) {}

  /// Applies what differs, and only that; then reads what the controllers say of each. An error only where it
  /// is worth another try soon: the API server is away, or somebody else was faster.
  base::Result<AppliedChildren> apply(const api::JobQueue& queue, const std::vector<nlohmann::json>& wanted,
                                      const std::stop_token& stop) const;

  /// Those of ours that are wanted no more, in the order in which they should go.
  std::vector<SharedObject> left_over(const api::JobQueue& queue,
                                      const std::vector<nlohmann::json>& wanted) const;

  /// Asks for its deletion; fine if it is gone or going. Queues and exchanges are taken from the broker by
  /// nobody but us, so their controller is not to do that: its finalizers go first.
  base::Result<void> remove(const nlohmann::json& object, const std::stop_token& stop) const;

  /// Takes away what holds an object that is being deleted: its controller can't do its part any more.
  base::Result<void> release(const nlohmann::json& object, const std::stop_token& stop) const;

 private:
  base::Result<nlohmann::json> find(const nlohmann::json& wanted, const std::stop_token& stop) const;
  base::Result<std::optional<Trouble>> apply_one(const nlohmann::json& wanted, nlohmann::json& live,
                                                 bool& changed, const std::stop_token& stop) const;
  base::Result<std::optional<Trouble>> write(const nlohmann::json& wanted, nlohmann::json& live,
                                             const std::stop_token& stop) const;

  const kube::Api& api_;
  const Watches& watches_;
};

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

}  // namespace lambda::reconcile
