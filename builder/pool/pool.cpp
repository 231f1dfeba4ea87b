#include "pool/pool.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "job/job.h"
#include "kube/retry.h"
#include "pool/breaker.h"
#include "pool/control.h"
#include "pool/metrics.h"
#include "queue/drain_rate.h"
#include "queue/fair_queue.h"

namespace lambda::pool {
namespace {

namespace asio = boost::asio;
using base::Clock;
using base::ErrorKind;
using base::TimePoint;
using boost::system::error_code;

// Trouble that somebody has to mend (rights, quota, a namespace): no use in coming back soon.
constexpr std::chrono::seconds environment_retry_after{10};

// Of the tenants in the stats: those that hold most.
constexpr std::size_t tenants_in_stats = 20;

double seconds_since(TimePoint start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Wakes by its cancel or at its expiry; which of them it was is for the waiter's own state to say.
asio::awaitable<void> wait_on(asio::steady_timer& timer) {
  error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Outcome unavailable(ErrorKind kind, std::string message, std::chrono::seconds retry_after) {
  return {Ending::unavailable, base::Error{kind, std::move(message), "", retry_after}, 0};
}

// Whether the API server says that what it does not take is the event's doing.
bool blames_the_event(const base::Error& error) {
  return error.kind == ErrorKind::too_large ||
         (error.kind == ErrorKind::invalid && job::is_set_by_event(error.field));
}

// An answer that the same Job would get again.
bool is_refusal(const base::Error& error) {
  return error.http_status != 0 && error.kind != ErrorKind::conflict && !base::worth_retrying(error.kind);
}

bool is_silence(const base::Error& error) {
  return error.kind == ErrorKind::timeout && error.http_status == 0;
}

std::string_view word_for(Breaker::State state) {
  switch (state) {
    case Breaker::State::closed:
      return "closed";
    case Breaker::State::open:
      return "open";
    case Breaker::State::probing:
      return "probing";
  }
  return "closed";
}

// A creation on its way, shared by all who wait for it and who works on it; each may leave first.
struct Ticket {
  explicit Ticket(Creation what) : creation(std::move(what)), admitted_at(Clock::now()) {}

  Creation creation;  // its deadline is the latest of those who wait
  TimePoint admitted_at;
  bool started = false;
  unsigned retries = 0;
  bool may_be_ours = false;                  // see try_create
  std::optional<Outcome> outcome;            // decides; the timers only wake
  std::vector<asio::steady_timer*> waiting;  // of those who wait
};
using TicketPtr = std::shared_ptr<Ticket>;

// What else is known of a try that failed.
struct Failure {
  TimePoint began;
  TimePoint ended;
  bool cut_short = false;    // by its event's deadline, before the API server had its time
  bool of_this_job = false;  // the API server takes other Jobs
};

}  // namespace

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::created:
      return "created";
    case Ending::duplicate:
      return "duplicate";
    case Ending::refused:
      return "refused";
    case Ending::unavailable:
      return "unavailable";
  }
  return "unavailable";
}

class Pool::Impl : public std::enable_shared_from_this<Pool::Impl> {
 public:
  Impl(asio::any_io_executor executor, const config::AsyncJobCreator& settings,
       base::milliseconds kubernetes_timeout, std::shared_ptr<kube::Endpoint> endpoint, job::Job reference,
       base::Log& log, metrics::Registry& registry)
      : executor_(std::move(executor)),
        settings_(settings),
        kubernetes_timeout_(kubernetes_timeout),
        endpoint_(std::move(endpoint)),
        control_(std::move(reference)),
        log_(log),
        metrics_(registry),
        retry_{settings.max_retries, base::Backoff{settings.retry_delay}},
        queue_(queue::Settings{settings.max_queue_size, settings.max_queue_per_tenant, settings.priority_step,
                               settings.tenant_weights}),
        breaker_(Breaker::Settings{}, random_),
        wake_(executor_, TimePoint::max()),
        idle_(executor_, TimePoint::max()) {}

  void start_workers() {
    for (std::size_t i = 0; i < settings_.worker_count; ++i) {
      asio::co_spawn(executor_, [self = shared_from_this()] { return self->work(); }, asio::detached);
    }
  }

  void stop() {
    stopped_ = true;
    wake_.cancel();
  }

