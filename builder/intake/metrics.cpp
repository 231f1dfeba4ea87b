#include "intake/metrics.h"

#include "event/job_start.h"

namespace lambda::intake {

Metrics::Metrics(metrics::Registry& registry)
    : duplicates(registry.counter("duplicate_events_skipped_total", "Events whose Job existed already",
                                  {{"event_type", std::string(event::job_start_type)}})),
      registry_(registry) {}

void Metrics::received(std::string_view flow, std::string_view outcome) {
  registry_
      .counter("events_received_total", "Events by how they came and what became of them",
               {{"flow", std::string(flow)}, {"outcome", std::string(outcome)}})
      .Increment();
}

}  // namespace lambda::intake
