#include "intake/sink.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "cloudevents/http.h"
#include "cloudevents/trace.h"
#include "job/job.h"

namespace lambda::intake {
namespace {

namespace asio = boost::asio;
using base::ErrorKind;

// Knative's dispatchers send binary mode: of a request that is no event for us, this still says that it came
// by the queue.
constexpr std::string_view source_header = "ce-source";

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

}  // namespace

Sink::Sink(const config::Config& config, pool::Pool& pool, base::Log& log, metrics::Registry& registry)
    : config_(config), job_maker_(config.build), pool_(pool), log_(log), metrics_(registry) {}

asio::awaitable<http::Response> Sink::receive(http::Request request) {
  base::Result<cloudevents::Event> event = decode(request);
  if (!event) {
    const Flow flow = flow_of(http::find_header(request.headers, source_header));
    metrics_.received(to_string(flow), "malformed");
    log_.warning("no event in the request", {{"error", base::describe(event.error())}});
    co_return refused(flow, event.error());
  }
  const Flow flow = flow_of(event->source);
  if (const auto accepted = check_flow(flow); !accepted) co_return refuse(*event, flow, accepted.error());
  co_return co_await start_job(std::move(*event), flow);
}

http::Response Sink::refuse_request(unsigned status, const base::Error& error, const http::Headers& headers) {
  const Flow flow = flow_of(http::find_header(headers, source_header));
  metrics_.received(headers.empty() ? "unknown" : to_string(flow), "malformed");
  log_.warning("request refused", {{"status", std::to_string(status)}, {"error", base::describe(error)}});
  return flow == Flow::direct ? http::error_response(status, error) : refused(flow, error);
}

Flow Sink::flow_of(std::string_view event_source) const {
  const auto& sources = config_.intake.queue_sources;
  return std::find(sources.begin(), sources.end(), event_source) != sources.end() ? Flow::queue
                                                                                  : Flow::direct;
}

base::Result<void> Sink::check_flow(Flow flow) const {
  const bool accepted = flow == Flow::direct ? config_.intake.accept_direct : config_.intake.accept_queue;
  if (accepted) return {};
  return base::fail(ErrorKind::forbidden,
                    flow == Flow::direct
                        ? "events sent directly are not accepted here (intake.accept); send them by the queue"
                        : "events from the queue are not accepted here (intake.accept)",
                    "source");
}

asio::awaitable<http::Response> Sink::start_job(cloudevents::Event event, Flow flow) {
  const base::Result<event::JobStart> start = event::parse_job_start(event, config_.build);
  if (!start) co_return refuse(event, flow, start.error());
  pool::Creation creation;
  creation.job = job_maker_.make(event, *start, 0);
  creation.event_source = event.source;
  creation.event_id = event.id;
  creation.tenant = start->third_party_id;
  creation.correlation_id = start->correlation_id;
  creation.trace_id = cloudevents::trace_id(event);
  creation.priority = start->priority;
  creation.deadline = base::Clock::now() + config_.http.request_timeout;
  const pool::Outcome outcome = co_await pool_.create(creation);
  co_return answer(creation, outcome, flow);
}

http::Response Sink::answer(const pool::Creation& creation, const pool::Outcome& outcome, Flow flow) {
  metrics_.received(to_string(flow), pool::to_string(outcome.ending));
  const bool duplicate = outcome.ending == pool::Ending::duplicate;
  if (duplicate) metrics_.duplicates.Increment();
  const base::Level level = outcome.safe() ? base::Level::info : base::Level::warning;
  log_.write(level, outcome.safe() ? "event accepted" : "event not accepted",
             {{"event_id", creation.event_id},
              {"correlation_id", creation.correlation_id},
              {"third_party_id", creation.tenant},
              {"job_name", creation.job.name},
              {"trace_id", creation.trace_id},
              {"outcome", pool::to_string(outcome.ending)},
              {"error", base::describe(outcome.error)}});
  if (outcome.safe()) {
    return queued(creation.job, creation.correlation_id, duplicate,
                  base::format_rfc3339(std::chrono::system_clock::now()));
  }
  if (outcome.ending == pool::Ending::refused) return refused(flow, outcome.error, creation.correlation_id);
  return unavailable(outcome.error, creation.correlation_id);
}

http::Response Sink::refuse(const cloudevents::Event& event, Flow flow, const base::Error& error) {
  metrics_.received(to_string(flow), "refused");
  log_.warning(
      "event refused",
      {{"event_id", event.id}, {"trace_id", cloudevents::trace_id(event)}, {"error", base::describe(error)}});
  return refused(flow, error);
}

}  // namespace lambda::intake