  asio::awaitable<Outcome> create(Creation creation);
  asio::awaitable<void> drain(TimePoint deadline);
  Stats stats() const;
  bool draining() const { return draining_; }
  bool api_works() const { return breaker_.state() == Breaker::State::closed; }
  void on_recovery(std::function<void()> callback) { on_recovery_ = std::move(callback); }

 private:
  asio::awaitable<void> work();
  asio::awaitable<TicketPtr> next();
  bool api_is_worth_a_try(TimePoint now) const;
  TicketPtr take_ready(TimePoint now);
  void sleep_until_needed(TimePoint now);
  asio::awaitable<void> try_once(kube::Connection& connection, TicketPtr ticket);
  Outcome judge(base::Error error, bool of_this_job);
  asio::awaitable<Outcome> wait_for(TicketPtr ticket, TimePoint deadline);
  std::optional<Outcome> admit(const TicketPtr& ticket);
  Outcome no_room(std::string message);
  bool retry(const TicketPtr& ticket, const base::Error& error);
  void started(Ticket& ticket, TimePoint now);
  void worked(TimePoint now);
  void go_on();
  void failed(const Ticket& ticket, const base::Error& error, const Failure& failure);
  std::chrono::seconds retry_after(TimePoint now) const;
  Outcome too_late() const;
  Outcome shutting_down() const;
  void leave(const TicketPtr& ticket);
  void end(Ticket& ticket, Outcome outcome);
  void count(const Outcome& outcome);
  void note_error(const Ticket& ticket, const base::Error& error);
  void give_up();

