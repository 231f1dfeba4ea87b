// The builds that are not settled yet, and the pods that run them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/object.h"
#include "base/log.h"
#include "builds/build.h"
#include "builds/pod.h"
#include "kube/rest_client.h"
#include "metrics/registry.h"

namespace lambda::follow {

using BuildPointer = std::shared_ptr<const builds::Build>;

/// A watch of the builder's Jobs without an outcome label, and one of those of their pods that wait or run:
/// what is over and told costs nothing, however long Kubernetes keeps it. Thread-safe.
class BuildStore {
 public:
  /// The key of a Job that changed, or whose pod did, and the build as it is now: null if it is gone, or if
  /// only its pod changed.
  using OnChange = std::function<void(const api::ObjectKey& key, const BuildPointer& build)>;

  /// `on_change` is called on the watches' threads. The others outlive it.
  BuildStore(const std::string& namespace_name, OnChange on_change,
             const std::shared_ptr<kube::RestClient>& client, metrics::Registry& registry, base::Log& log);
  ~BuildStore();
  BuildStore(const BuildStore&) = delete;
  BuildStore& operator=(const BuildStore&) = delete;

  /// False when `stop` was requested first.
  bool wait_until_synced(const std::stop_token& stop) const;

  /// Null if there is none. Of one that is over only what decides what to do about it is kept: see
  /// keep_essentials().
  BuildPointer find(const api::ObjectKey& key) const;
  std::vector<BuildPointer> all() const;

  /// Its newest pod as it was last seen waiting or running; it may be over or gone by now.
  std::optional<builds::Pod> last_pod(const api::ObjectKey& job) const;

  /// What was kept of its pods, once the build is settled or gone.
  void forget_pods(const api::ObjectKey& job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::follow
