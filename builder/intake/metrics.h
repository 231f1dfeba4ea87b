// What the intake counts. Names are part of the contract with dashboards and alerts.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "metrics/registry.h"

namespace lambda::intake {

class Metrics {
 public:
  explicit Metrics(metrics::Registry& registry);

  /// events_received_total. `flow` is direct, queue, or unknown (not even a header could be read); `outcome`
  /// is the word for an Ending.
  void received(std::string_view flow, std::string_view outcome);

  /// duplicate_events_skipped_total: the Job existed already.
  void duplicate(std::string_view event_type);

 private:
  metrics::Registry& registry_;
  std::map<std::string, prometheus::Counter*> received_;  // looking one up in the registry costs far more
};

}  // namespace lambda::intake
