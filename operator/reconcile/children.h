// Makes the Kubernetes objects of a JobQueue what they should be, and takes them away.
#pragma once

#include <optional>
#include <stop_token>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/job_queue.h"
#include "base/error.h"
#include "desired/desired.h"
#include "judgement/judgement.h"
#include "kube/api.h"
#include "reconcile/watches.h"

namespace lambda::reconcile {

struct AppliedChildren {
  std::vector<judgement::PartTrouble>
      troubles;  // refused, in the way of something, or their controllers complain
  std::vector<judgement::PartTrouble> waits;  // their controllers have not got to them yet
  std::vector<judgement::Repaired> repaired;  // what was written, as if it had been right before
  bool changed() const { return !repaired.empty(); }
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
  /// nobody but us, so their controller is not to do that: its finalizers go first. A conflict if it
  /// puts one back each time, for several times.
  base::Result<void> remove(const nlohmann::json& object, const std::stop_token& stop) const;

  /// Takes away what holds an object that is being deleted: its controller can't do its part any more.
  /// Returns the resourceVersion without it.
  base::Result<std::string> release(const nlohmann::json& object, const std::stop_token& stop) const;

 private:
  base::Result<void> remove(const nlohmann::json& object, const kube::DeleteOptions& options,
                            const std::stop_token& stop) const;
  base::Result<void> remove_without_controller(const nlohmann::json& object,
                                               const std::stop_token& stop) const;
  base::Result<void> try_to_remove(const nlohmann::json& object, const std::stop_token& stop) const;
  base::Result<nlohmann::json> find(const nlohmann::json& wanted, const std::stop_token& stop) const;
  base::Result<std::optional<judgement::Trouble>> apply_one(const nlohmann::json& wanted,
                                                            nlohmann::json& live, std::string& change,
                                                            const std::stop_token& stop) const;
  base::Result<std::optional<judgement::Trouble>> write(const nlohmann::json& wanted, nlohmann::json& live,
                                                        const std::stop_token& stop) const;

  const kube::Api& api_;
  const Watches& watches_;
};

}  // namespace lambda::reconcile
