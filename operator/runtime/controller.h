// A work queue, the threads that work on it, and what becomes of each result.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "api/object.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "metrics/registry.h"
#include "runtime/work_queue.h"

namespace lambda::runtime {

/// What a reconcile wants next: to be called again after a while, or only when something changes.
struct Action {
  std::optional<base::milliseconds> requeue_after = std::nullopt;

  static Action await_change() { return {}; }
  static Action requeue(base::milliseconds after) { return {after}; }
};

/// Brings one object closer to what it should be; never waits for something to happen. It is called for an
/// object that is gone, too.
using Reconcile = std::function<base::Result<Action>(const api::ObjectKey& key, const std::stop_token& stop)>;

struct ControllerSettings {
  std::string kind;  // "JobQueue": in logs and metrics
  unsigned threads = 2;
  RetryLimits retries{};
  double jitter = 0.1;  // a requeue comes earlier by up to this share, so that many do not come together
};

/// Calls the reconcile for each key of the queue, on several threads, one key never on two at a time. An
/// error brings the key back, later and later. Metrics: operator_reconcile_total{kind,outcome} (done,
/// requeued, stale, failed), operator_reconcile_duration_seconds{kind}, operator_work_queue_depth{kind}.
class Controller {
 public:
  using Queue = WorkQueue<api::ObjectKey>;

  Controller(ControllerSettings settings, Reconcile reconcile, metrics::Registry& registry, base::Log& log,
             base::Random random = base::system_random());

  /// Keys may be added at any time, also while nobody works on them.
  Queue& queue() { return queue_; }

  /// Works until `stop` is requested and every reconcile that was under way is back.
  void run(const std::stop_token& stop);

 private:
  void work(const std::stop_token& stop);
  void work_on(const api::ObjectKey& key, const std::stop_token& stop);
  void settle(const api::ObjectKey& key, const base::Result<Action>& result);
  void settle_error(const api::ObjectKey& key, const base::Error& error);

  ControllerSettings settings_;
  Reconcile reconcile_;
  base::Log& log_;
  std::mutex random_mutex_;
  base::Random random_;
  Queue queue_;
  prometheus::Counter& done_;
  prometheus::Counter& requeued_;
  prometheus::Counter& stale_;
  prometheus::Counter& failed_;
  prometheus::Histogram& duration_;
  prometheus::Gauge& depth_;
};

}  // namespace lambda::runtime
