// Where result events go: an HTTP receiver of CloudEvents, as a Knative Broker's ingress is one.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/backoff.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "cloudevents/event.h"
#include "metrics/registry.h"

namespace lambda::follow {

struct SinkSettings {
  std::string url;  // http://host:port/path
  base::milliseconds timeout{10'000};
  base::Backoff backoff{base::milliseconds(500), base::milliseconds(60'000)};
};

/// Thread-safe. Metric: operator_build_results_total{outcome} (delivered, failed).
class Sink {
 public:
  Sink(SinkSettings settings, metrics::Registry& registry, base::Log& log,
       base::Random random = base::system_random());
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  /// Success once the sink has answered 2xx to the event in binary mode. `unavailable` or `timeout`: the sink
  /// is away for everybody, which the others learn without asking it, until the time for another try has come
  /// (retry_in). `invalid`: it does not want this event.
  base::Result<void> send(const cloudevents::Event& event, const std::stop_token& stop);

  /// How long to wait before it is worth asking again.
  base::milliseconds retry_in() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::follow