  asio::any_io_executor executor_;
  const config::AsyncJobCreator settings_;
  const base::milliseconds kubernetes_timeout_;
  const std::shared_ptr<kube::Endpoint> endpoint_;
  Control control_;
  base::Log& log_;
  Metrics metrics_;
  const base::Random random_ = base::system_random();
  const kube::RetryPolicy retry_;
  queue::FairQueue<TicketPtr> queue_;
  queue::DrainRate drain_rate_;
  Breaker breaker_;
  std::unordered_map<std::string, TicketPtr> by_job_;  // what is under way, for who comes with the same event
  std::set<TicketPtr> in_hand_;
  asio::steady_timer wake_;  // workers wait on it; expires when the next retry is due
  asio::steady_timer idle_;  // drain() waits on it
  std::function<void()> on_recovery_;
  bool draining_ = false;
  bool stopped_ = false;
  Stats counted_;  // only what is counted up; stats() fills in the rest
};

// ---------------------------------------------------------------------------------------------------------------------

// Who comes with an event that is under way waits for the same creation: one event, one write.
asio::awaitable<Outcome> Pool::Impl::create(Creation creation) {
  const auto self = shared_from_this();
  const TimePoint deadline = creation.deadline;
  if (const auto under_way = by_job_.find(creation.job.name); under_way != by_job_.end()) {
    const TicketPtr ticket = under_way->second;
    ticket->creation.deadline = std::max(ticket->creation.deadline, deadline);
    Outcome outcome = co_await wait_for(ticket, deadline);
    if (outcome.ending == Ending::created) outcome.ending = Ending::duplicate;
    co_return outcome;
  }
  const auto ticket = std::make_shared<Ticket>(std::move(creation));
  if (std::optional<Outcome> refusal = admit(ticket)) {
    count(*refusal);
    co_return std::move(*refusal);
  }
  by_job_.emplace(ticket->creation.job.name, ticket);
  Outcome outcome = co_await wait_for(ticket, deadline);
  metrics_.processing_seconds.Observe(seconds_since(ticket->admitted_at));
  co_return outcome;
}

asio::awaitable<Outcome> Pool::Impl::wait_for(TicketPtr ticket, TimePoint deadline) {
  asio::steady_timer timer(executor_, deadline);
  ticket->waiting.push_back(&timer);
  while (!ticket->outcome && Clock::now() < deadline) co_await wait_on(timer);
  std::erase(ticket->waiting, &timer);
  if (!ticket->outcome && ticket->waiting.empty()) leave(ticket);
  if (ticket->outcome) co_return *ticket->outcome;
  co_return too_late();
}

// Nobody waits for it any more: it makes room, unless a worker has it in hand already.
void Pool::Impl::leave(const TicketPtr& ticket) {
  queue_.erase(ticket->creation.tenant, ticket);
  metrics_.queue_depth.Set(static_cast<double>(queue_.size()));
  end(*ticket, too_late());
}

Outcome Pool::Impl::too_late() const {
  return unavailable(ErrorKind::timeout, "the Job was not created in time; send the event again",
                     retry_after(Clock::now()));
}

std::optional<Outcome> Pool::Impl::admit(const TicketPtr& ticket) {
  const TimePoint now = Clock::now();
  if (draining_) return shutting_down();
  const Creation& creation = ticket->creation;
  queue::Offer<TicketPtr> offer =
      queue_.offer(creation.tenant, creation.priority, ticket, now, creation.bounded);
  metrics_.queue_depth.Set(static_cast<double>(queue_.size()));
  if (offer.displaced) {
    end(**offer.displaced,
        no_room("the queue is full, and this tenant holds most of it; send the event again"));
  }
  switch (offer.admission) {
    case queue::Admission::admitted:
      wake_.cancel_one();
      return std::nullopt;
    case queue::Admission::full:
      return no_room("the queue is full; send the event again");
    case queue::Admission::tenant_full:
      return no_room("this tenant's share of the queue is full; send the event again");
  }
  return std::nullopt;
}

Outcome Pool::Impl::no_room(std::string message) {
  metrics_.queue_full.Increment();
  return unavailable(ErrorKind::unavailable, std::move(message), retry_after(Clock::now()));
}

// When it is worth coming back: once what waits has been worked off, and not before the API server is tried
// again.
std::chrono::seconds Pool::Impl::retry_after(TimePoint now) const {
  const std::chrono::seconds worked_off = drain_rate_.retry_after(queue_.size(), now);
  return breaker_.state() == Breaker::State::closed ? worked_off
                                                    : std::max(worked_off, breaker_.retry_after(now));
}

asio::awaitable<void> Pool::Impl::work() {
  const auto self = shared_from_this();
  kube::Connection connection(executor_, endpoint_);
  while (TicketPtr ticket = co_await next()) {
    in_hand_.insert(ticket);
    metrics_.active.Set(static_cast<double>(in_hand_.size()));
    co_await try_once(connection, ticket);
    in_hand_.erase(ticket);
    metrics_.active.Set(static_cast<double>(in_hand_.size()));
    if (draining_) idle_.cancel();
  }
}

// The next creation that is to be tried now, or none when the pool has stopped.
asio::awaitable<TicketPtr> Pool::Impl::next() {
  while (!stopped_) {
    const TimePoint now = Clock::now();
    if (TicketPtr ticket = take_ready(now)) co_return ticket;
    if (draining_) idle_.cancel();
    sleep_until_needed(now);
    co_await wait_on(wake_);
  }
  co_return nullptr;
}

// What may_try() will say, without asking it for the probe.
bool Pool::Impl::api_is_worth_a_try(TimePoint now) const {
  const auto probe = breaker_.next_probe();
  return breaker_.state() == Breaker::State::closed || (probe && *probe <= now);
}

TicketPtr Pool::Impl::take_ready(TimePoint now) {
  while (api_is_worth_a_try(now)) {
    std::optional<TicketPtr> ticket = queue_.take(now);
    metrics_.queue_depth.Set(static_cast<double>(queue_.size()));
    if (!ticket) return nullptr;
    if ((*ticket)->outcome || (*ticket)->creation.deadline <= now) continue;  // who waits for it leaves
    breaker_.may_try(now);
    started(**ticket, now);
    return std::move(*ticket);
  }
  return nullptr;
}

void Pool::Impl::started(Ticket& ticket, TimePoint now) {
  if (std::exchange(ticket.started, true)) return;
  metrics_.wait_seconds.Observe(std::chrono::duration<double>(now - ticket.admitted_at).count());
}

// Setting an expiry wakes every waiter, so it is set only when it has passed or must be earlier.
void Pool::Impl::sleep_until_needed(TimePoint now) {
  const TimePoint due = queue_.next_due().value_or(TimePoint::max());
  const TimePoint probe =
      queue_.size() > 0 ? breaker_.next_probe().value_or(TimePoint::max()) : TimePoint::max();
  const TimePoint wanted = api_is_worth_a_try(now) ? due : probe;
  if (wake_.expiry() <= now || wanted < wake_.expiry()) wake_.expires_at(wanted);
}

asio::awaitable<void> Pool::Impl::try_once(kube::Connection& connection, TicketPtr ticket) {
  const TimePoint start = Clock::now();
  const TimePoint deadline = std::min(start + kubernetes_timeout_, ticket->creation.deadline);
  const base::Result<Found> found =
      co_await try_create(connection, ticket->creation, deadline, ticket->may_be_ours);
  const TimePoint now = Clock::now();
  metrics_.creation_seconds.Observe(std::chrono::duration<double>(now - start).count());
  if (found) {
    worked(now);
    end(*ticket, {*found == Found::created ? Ending::created : Ending::duplicate, {}, 0});
    co_return;
  }
  const base::Error& error = found.error();
  Failure failure{start, now};
  // Silence says something about the API server only where it had all its time.
  failure.cut_short = is_silence(error) && deadline < start + kubernetes_timeout_;
  failure.of_this_job = is_refusal(error) && co_await control_.passes(connection, deadline);
  failed(*ticket, error, failure);
  if (retry(ticket, error)) co_return;
  Outcome outcome = judge(error, failure.of_this_job);
  outcome.tries = ticket->retries + 1;
  outcome.others_pass = failure.of_this_job;
  end(*ticket, std::move(outcome));
}

void Pool::Impl::worked(TimePoint now) {
  const bool was_closed = breaker_.state() == Breaker::State::closed;
  breaker_.succeeded();
  drain_rate_.drained(now);
  if (was_closed) return;
  metrics_.breaker_open.Set(0);
  log_.info("the Kubernetes API creates our Jobs again");
  go_on();
}

void Pool::Impl::failed(const Ticket& ticket, const base::Error& error, const Failure& failure) {
  note_error(ticket, error);
  const bool was_closed = breaker_.state() == Breaker::State::closed;
  if (failure.of_this_job) {
    breaker_.succeeded();  // one tenant's Jobs that a policy refuses are no reason to hold back the others'
  } else if (failure.cut_short) {
    breaker_.probe_abandoned(failure.ended);
  } else {
    breaker_.failed(error, failure.began, failure.ended);
  }
  const bool is_closed = breaker_.state() == Breaker::State::closed;
  metrics_.breaker_open.Set(is_closed ? 0 : 1);
  if (was_closed && !is_closed) {
    log_.warning("the Kubernetes API does not create our Jobs; trying one at a time until it does",
                 {{"error", base::describe(error)}});
  }
  if (!was_closed && is_closed) go_on();
}

void Pool::Impl::go_on() {
  wake_.cancel();
  if (on_recovery_) on_recovery_();
}

// Whether there is to be another try; the ticket is then in the queue again.
bool Pool::Impl::retry(const TicketPtr& ticket, const base::Error& error) {
  const TimePoint now = Clock::now();
  const auto delay = retry_.next_delay(ticket->retries, error, now, ticket->creation.deadline, random_);
  if (!delay || ticket->outcome || stopped_) return false;
  ++ticket->retries;
  ++counted_.retries;
  const TimePoint due = now + *delay;
  const Creation& creation = ticket->creation;
  queue_.put_back(creation.tenant, creation.priority, ticket, ticket->admitted_at, due);
  if (due < wake_.expiry()) wake_.expires_at(due);
  return true;
}

// How a creation ends on an error that no further try will mend now. Only what the event itself makes
// impossible is refused, and only while the API server takes a Job that is none of the event's making;
// credentials, rights, quota, policies and a missing namespace are our side's trouble, and the event stays
// good.
Outcome Pool::Impl::judge(base::Error error, bool of_this_job) {
  if (error.kind == ErrorKind::conflict || (of_this_job && blames_the_event(error))) {
    return {Ending::refused, std::move(error), 0};
  }
  const auto soonest = base::worth_retrying(error.kind) ? std::chrono::seconds(1) : environment_retry_after;
  if (!error.retry_after) error.retry_after = std::max(soonest, retry_after(Clock::now()));
  return {Ending::unavailable, std::move(error), 0};
}

// The first outcome counts: a creation that outlives its waiter ends a second time, unseen by anybody but the
// log.
void Pool::Impl::end(Ticket& ticket, Outcome outcome) {
  if (!ticket.outcome) {
    count(outcome);
    ticket.outcome = std::move(outcome);
    by_job_.erase(ticket.creation.job.name);
    for (asio::steady_timer* waiting : ticket.waiting) waiting->cancel();
  } else if (outcome.safe()) {
    log_.info("job created after its sender was told to come back", {{"job_name", ticket.creation.job.name}});
  }
}

void Pool::Impl::count(const Outcome& outcome) {
  switch (outcome.ending) {
    case Ending::created:
      ++counted_.created;
      metrics_.creations.Increment();
      return;
    case Ending::duplicate:
      ++counted_.duplicates;
      return;
    case Ending::refused:
      ++counted_.refused;
      break;
    case Ending::unavailable:
      ++counted_.unavailable;
      break;
  }
  metrics_.creation_failures(outcome.error.kind).Increment();
}

void Pool::Impl::note_error(const Ticket& ticket, const base::Error& error) {
  metrics_.worker_errors.Increment();
  counted_.last_error = base::describe(error);
  counted_.last_error_at = base::format_rfc3339(std::chrono::system_clock::now());
  const Creation& creation = ticket.creation;
  log_.warning("creating the job failed", {{"event_id", creation.event_id},
                                           {"correlation_id", creation.correlation_id},
                                           {"third_party_id", creation.tenant},
                                           {"job_name", creation.job.name},
                                           {"trace_id", creation.trace_id},
                                           {"retries", std::to_string(ticket.retries)},
                                           {"error", counted_.last_error}});
}

asio::awaitable<void> Pool::Impl::drain(TimePoint deadline) {
  const auto self = shared_from_this();
  draining_ = true;
  // While the API server is away there is no use in waiting for it: the senders still have these events.
  while ((queue_.size() > 0 || !in_hand_.empty()) && Clock::now() < deadline &&
         breaker_.state() == Breaker::State::closed) {
    idle_.expires_at(deadline);
    co_await wait_on(idle_);
  }
  give_up();
  stop();
}

Outcome Pool::Impl::shutting_down() const {
  return unavailable(ErrorKind::unavailable, "shutting down; send the event again", std::chrono::seconds(1));
}

void Pool::Impl::give_up() {
  while (std::optional<TicketPtr> ticket = queue_.take(TimePoint::max())) end(**ticket, shutting_down());
  for (const TicketPtr& ticket : in_hand_) end(*ticket, shutting_down());
}

Stats Pool::Impl::stats() const {
  Stats stats = counted_;
  stats.worker_count = settings_.worker_count;
  stats.active = in_hand_.size();
  stats.queue_size = queue_.size();
  stats.waiting_for_retry = queue_.waiting_for_retry();
  stats.max_queue_size = queue_.max_size();
  stats.draining = draining_;
  const TimePoint now = Clock::now();
  stats.tenants = queue_.tenants();
  stats.deepest_tenants = queue_.deepest(tenants_in_stats);
  if (const auto oldest = queue_.oldest()) {
    stats.oldest_age = std::chrono::duration_cast<base::milliseconds>(now - *oldest);
  }
  stats.ended_per_second = drain_rate_.per_second(now);
  stats.breaker = word_for(breaker_.state());
  return stats;
}

// ---------------------------------------------------------------------------------------------------------------------

Pool::Pool(asio::any_io_executor executor, const config::AsyncJobCreator& settings,
           base::milliseconds kubernetes_timeout, std::shared_ptr<kube::Endpoint> endpoint,
           job::Job reference, base::Log& log, metrics::Registry& registry)
    : impl_(std::make_shared<Impl>(std::move(executor), settings, kubernetes_timeout, std::move(endpoint),
                                   std::move(reference), log, registry)) {
  impl_->start_workers();
}

Pool::~Pool() {
  impl_->stop();
}

asio::awaitable<Outcome> Pool::create(Creation creation) {
  co_return co_await impl_->create(std::move(creation));
}

asio::awaitable<void> Pool::drain(TimePoint deadline) {
  co_await impl_->drain(deadline);
}

Stats Pool::stats() const {
  return impl_->stats();
}

bool Pool::draining() const {
  return impl_->draining();
}

bool Pool::api_works() const {
  return impl_->api_works();
}

void Pool::on_recovery(std::function<void()> callback) {
  impl_->on_recovery(std::move(callback));
}

}  // namespace lambda::pool
