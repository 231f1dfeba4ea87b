#include "runtime/event_recorder.h"

#include <array>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "runtime/event_correlator.h"
#include "runtime/micro_time.h"

namespace lambda::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t note_max_bytes = 1024;
constexpr std::size_t word_max_bytes = 128;

std::string unique_text() {
  std::random_device device;
  std::array<char, 32> text{};
  const int length = std::snprintf(text.data(), text.size(), "%08x%08x", device(), device());
  return {text.data(), static_cast<std::size_t>(length)};
}

// An Event about an object without a namespace is in that one.
std::string namespace_of(const EventNote& note) {
  const std::string& own = note.regarding.key.namespace_name;
  return own.empty() ? "default" : own;
}

json to_json(const EventNote& note, const std::string& name, const EventSettings& settings) {
  const ObjectReference& object = note.regarding;
  json regarding{{"apiVersion", object.api_version}, {"kind", object.kind}, {"name", object.key.name}};
  if (!object.key.namespace_name.empty()) regarding["namespace"] = object.key.namespace_name;
  if (!object.uid.empty()) regarding["uid"] = object.uid;
  return {{"apiVersion", kube::resources::event.api_version},
          {"kind", kube::resources::event.kind},
          {"metadata", {{"namespace", namespace_of(note)}, {"name", name}}},
          {"eventTime", micro_time_now()},
          {"reportingController", settings.controller},
          {"reportingInstance", settings.instance},
          {"regarding", std::move(regarding)},
          {"type", note.type == EventType::normal ? "Normal" : "Warning"},
          {"reason", note.reason},
          {"action", note.action},
          {"note", note.message}};
}

}  // namespace

class EventRecorder::Impl {
 public:
  Impl(EventSettings settings, kube::Api api, metrics::Registry& registry, base::Log& log)
      : settings_(std::move(settings)),
        api_(std::move(api)),
        log_(log),
        correlator_(settings_),
        sent_(outcome(registry, "sent")),
        dropped_(outcome(registry, "dropped")),
        failed_(outcome(registry, "failed")),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  void record(EventNote note) {
    note.message = base::cut(base::to_valid_utf8(note.message), note_max_bytes - 3);
    note.reason = note.reason.substr(0, word_max_bytes);
    note.action = note.action.substr(0, word_max_bytes);
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= settings_.queue_max) return dropped_.Increment();
      waiting_.push_back(std::move(note));
    }
    changed_.notify_one();
  }

 private:
  static prometheus::Counter& outcome(metrics::Registry& registry, const char* value) {
    return registry.counter("operator_events_total", "Kubernetes Events by what became of them",
                            {{"outcome", value}});
  }

  void run(const std::stop_token& stop) {
    while (const auto note = next(stop)) {
      const auto send = correlator_.admit(*note, base::Clock::now(), unique_text());
      if (!send) {
        dropped_.Increment();
        continue;
      }
      tell(*note, *send, stop);
    }
  }

  std::optional<EventNote> next(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [this] { return !waiting_.empty(); })) return std::nullopt;
    EventNote note = std::move(waiting_.front());
    waiting_.pop_front();
    return note;
  }

  void tell(const EventNote& note, const EventCorrelator::Send& send, const std::stop_token& stop) {
    const auto answer = send.count == 1 ? api_.create(to_json(note, send.name, settings_), {}, stop)
                                        : api_.patch(kube::resources::event, namespace_of(note), send.name,
                                                     kube::PatchKind::merge, series(send.count), {}, stop);
    if (answer) return sent_.Increment();
    failed_.Increment();
    correlator_.forget(note);  // it may be gone: Events are kept for an hour
    if (stop.stop_requested()) return;
    log_.info("cannot write an Event", {{"reason", note.reason},
                                        {"object", note.regarding.key.name},
                                        {"error", base::describe(answer.error())}});
  }

  static json series(std::int64_t count) {
    return {{"series", {{"count", count}, {"lastObservedTime", micro_time_now()}}}};
  }

  const EventSettings settings_;
  kube::Api api_;
  base::Log& log_;
  EventCorrelator correlator_;  // of the thread
  prometheus::Counter& sent_;
  prometheus::Counter& dropped_;
  prometheus::Counter& failed_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<EventNote> waiting_;
  std::jthread thread_;
};

EventRecorder::EventRecorder(EventSettings settings, kube::Api api, metrics::Registry& registry,
                             base::Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(api), registry, log)) {}
EventRecorder::~EventRecorder() = default;

void EventRecorder::record(EventNote note) {
  impl_->record(std::move(note));
}

}  // namespace lambda::runtime
