// What is counted of dead letters. Names are part of the contract with dashboards and alerts.
#pragma once

#include <string_view>

#include "amqp/publisher.h"
#include "build/dead_letter.h"
#include "metrics/registry.h"

namespace lambda::deadletter {

class Metrics {
 public:
  explicit Metrics(metrics::Registry& registry) : registry_(registry) {}

  /// dead_letters_total; a reason that is no word of base::ErrorKind counts as `internal`.
  prometheus::Counter& sent(build::Stage stage, std::string_view reason);
  /// dead_letter_failures_total
  prometheus::Counter& failed(amqp::Ending ending);

 private:
  metrics::Registry& registry_;
};

}  // namespace lambda::deadletter
