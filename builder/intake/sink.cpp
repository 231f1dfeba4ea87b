#include "intake/sink.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.h"
#include "cloudevents/http.h"
#include "cloudevents/trace.h"
#include "intake/answer.h"

namespace lambda::intake {
namespace {

namespace asio = boost::asio;
using base::Clock;
using base::ErrorKind;

// Knative's dispatchers send binary mode: of a request that is no event for us, this still says that it came
// by the queue.
constexpr std::string_view source_header = "ce-source";

constexpr std::string_view respond_async = "respond-async";

std::string now_text() {
  return base::format_rfc3339(std::chrono::system_clock::now());
}

base::Result<cloudevents::Event> decode(const http::Request& request) {
  std::vector<cloudevents::Header> headers;
  headers.reserve(request.headers.size());
  for (const auto& [name, value] : request.headers) headers.push_back({name, value});
  auto event =
      cloudevents::decode_http(http::find_header(request.headers, "content-type"), headers, request.body);
  // The dispatcher that hands an event on sends the trace of this very delivery; an event's own trace comes
  // first.
  if (const auto traceparent = http::find_header(request.headers, "traceparent");
      event && cloudevents::is_traceparent(traceparent)) {
    event->extensions.try_emplace(std::string(cloudevents::traceparent_extension), traceparent);
  }
  return event;
}

// The request as a dead letter keeps it: without what proves who sent it.
build::Undecodable undecodable(const http::Request& request) {
  constexpr std::array<std::string_view, 3> secret{"authorization", "proxy-authorization", "cookie"};
  build::Undecodable out;
  for (const auto& [name, value] : request.headers) {
    const auto is_name = [&name](std::string_view other) { return base::equals_ignoring_case(name, other); };
    if (std::ranges::none_of(secret, is_name)) out.headers.emplace_back(name, value);
  }
  out.content_type = http::find_header(request.headers, "content-type");
  out.body = request.body;
  return out;
}

// RFC 7240: preferences are separated by commas, their parameters by semicolons.
bool prefers_async(const http::Request& request) {
  std::string_view left = http::find_header(request.headers, "prefer");
  while (!left.empty()) {
    const auto comma = left.find(',');
    const std::string_view preference = left.substr(0, comma);
    if (base::equals_ignoring_case(base::trim(preference.substr(0, preference.find(';'))), respond_async))
      return true;
    left = comma == std::string_view::npos ? std::string_view() : left.substr(comma + 1);
  }
  return false;
}

}  // namespace

// A batch on its way, shared by the coroutines that work on it.
struct Sink::Batch {
  Batch(const asio::any_io_executor& executor, std::vector<base::Result<cloudevents::Event>> events_of_it,
        Arrival how)
      : events(std::move(events_of_it)),
        arrival(std::move(how)),
        verdicts(events.size()),
        done(executor, base::TimePoint::max()) {}

