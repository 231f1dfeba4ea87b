#include "runtime/reflector.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "kube/answer.h"
#include "runtime/course.h"
#include "runtime/line_buffer.h"
#include "runtime/list_page.h"
#include "runtime/watch_event.h"

namespace lambda::runtime {
namespace {

using base::ErrorKind;
using base::milliseconds;
using base::Result;
using nlohmann::json;

constexpr std::size_t event_max_bytes = 16777216;  // an object in etcd has 1.5 MB at most, and JSON is larger
constexpr milliseconds watch_head_timeout{10'000};
// A watch that lasted for so long is worth another at once, even if it brought nothing.
constexpr milliseconds watch_lived_after{20'000};

}  // namespace

class Reflector::Impl {
 public:
  Impl(ReflectorSettings settings, std::shared_ptr<kube::RestClient> client, ObjectSink& sink,
       metrics::Registry& registry, base::Log& log, base::Random random)
      : settings_(std::move(settings)),
        client_(std::move(client)),
        sink_(sink),
        log_(log),
        random_(random),
        course_(settings_.backoff, std::move(random)),
        lists_(registry.counter("operator_lists_total", "Lists of a kind that were begun", labels())),
        watches_(registry.counter("operator_watches_total", "Watches of a kind that were begun", labels())),
        failures_(registry.counter("operator_watch_failures_total",
                                   "Lists and watches of a kind that failed or broke", labels())),
        synced_gauge_(registry.gauge("operator_synced", "Whether all objects of a kind are known", labels())),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  bool synced() const {
    const std::lock_guard lock(mutex_);
    return synced_;
  }

  std::optional<base::Error> trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
  }

  bool wait_until_synced(const std::stop_token& stop) const {
    std::unique_lock lock(mutex_);
    return changed_.wait(lock, stop, [this] { return synced_; });
  }

 private:
  metrics::Labels labels() const { return {{"kind", std::string(settings_.resource.kind)}}; }

  void run(const std::stop_token& stop) {
    while (wait(course_.next().wait, stop)) {
      if (course_.next().what == Course::What::list) {
        list(stop);
      } else {
        watch(stop);
      }
    }
  }

  // False when it is time to stop.
  bool wait(milliseconds time, const std::stop_token& stop) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
  }

  void list(const std::stop_token& stop) {
    lists_.Increment();
    sink_.begin_list();
    auto resource_version = list_pages(stop);
    if (stop.stop_requested()) return;
    if (resource_version) {
      sink_.end_list();
      course_.listed(std::move(*resource_version));
      return all_is_well();
    }
    // Without the kind there are no objects of it.
    if (resource_version.error().kind == ErrorKind::not_found) sink_.end_list();
    course_.list_failed(resource_version.error());
    in_trouble(resource_version.error(), "list");
  }

  // The resource version of the list. Asked without one, so that it is no older than what was seen before;
  // and by pages, which bound its size.
  Result<std::string> list_pages(const std::stop_token& stop) {
    kube::ListPage page{.limit = settings_.page_limit, .continue_token = {}};
    while (true) {
      const auto request = kube::list_objects(settings_.resource, settings_.selection, page);
      if (!request) return tl::unexpected(request.error());
      const auto answer = client_->send(*request, settings_.list_timeout, stop);
      if (!answer) return tl::unexpected(answer.error());
      if (!answer->ok()) return tl::unexpected(kube::to_error(*answer));
      auto end = read_list_page(answer->body, [this](json&& object) { changed(std::move(object)); });
      if (!end) return tl::unexpected(end.error());
      if (end->continue_token.empty()) return std::move(end->resource_version);
      page.continue_token = std::move(end->continue_token);
    }
  }

  void watch(const std::stop_token& stop) {
    watches_.Increment();
    const base::TimePoint began = base::Clock::now();
    bool brought_something = false;
    auto error = read_watch(stop, brought_something);
    if (stop.stop_requested()) return;
    const bool lived = brought_something || base::Clock::now() - began >= watch_lived_after;
    // Nothing at all for so long: a silent connection may be a dead one, which is no trouble but worth a new
    // one.
    if (lived && error && error->kind == ErrorKind::timeout && error->http_status == 0) error.reset();
    course_.watch_ended(lived, error);
    if (error) {
      in_trouble(*error, "watch");
    } else if (lived) {
      all_is_well();
    }
  }

