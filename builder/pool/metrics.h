// What the pool counts. Names are part of the contract with dashboards and alerts.
#pragma once

#include "base/error.h"
#include "metrics/registry.h"

namespace lambda::pool {

struct Metrics {
  explicit Metrics(metrics::Registry& registry);

  /// kaniko_job_creation_failure_total by what kind of error it was.
  prometheus::Counter& creation_failures(base::ErrorKind reason);

  prometheus::Counter& creations;
  prometheus::Histogram& creation_seconds;
  prometheus::Gauge& queue_depth;
  prometheus::Counter& queue_full;
  prometheus::Histogram& wait_seconds;
  prometheus::Histogram& processing_seconds;
  prometheus::Counter& worker_errors;
  prometheus::Gauge& active;
  prometheus::Gauge& breaker_open;

 private:
  metrics::Registry& registry_;
};

}  // namespace lambda::pool
