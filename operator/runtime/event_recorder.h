// Kubernetes Events about objects, without floods.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "api/object.h"
#include "base/log.h"
#include "kube/api.h"
#include "metrics/registry.h"

namespace lambda::runtime {

enum class EventType { normal, warning };

struct ObjectReference {
  std::string api_version;
  std::string kind;
  api::ObjectKey key;
  std::string uid;

  auto operator<=>(const ObjectReference&) const = default;
};

struct EventNote {
  ObjectReference regarding;
  EventType type = EventType::normal;
  std::string reason;   // CamelCase
  std::string action;   // what we were about: "Apply", "Delete", …
  std::string message;  // for a person; cut at 1 KiB

  auto operator<=>(const EventNote&) const = default;
};

struct EventSettings {
  std::string controller = "lambda.notifi.network/operator";  // reportingController
  std::string instance;                                       // reportingInstance: the pod's name
  std::size_t queue_max = 1000;                               // what more comes in is dropped and counted
  double burst_per_object = 25;
  double per_second_per_object = 1.0 / 300;
  std::size_t remembered_max = 4096;          // events that are counted up when they come again
  base::milliseconds count_up_every{60'000};  // one event is counted up no more often
};

/// The same note about the same object is one Event that is counted up; an object that has too many notes
/// gets no more for a while. Never blocks: a thread of its own sends them. Failures are logged, nothing more.
/// Metrics: operator_events_total{outcome} (sent, dropped, failed).
class EventRecorder {
 public:
  /// `api` decides whether we may write at all; without that the note is dropped.
  EventRecorder(EventSettings settings, kube::Api api, metrics::Registry& registry, base::Log& log);
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void record(EventNote note);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::runtime
