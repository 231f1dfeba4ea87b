#include "follow/sink.h"

#include <algorithm>
#include <mutex>

#include "cloudevents/http.h"
#include "rest/client.h"

namespace lambda::follow {
namespace {

using base::ErrorKind;
using base::milliseconds;
using base::Result;

struct Place {
  std::string origin;  // "http://host:port"
  std::string path;    // "/" at least
};

Place place_of(const std::string& url) {
  const std::size_t path = url.find('/', url.find("://") + 3);
  if (path == std::string::npos) return {url, "/"};
  return {url.substr(0, path), url.substr(path)};
}

rest::Request to_request(const cloudevents::Event& event, const std::string& path) {
  cloudevents::BinaryRequest binary = cloudevents::encode_http(event);
  return {.method = "POST",
          .target = path,
          .headers = std::move(binary.headers),
          .content_type = std::move(binary.content_type),
          .body = std::string(binary.body)};
}

// What no other event would be answered, as far as one can tell.
bool refuses_this_event(unsigned status) {
  return status == 400 || status == 406 || status == 409 || status == 413 || status == 415 || status == 422;
}

Result<void> read(const Result<rest::Response>& response) {
  if (!response) return tl::unexpected(response.error());
  if (response->ok()) return {};
  const std::string what = "the sink answered " + std::to_string(response->status);
  if (refuses_this_event(response->status)) return base::fail(ErrorKind::invalid, what);
  return tl::unexpected(base::Error{.kind = ErrorKind::unavailable,
                                    .message = what,
                                    .field = {},
                                    .retry_after = response->retry_after,
                                    .http_status = response->status});
}

}  // namespace

class Sink::Impl {
 public:
  Impl(SinkSettings settings, metrics::Registry& registry, base::Log& log, base::Random random)
      : settings_(std::move(settings)),
        place_(place_of(settings_.url)),
        client_(rest::Endpoint{.url = place_.origin}, answer_max_bytes),
        log_(log),
        random_(std::move(random)),
        delivered_(counter(registry, "delivered")),
        failed_(counter(registry, "failed")) {}

  Result<void> send(const cloudevents::Event& event, const std::stop_token& stop) {
    if (retry_in() > milliseconds(0)) {
      const std::lock_guard lock(mutex_);
      return base::fail(ErrorKind::unavailable, last_error_);
    }
    Result<void> sent = read(client_.send(to_request(event, place_.path), settings_.timeout, stop));
    if (stop.stop_requested() && !sent) return sent;
    (sent ? delivered_ : failed_).Increment();
    if (sent || sent.error().kind == ErrorKind::invalid) {
      note_reached();
    } else {
      note_away(sent.error());
    }
    return sent;
  }

  milliseconds retry_in() const {
    const std::lock_guard lock(mutex_);
    const auto left = std::chrono::ceil<milliseconds>(retry_at_ - base::Clock::now());
    return std::max(left, milliseconds(0));
  }

 private:
  static constexpr std::size_t answer_max_bytes = 1 << 20;

  static prometheus::Counter& counter(metrics::Registry& registry, const char* outcome) {
    return registry.counter("operator_build_results_total", "Result events by what became of them",
                            {{"outcome", outcome}});
  }

  void note_reached() {
    const std::lock_guard lock(mutex_);
    if (failures_ > 0) log_.info("the sink of result events is there again", {{"sink", settings_.url}});
    failures_ = 0;
    retry_at_ = {};
  }

  // Told once, not for each event.
  void note_away(const base::Error& error) {
    const std::lock_guard lock(mutex_);
    if (failures_ == 0) {
      log_.warning("the sink of result events is away, to be tried again",
                   {{"sink", settings_.url}, {"error", base::describe(error)}});
    }
    const base::TimePoint now = base::Clock::now();
    if (retry_at_ > now) return;  // another thread has met the same trouble
    milliseconds wait = settings_.backoff.delay(failures_, random_);
    if (error.retry_after) wait = std::max<milliseconds>(wait, std::min(*error.retry_after, retry_after_max));
    ++failures_;
    retry_at_ = now + wait;
    last_error_ = error.message;
  }

  static constexpr std::chrono::seconds retry_after_max{600};

  const SinkSettings settings_;
  const Place place_;
  rest::Client client_;
  base::Log& log_;
  base::Random random_;  // under the mutex
  prometheus::Counter& delivered_;
  prometheus::Counter& failed_;
  mutable std::mutex mutex_;
  unsigned failures_ = 0;
  base::TimePoint retry_at_{};
  std::string last_error_;
};

Sink::Sink(SinkSettings settings, metrics::Registry& registry, base::Log& log, base::Random random)
    : impl_(std::make_unique<Impl>(std::move(settings), registry, log, std::move(random))) {}
Sink::~Sink() = default;

Result<void> Sink::send(const cloudevents::Event& event, const std::stop_token& stop) {
  return impl_->send(event, stop);
}

milliseconds Sink::retry_in() const {
  return impl_->retry_in();
}

}  // namespace lambda::follow
