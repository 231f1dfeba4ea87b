#include "intake/metrics.h"

namespace lambda::intake {

Metrics::Metrics(metrics::Registry& registry) : registry_(registry) {}

void Metrics::received(std::string_view flow, std::string_view outcome) {
  const auto [found, is_new] = received_.try_emplace(std::string(flow) + '/' + std::string(outcome), nullptr);
  if (is_new) {
    found->second =
        &registry_.counter("events_received_total", "Events by how they came and what became of them",
                           {{"flow", std::string(flow)}, {"outcome", std::string(outcome)}});
  }
  found->second->Increment();
}

void Metrics::duplicate(std::string_view event_type) {
  registry_
      .counter("duplicate_events_skipped_total", "Events whose Job existed already",
               {{"event_type", std::string(event_type)}})
      .Increment();
}

}  // namespace lambda::intake
