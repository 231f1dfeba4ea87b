// The objects that the operator keeps up with: ours, and what it makes for them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/object.h"
#include "base/log.h"
#include "kube/resource.h"
#include "kube/rest_client.h"
#include "metrics/registry.h"

namespace lambda::reconcile {

using SharedObject = std::shared_ptr<const nlohmann::json>;

/// What was made for a JobQueue changed: its key. Nothing if the object serves several.
using OnChildChange = std::function<void(const std::optional<api::ObjectKey>& job_queue)>;
using OnChange = std::function<void(const api::ObjectKey& key)>;

struct WatchHandlers {
  OnChange on_job_queue;  // what a person writes of it changed, or it is gone; not its status
  OnChange on_redrive;
  OnChildChange on_child;
};

/// One watch for each kind; a kind that the API server does not know is asked for again and again. Of each
/// object apiVersion, kind, the useful metadata, spec and conditions are kept (of JobQueues and redrives the
/// whole status). Thread-safe; the handlers run on threads of the watches.
class Watches {
 public:
  /// `namespace_name`: of JobQueues and redrives; empty: all. The others outlive it.
  Watches(const std::string& namespace_name, WatchHandlers handlers,
          const std::shared_ptr<kube::RestClient>& client, metrics::Registry& registry, base::Log& log);
  ~Watches();
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;

  /// Waits until JobQueues and redrives have been listed, and of the others those that the API server knows.
  bool wait_until_synced(const std::stop_token& stop) const;

  bool synced(const kube::Resource& resource) const;

  /// Null if there is none, or if it is of a kind that we make and does not carry our label.
  SharedObject find(const kube::Resource& resource, const api::ObjectKey& key) const;
  std::vector<SharedObject> all(const kube::Resource& resource) const;

  /// What was made for this JobQueue, of all kinds, without what serves several.
  std::vector<SharedObject> children_of(const api::ObjectKey& job_queue) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::reconcile