  std::vector<base::Result<cloudevents::Event>> events;
  Arrival arrival;
  std::vector<Verdict> verdicts;
  std::size_t next = 0;
  std::size_t ended = 0;
  asio::steady_timer done;
};

Sink::Sink(asio::any_io_executor executor, const config::Config& config, auth::Authenticator& authenticator,
           Reception& reception)
    : executor_(std::move(executor)), config_(config), authenticator_(authenticator), reception_(reception) {}

asio::awaitable<http::Response> Sink::receive(http::Request request) {
  Arrival arrival;
  arrival.deadline = Clock::now() + config_.http.request_timeout;
  arrival.first_time = std::chrono::system_clock::now();
  std::string authorization(http::find_header(request.headers, "authorization"));
  base::Result<auth::Principal> principal =
      co_await authenticator_.authenticate(std::move(authorization), arrival.deadline);
  if (!principal) co_return refuse_sender(request, principal.error());
  arrival.principal = std::move(*principal);
  if (cloudevents::is_batch(http::find_header(request.headers, "content-type"))) {
    co_return co_await receive_batch(request, std::move(arrival));
  }
  const bool asked = config_.intake.respond_async && prefers_async(request);
  arrival.answer_at_once = asked || config_.async_job_creator.acknowledge == config::Acknowledge::immediate;
  http::Response response = co_await receive_one(request, std::move(arrival));
  if (asked && response.status == 202) response.headers.emplace_back("Preference-Applied", respond_async);
  co_return response;
}

asio::awaitable<http::Response> Sink::receive_one(const http::Request& request, Arrival arrival) {
  base::Result<cloudevents::Event> event = decode(request);
  arrival.flow = flow_of(request, event);
  const Flow flow = arrival.flow;
  const Verdict verdict =
      event ? co_await reception_.take(std::move(*event), std::move(arrival))
            : co_await reception_.take_undecodable(undecodable(request), event.error(), std::move(arrival));
  co_return answer(verdict, flow, now_text());
}

// Never answered at once: of a batch that has more of one tenant's events than its share, some would have to
// come again, and with them the whole batch, each time.
asio::awaitable<http::Response> Sink::receive_batch(const http::Request& request, Arrival arrival) {
  auto events = cloudevents::decode_http_batch(http::find_header(request.headers, "content-type"),
                                               request.body, config_.async_job_creator.max_queue_size);
  if (!events) {
    const Verdict malformed =
        co_await reception_.take_undecodable(undecodable(request), events.error(), std::move(arrival));
    co_return answer(malformed, Flow::direct, now_text());
  }
  const auto batch = std::make_shared<Batch>(executor_, std::move(*events), std::move(arrival));
  // No more at a time than one tenant may have in the queue: a batch is to fit even if it is all one
  // tenant's.
  const std::size_t workers = std::min(batch->events.size(), config_.async_job_creator.max_queue_per_tenant);
  for (std::size_t i = 0; i < workers; ++i) asio::co_spawn(executor_, work_on(batch), asio::detached);
  while (batch->ended < batch->events.size()) {
    boost::system::error_code ignored;
    co_await batch->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return answer_batch(batch->verdicts, now_text());
}

asio::awaitable<void> Sink::work_on(std::shared_ptr<Batch> batch) {
  while (batch->next < batch->events.size()) {
    const std::size_t index = batch->next++;
    batch->verdicts[index] = co_await take(std::move(batch->events[index]), batch->arrival);
    if (++batch->ended == batch->events.size()) batch->done.cancel();
  }
}

asio::awaitable<Verdict> Sink::take(base::Result<cloudevents::Event> event, Arrival arrival) {
  if (event) {
    arrival.flow = reception_.flow_of(event->source);
    co_return co_await reception_.take(std::move(*event), std::move(arrival));
  }
  co_return co_await reception_.take_undecodable({}, event.error(), std::move(arrival));
}

Flow Sink::flow_of(const http::Request& request, const base::Result<cloudevents::Event>& event) const {
  return reception_.flow_of(event ? std::string_view(event->source)
                                  : http::find_header(request.headers, source_header));
}

// From the queue, 401 would make the dispatcher drop the event; and what nobody vouches for is no dead letter
// either.
http::Response Sink::refuse_sender(const http::Request& request, const base::Error& error) const {
  const base::Result<cloudevents::Event> event = decode(request);
  const Flow flow = flow_of(request, event);
  Verdict verdict;
  verdict.ending = error.kind == ErrorKind::unauthenticated ? Ending::refused : Ending::unavailable;
  verdict.error = error;
  reception_.note_refusal(error, verdict.ending, to_string(flow));
  return answer(verdict, flow, now_text());
}

http::Response Sink::handshake(const http::Request& request) {
  http::Response response;
  response.content_type.clear();
  response.headers.emplace_back("Allow", "POST, OPTIONS");
  if (const auto origin = http::find_header(request.headers, "webhook-request-origin"); !origin.empty()) {
    response.headers.emplace_back("WebHook-Allowed-Origin", origin);
    if (!http::find_header(request.headers, "webhook-request-rate").empty()) {
      response.headers.emplace_back("WebHook-Allowed-Rate", "*");
    }
  }
  return response;
}

http::Response Sink::refuse_request(unsigned status, const base::Error& error, const http::Headers& headers) {
  const Flow flow = reception_.flow_of(http::find_header(headers, source_header));
  reception_.note_refusal(error, Ending::malformed, headers.empty() ? "unknown" : to_string(flow));
  return http::error_response(flow == Flow::direct ? status : 503, error);
}

}  // namespace lambda::intake
