// JobQueue: observe, compare, apply, look at the broker, tell.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "api/job_queue.h"
#include "base/error.h"
#include "base/log.h"
#include "kube/api.h"
#include "metrics/registry.h"
#include "rabbitmq/snapshots.h"
#include "reconcile/connections.h"
#include "reconcile/watches.h"
#include "runtime/controller.h"
#include "runtime/event_recorder.h"

namespace lambda::reconcile {

/// What all reconcilers work with. Each outlives them and is thread-safe.
struct Tools {
  const kube::Api& api;
  const Watches& watches;
  Lookups& lookups;
  Connections& connections;
  rabbitmq::Snapshots& snapshots;
  runtime::EventRecorder& events;
  metrics::Registry& registry;
  base::Log& log;
};

/// Thread-safe, but for one key at a time only.
///
/// Nothing is written where nothing differs. What is wrong and does not pass by itself becomes a condition,
/// not an error; errors are what is worth another try soon.
class JobQueues {
 public:
  explicit JobQueues(Tools tools);
  ~JobQueues();
  JobQueues(const JobQueues&) = delete;
  JobQueues& operator=(const JobQueues&) = delete;

  base::Result<runtime::Action> reconcile(const api::ObjectKey& key, const std::stop_token& stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::reconcile
