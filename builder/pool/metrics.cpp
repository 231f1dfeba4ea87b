#include "pool/metrics.h"

namespace lambda::pool {

Metrics::Metrics(metrics::Registry& registry)
    : creations(
          registry.counter("kaniko_job_creation_success_total", "Jobs that the Kubernetes API accepted")),
      creation_seconds(registry.histogram("job_creation_duration_seconds", "One try to create a Job",
                                          metrics::duration_buckets())),
      queue_depth(registry.gauge("async_job_queue_depth", "Creations that wait for a worker or a retry")),
      queue_full(registry.counter("async_job_queue_full_total", "Creations that found no room in the queue")),
      wait_seconds(
          registry.histogram("async_job_queue_wait_duration_seconds",
                             "From admission to the queue until a worker takes it for the first time",
                             metrics::duration_buckets())),
      processing_seconds(registry.histogram("async_job_processing_duration_seconds",
                                            "From admission to the queue until the creation has ended",
                                            metrics::duration_buckets())),
      worker_errors(registry.counter("async_worker_errors_total", "Tries to create a Job that failed")),
      active(registry.gauge("concurrent_jobs_active", "Creations that a worker has in hand")),
      breaker_open(registry.gauge("kubernetes_api_breaker_open",
                                  "1 while the Kubernetes API creates no Jobs of ours and is only probed")),
      registry_(registry) {}

prometheus::Counter& Metrics::creation_failures(base::ErrorKind reason) {
  return registry_.counter("kaniko_job_creation_failure_total", "Creations that ended without a Job",
                           {{"reason", std::string(base::to_string(reason))}});
}

}  // namespace lambda::pool