  // Why it ended; nothing if the API server ended it.
  std::optional<base::Error> read_watch(const std::stop_token& stop, bool& brought_something) {
    const auto request = kube::watch_objects(
        settings_.resource, settings_.selection,
        {.resource_version = course_.next().resource_version, .timeout = watch_time(), .bookmarks = true});
    if (!request) return request.error();
    LineBuffer lines(event_max_bytes);
    std::optional<base::Error> error;
    const auto on_line = [&](std::string_view line) {
      error = take_event(line);
      brought_something = brought_something || !error;
      return !error;
    };
    const auto answer = client_->stream(
        *request, [&](std::string_view bytes) { return lines.feed(bytes, on_line); },
        {.head = watch_head_timeout, .idle = settings_.watch_idle}, stop);
    if (error) return error;
    if (!answer) return answer.error();
    if (lines.too_long()) return too_large();
    if (!answer->ok()) return kube::to_error(*answer);
    return std::nullopt;
  }

  static base::Error too_large() {
    return {.kind = ErrorKind::unavailable, .message = "an event of the watch is too large", .field = {}};
  }

  std::optional<base::Error> take_event(std::string_view line) {
    auto event = parse_watch_event(line);
    if (!event) return event.error();
    std::string resource_version = resource_version_of(event->object);
    if (event->type == WatchEvent::Type::changed) changed(std::move(event->object));
    if (event->type == WatchEvent::Type::deleted) sink_.erase(key_of(event->object));
    course_.seen(std::move(resource_version));
    all_is_well();
    return std::nullopt;
  }

  void changed(json&& object) {
    api::ObjectKey key = key_of(object);
    std::string resource_version = resource_version_of(object);
    // The items of some lists do not say what they are.
    object["apiVersion"] = settings_.resource.api_version;
    object["kind"] = settings_.resource.kind;
    sink_.upsert(std::move(key), std::move(resource_version), std::move(object));
  }

  milliseconds watch_time() {
    const std::chrono::duration<double, std::milli> time = settings_.watch_least * (1 + random_());
    return std::chrono::duration_cast<milliseconds>(time);
  }

  void all_is_well() {
    const std::lock_guard lock(mutex_);
    if (trouble_) log_.info("it goes on", {{"kind", settings_.resource.kind}});
    trouble_.reset();
    become_synced();
  }

  // Told once, until it is over or another.
  void in_trouble(const base::Error& error, std::string_view doing) {
    failures_.Increment();
    const std::lock_guard lock(mutex_);
    const bool known = trouble_ && trouble_->kind == error.kind && trouble_->http_status == error.http_status;
    const bool passes_by_itself = kube::is_expired(error);
    log_.write(known || passes_by_itself ? base::Level::debug : base::Level::warning,
               "cannot follow the objects of a kind, to be tried again",
               {{"kind", settings_.resource.kind}, {"doing", doing}, {"error", base::describe(error)}});
    trouble_ = error;
    if (error.kind == ErrorKind::not_found) become_synced();
  }

  void become_synced() {
    synced_ = true;
    synced_gauge_.Set(1);
    changed_.notify_all();
  }

  const ReflectorSettings settings_;
  std::shared_ptr<kube::RestClient> client_;
  ObjectSink& sink_;
  base::Log& log_;
  base::Random random_;
  Course course_;
  prometheus::Counter& lists_;
  prometheus::Counter& watches_;
  prometheus::Counter& failures_;
  prometheus::Gauge& synced_gauge_;

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  bool synced_ = false;
  std::optional<base::Error> trouble_;
  std::jthread thread_;  // ends before what it uses
};

Reflector::Reflector(ReflectorSettings settings, std::shared_ptr<kube::RestClient> client, ObjectSink& sink,
                     metrics::Registry& registry, base::Log& log, base::Random random)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(client), sink, registry, log,
                                   std::move(random))) {}
Reflector::~Reflector() = default;

bool Reflector::synced() const {
  return impl_->synced();
}

bool Reflector::wait_until_synced(const std::stop_token& stop) const {
  return impl_->wait_until_synced(stop);
}

std::optional<base::Error> Reflector::trouble() const {
  return impl_->trouble();
}

}  // namespace lambda::runtime
