#include "runtime/controller.h"

#include <algorithm>
#include <exception>

#include "kube/answer.h"

namespace lambda::runtime {
namespace {

constexpr std::chrono::seconds retry_after_max{600};

std::string name_of(const api::ObjectKey& key) {
  return key.namespace_name.empty() ? key.name : key.namespace_name + "/" + key.name;
}

prometheus::Counter& outcome_counter(metrics::Registry& registry, const std::string& kind,
                                     const char* outcome) {
  return registry.counter("operator_reconcile_total", "Reconciles by their outcome",
                          {{"kind", kind}, {"outcome", outcome}});
}

}  // namespace

Controller::Controller(ControllerSettings settings, Reconcile reconcile, metrics::Registry& registry,
                       base::Log& log, base::Random random)
    : settings_(std::move(settings)),
      reconcile_(std::move(reconcile)),
      log_(log),
      random_(std::move(random)),
      queue_(settings_.retries),
      done_(outcome_counter(registry, settings_.kind, "done")),
      requeued_(outcome_counter(registry, settings_.kind, "requeued")),
      stale_(outcome_counter(registry, settings_.kind, "stale")),
      failed_(outcome_counter(registry, settings_.kind, "failed")),
      duration_(registry.histogram("operator_reconcile_duration_seconds", "How long a reconcile took",
                                   metrics::duration_buckets(), {{"kind", settings_.kind}})),
      depth_(registry.gauge("operator_work_queue_depth", "Keys that wait to be reconciled",
                            {{"kind", settings_.kind}})) {}

void Controller::run(const std::stop_token& stop) {
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < settings_.threads; ++i) threads.emplace_back([this, stop] { work(stop); });
}

void Controller::work(const std::stop_token& stop) {
  while (const auto key = queue_.take(stop)) {
    depth_.Set(static_cast<double>(queue_.ready()));
    work_on(*key, stop);
    queue_.done(*key);
    depth_.Set(static_cast<double>(queue_.ready()));
  }
}

void Controller::work_on(const api::ObjectKey& key, const std::stop_token& stop) {
  const base::TimePoint began = base::Clock::now();
  const base::Result<Action> result = [&]() -> base::Result<Action> {
    try {
      return reconcile_(key, stop);
    } catch (const std::exception& error) {  // one object that nobody thought of must not stop all others
      return base::fail(base::ErrorKind::internal, error.what());
    }
  }();
  const std::chrono::duration<double> took = base::Clock::now() - began;
  duration_.Observe(took.count());
  settle(key, result);
}

void Controller::settle(const api::ObjectKey& key, const base::Result<Action>& result) {
  if (!result) return settle_error(key, result.error());
  queue_.forget(key);
  if (!result->requeue_after) return done_.Increment();
  requeued_.Increment();
  const std::lock_guard lock(random_mutex_);
  const double share = 1 - settings_.jitter * random_();
  queue_.add_after(key, std::chrono::duration_cast<base::milliseconds>(*result->requeue_after * share));
}

void Controller::settle_error(const api::ObjectKey& key, const base::Error& error) {
  const bool stale = kube::is_stale(error);
  (stale ? stale_ : failed_).Increment();
  base::milliseconds wait{};
  if (error.retry_after) {
    wait = std::min(*error.retry_after, retry_after_max);
    queue_.add_after(key, wait);
  } else {
    wait = queue_.add_rate_limited(key);
  }
  // Somebody else wrote in between: the next try sees it.
  log_.write(stale ? base::Level::debug : base::Level::warning, "reconcile failed, to be tried again",
             {{"kind", settings_.kind},
              {"object", name_of(key)},
              {"error", base::describe(error)},
              {"retry_in", base::format_duration(wait)}});
}

}  // namespace lambda::runtime
