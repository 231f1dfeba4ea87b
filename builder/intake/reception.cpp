#include "intake/reception.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "cloudevents/trace.h"
#include "event/job_start.h"

namespace lambda::intake {
namespace {

namespace asio = boost::asio;
using base::Clock;
using base::ErrorKind;
using base::TimePoint;

std::string now_text() {
  return base::format_rfc3339(std::chrono::system_clock::now());
}

Verdict verdict(Ending ending, base::Error error = {}) {
  Verdict out;
  out.ending = ending;
  out.error = std::move(error);
  return out;
}

Verdict verdict(Ending ending, const pool::Creation& creation, base::Error error = {}) {
  return {ending,
          std::move(error),
          creation.job.name,
          creation.job.namespace_name,
          creation.correlation_id,
          creation.tenant};
}

Ending ending_of(pool::Ending ending) {
  switch (ending) {
    case pool::Ending::created:
      return Ending::created;
    case pool::Ending::duplicate:
      return Ending::duplicate;
    case pool::Ending::refused:
      return Ending::refused;
    case pool::Ending::unavailable:
      return Ending::unavailable;
  }
  return Ending::unavailable;
}

build::DeadLetter dead_letter(build::Stage stage, const base::Error& error, const Arrival& arrival) {
  build::DeadLetter letter;
  letter.stage = stage;
  letter.reason = base::to_string(error.kind);
  letter.error = error.message;
  letter.field = error.field;
  letter.first_time = base::format_rfc3339(arrival.first_time);
  letter.last_time = now_text();
  letter.attempts = arrival.earlier_attempts + 1;
  return letter;
}

build::DeadLetter dead_letter(const cloudevents::Event& event, const Verdict& about,
                              const pool::Outcome& outcome, const Arrival& arrival) {
  build::DeadLetter letter = dead_letter(build::Stage::create, outcome.error, arrival);
  letter.original = event;
  letter.attempts = arrival.earlier_attempts + std::max(outcome.tries, 1U);
  letter.correlation_id = about.correlation_id;
  letter.job_name = about.job_name;
  letter.third_party_id = about.third_party_id;
  return letter;
}

// Of an event that was answered at once. The pool itself waits while the API server is away.
constexpr std::chrono::seconds repeat_after{1};

asio::awaitable<void> pause(const asio::any_io_executor& executor, std::chrono::seconds length) {
  asio::steady_timer timer(executor, length);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace

Reception::Reception(asio::any_io_executor executor, const config::Config& config, pool::Pool& pool,
                     deadletter::DeadLetters* dead_letters, base::Log& log, metrics::Registry& registry)
    : executor_(std::move(executor)),
      config_(config),
      jobs_(config.build, job::Format::protobuf),
      pool_(pool),
      dead_letters_(dead_letters),
      log_(log),
      metrics_(registry),
      finished_(executor_, TimePoint::max()) {
  if (const auto& why = jobs_.why_json()) {
    log_.info("Jobs go to the Kubernetes API as JSON, which costs it more",
              {{"because", base::describe(*why)}});
  }
}

asio::awaitable<Verdict> Reception::take(cloudevents::Event event, Arrival arrival) {
  Verdict verdict = co_await start(event, arrival);
  note(verdict, arrival.flow, event);
  co_return verdict;
}

asio::awaitable<Verdict> Reception::take_undecodable(build::Undecodable message, base::Error error,
                                                     Arrival arrival) {
  build::DeadLetter letter = dead_letter(build::Stage::intake, error, arrival);
  letter.original = std::move(message);
  Verdict verdict = co_await end_in_vain(std::move(letter), std::move(error), arrival, Ending::malformed);
  note(verdict, arrival.flow, {});
  co_return verdict;
}

void Reception::note_refusal(const base::Error& error, Ending ending, std::string_view flow) {
  metrics_.received(flow, to_string(ending));
  log_.warning("request refused", {{"error", base::describe(error)}});
}

Flow Reception::flow_of(std::string_view event_source) const {
  const auto& sources = config_.intake.queue_sources;
  return std::find(sources.begin(), sources.end(), event_source) != sources.end() ? Flow::queue
                                                                                  : Flow::direct;
}

base::Result<void> Reception::check_flow(Flow flow) const {
  const bool accepted = flow == Flow::direct ? config_.intake.accept_direct : config_.intake.accept_queue;
  if (accepted) return {};
  return base::fail(ErrorKind::forbidden,
                    flow == Flow::direct
                        ? "events sent directly are not accepted here (intake.accept); send them by the queue"
                        : "events from the queue are not accepted here (intake.accept)",
                    "source");
}

asio::awaitable<Verdict> Reception::start(cloudevents::Event& event, const Arrival& arrival) {
  base::Result<event::JobStart> start =
      check_flow(arrival.flow).and_then([&] { return event::parse_job_start(event, config_.build); });
  event.read_data = {};
  if (!start) {
    build::DeadLetter letter = dead_letter(build::Stage::intake, start.error(), arrival);
    letter.original = event;
    co_return co_await end_in_vain(std::move(letter), start.error(), arrival, Ending::refused);
  }
  if (!arrival.principal.may_speak_for(start->third_party_id)) {
    base::Error error{ErrorKind::forbidden,
                      "the sender may not speak for this tenant (intake.auth.principals)",
                      "data.third_party_id"};
    // It is the sender who is wrong here, not the event: nothing of it goes to the dead letters.
    co_return verdict(arrival.flow == Flow::direct ? Ending::refused : Ending::unavailable, std::move(error));
  }
  pool::Creation creation;
  creation.job = jobs_.make(event, *start);
  creation.event_source = event.source;
  creation.event_id = event.id;
  creation.tenant = start->third_party_id;
  creation.correlation_id = start->correlation_id;
  creation.trace_id = cloudevents::trace_id(event);
  creation.priority = start->priority;
  creation.bounded = arrival.bounded;
  creation.deadline = arrival.deadline;
  if (arrival.answer_at_once) co_return queue_at_once(event, std::move(creation));
  co_return co_await create(event, arrival, std::move(creation));
}

asio::awaitable<Verdict> Reception::create(const cloudevents::Event& event, const Arrival& arrival,
                                           pool::Creation creation) {
  Verdict ended = verdict(Ending::unavailable, creation);
  pool::Outcome outcome = co_await pool_.create(std::move(creation));
  if (outcome.ending != pool::Ending::refused) {
    ended.ending = ending_of(outcome.ending);
    ended.error = std::move(outcome.error);
    ended.others_pass = outcome.others_pass;
    co_return ended;
  }
  build::DeadLetter letter = dead_letter(event, ended, outcome, arrival);
  Verdict in_vain =
      co_await end_in_vain(std::move(letter), std::move(outcome.error), arrival, Ending::refused);
  in_vain.correlation_id = ended.correlation_id;
  in_vain.third_party_id = ended.third_party_id;
  co_return in_vain;
}

// A direct sender is told; what came by the queue goes to the dead letters, and where that fails its sender
// keeps it.
asio::awaitable<Verdict> Reception::end_in_vain(build::DeadLetter letter, base::Error error,
                                                const Arrival& arrival, Ending refusal) {
  if (arrival.flow == Flow::direct) co_return verdict(refusal, std::move(error));
  if (dead_letters_ == nullptr) co_return verdict(Ending::unavailable, std::move(error));
  const base::Result<void> sent = co_await dead_letters_->send(std::move(letter), arrival.deadline);
  if (sent) co_return verdict(Ending::dead_lettered, std::move(error));
  error.message += "; and it could not be dead-lettered: " + sent.error().message;
  error.retry_after = sent.error().retry_after;
  Verdict kept = verdict(Ending::unavailable, std::move(error));
  kept.others_pass = true;
  co_return kept;
}

// Why no further event can be answered at once; empty: it can. There may be as many of them as the queue
// holds, and of each tenant.
std::string_view Reception::obstacle_at_once(const std::string& tenant) const {
  const config::AsyncJobCreator& settings = config_.async_job_creator;
  if (pool_.draining()) return "shutting down";
  if (unfinished_ >= settings.max_queue_size) return "the queue is full";
  const auto of_tenant = unfinished_of_.find(tenant);
  const bool has_its_share =
      of_tenant != unfinished_of_.end() && of_tenant->second >= settings.max_queue_per_tenant;
  return has_its_share ? "this tenant's share of the queue is full" : "";
}

// From here on nobody but us has the event.
Verdict Reception::queue_at_once(const cloudevents::Event& event, pool::Creation creation) {
  if (const std::string_view obstacle = obstacle_at_once(creation.tenant); !obstacle.empty()) {
    return verdict(Ending::unavailable, creation,
                   {ErrorKind::unavailable, std::string(obstacle) + "; send the event again", ""});
  }
  ++unfinished_;
  ++unfinished_of_[creation.tenant];
  Verdict queued = verdict(Ending::queued, creation);
  asio::co_spawn(executor_, finish(event, std::move(creation)), asio::detached);
  return queued;
}

asio::awaitable<void> Reception::finish(cloudevents::Event event, pool::Creation creation) {
  const std::string tenant = creation.tenant;
  note(co_await create_at_last(event, std::move(creation)), flow_of(event.source), event);
  --unfinished_;
  if (--unfinished_of_[tenant] == 0) unfinished_of_.erase(tenant);
  finished_.cancel();
}

// Until it is created, or dead-lettered, or we have to end; its sender has forgotten it.
asio::awaitable<Verdict> Reception::create_at_last(const cloudevents::Event& event, pool::Creation creation) {
  Arrival arrival;
  arrival.flow = Flow::queue;  // nobody is to be told: if it can't be built, it is dead-lettered
  arrival.first_time = std::chrono::system_clock::now();
  while (true) {
    arrival.deadline = creation.deadline = Clock::now() + config_.http.request_timeout;
    pool::Outcome outcome = co_await pool_.create(creation);
    if (outcome.safe()) co_return verdict(ending_of(outcome.ending), creation);
    const bool last = outcome.ending == pool::Ending::refused || pool_.draining();
    if (last) co_return co_await give_up(event, creation, std::move(outcome), arrival);
    arrival.earlier_attempts += outcome.tries;
    co_await pause(executor_, repeat_after);
  }
}

// Of an event that was answered at once.
asio::awaitable<Verdict> Reception::give_up(const cloudevents::Event& event, const pool::Creation& creation,
                                            pool::Outcome outcome, Arrival arrival) {
  while (true) {
    build::DeadLetter letter = dead_letter(event, verdict(Ending::unavailable, creation), outcome, arrival);
    Verdict ended = co_await end_in_vain(std::move(letter), outcome.error, arrival, Ending::refused);
    if (ended.safe()) co_return ended;
    if (dead_letters_ == nullptr || pool_.draining()) {
      log_.error("an event that was answered at once is lost",
                 {{"event_id", creation.event_id}, {"error", base::describe(ended.error)}});
      co_return ended;
    }
    co_await pause(executor_, repeat_after);
    arrival.deadline = Clock::now() + config_.http.request_timeout;
  }
}

asio::awaitable<void> Reception::drain(TimePoint deadline) {
  while (unfinished_ > 0 && Clock::now() < deadline) {
    finished_.expires_at(deadline);
    boost::system::error_code ignored;
    co_await finished_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (unfinished_ > 0) {
    log_.error("events that were answered at once are lost", {{"events", std::to_string(unfinished_)}});
  }
}

void Reception::note(const Verdict& verdict, Flow flow, const cloudevents::Event& event) {
  metrics_.received(to_string(flow), to_string(verdict.ending));
  if (verdict.ending == Ending::duplicate) metrics_.duplicate(event.type);
  log_.write(
      verdict.safe() && verdict.ending != Ending::dead_lettered ? base::Level::info : base::Level::warning,
      verdict.ending == Ending::dead_lettered ? "event dead-lettered"
      : verdict.safe()                        ? "event accepted"
                                              : "event not accepted",
      {{"event_id", event.id},
       {"correlation_id", verdict.correlation_id},
       {"third_party_id", verdict.third_party_id},
       {"job_name", verdict.job_name},
       {"trace_id", cloudevents::trace_id(event)},
       {"flow", to_string(flow)},
       {"outcome", to_string(verdict.ending)},
       {"error", base::describe(verdict.error)}});
}

}  // namespace lambda::intake
