// The program's metrics and their exposition in the Prometheus text format.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace lambda::metrics {

using Labels = std::map<std::string, std::string>;

/// Upper bounds for durations from a millisecond to a minute, in seconds.
std::vector<double> duration_buckets();

/// Hands out metrics that live as long as it does: ask once, keep the reference. The same name and labels
/// give the same metric. Label values come from closed sets, never from an event. Thread-safe, as the metrics
/// are.
class Registry {
 public:
  prometheus::Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  prometheus::Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  prometheus::Histogram& histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& bounds, const Labels& labels = {});

  /// All of them, in the text format; `content_type` is what to call it in HTTP.
  std::string exposition() const;
  static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

 private:
  prometheus::Registry registry_;
};

}  // namespace lambda::metrics
