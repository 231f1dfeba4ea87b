#include "pool/pool.h"

#include <optional>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "kube/retry.h"
#include "pool/metrics.h"
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

double seconds_since(TimePoint start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Wakes by its cancel or at its expiry; which of them it was is for the waiter's own state to say.
asio::awaitable<void> wait_on(asio::steady_timer& timer) {
  error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Outcome unavailable(ErrorKind kind, std::string message) {
  return {Ending::unavailable, base::Error{kind, std::move(message), ""}};
}

// How a creation ends on an error that no further try will mend now. Only what the Job itself makes
// impossible is refused; credentials, rights, quota and a missing namespace are our side's trouble, and the
// event stays good.
Outcome to_outcome(base::Error error) {
  switch (error.kind) {
    case ErrorKind::invalid:
    case ErrorKind::too_large:
    case ErrorKind::conflict:
      return {Ending::refused, std::move(error)};
    case ErrorKind::unauthenticated:
    case ErrorKind::forbidden:
    case ErrorKind::not_found:
      if (!error.retry_after) error.retry_after = environment_retry_after;
      return {Ending::unavailable, std::move(error)};
    default:
      return {Ending::unavailable, std::move(error)};
  }
}

// A creation on its way, shared by who waits for it and who works on it; either may leave first.
struct Ticket {
  Ticket(const asio::any_io_executor& executor, Creation what)
      : creation(std::move(what)), admitted_at(Clock::now()), done(executor) {}

  Creation creation;
  TimePoint admitted_at;
  unsigned retries = 0;
  bool may_be_ours = false;        // see try_create
  std::optional<Outcome> outcome;  // decides; `done` only wakes
  asio::steady_timer done;
};
using TicketPtr = std::shared_ptr<Ticket>;

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
       base::milliseconds kubernetes_timeout, std::shared_ptr<kube::Endpoint> endpoint, base::Log& log,
       metrics::Registry& registry, base::Random random)
      : executor_(std::move(executor)),
        settings_(settings),
        kubernetes_timeout_(kubernetes_timeout),
        endpoint_(std::move(endpoint)),
        log_(log),
        metrics_(registry),
        random_(std::move(random)),
        retry_{settings.max_retries, base::Backoff{settings.retry_delay}},
        queue_(settings.max_queue_size, settings.max_queue_per_tenant),
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

 private:
  asio::awaitable<void> work();
  asio::awaitable<TicketPtr> next();
  asio::awaitable<void> try_once(kube::Connection& connection, TicketPtr ticket);
  std::optional<Outcome> admit(const TicketPtr& ticket);
  void retry_or_end(const TicketPtr& ticket, base::Error error);
  void end(Ticket& ticket, Outcome outcome);
  void count(const Outcome& outcome);
  void note_error(const Ticket& ticket, const base::Error& error);
  void give_up();

  asio::any_io_executor executor_;
  const config::AsyncJobCreator settings_;
  const base::milliseconds kubernetes_timeout_;
  const std::shared_ptr<kube::Endpoint> endpoint_;
  base::Log& log_;
  Metrics metrics_;
  base::Random random_;
  const kube::RetryPolicy retry_;
  queue::FairQueue<TicketPtr> queue_;
  std::set<TicketPtr> in_hand_;
  asio::steady_timer wake_;  // workers wait on it; expires when the next retry is due
  asio::steady_timer idle_;  // drain() waits on it
  bool draining_ = false;
  bool stopped_ = false;
  Stats counted_;  // only what is counted up; stats() fills in the rest
};

// ---------------------------------------------------------------------------------------------------------------------

asio::awaitable<Outcome> Pool::Impl::create(Creation creation) {
  const auto self = shared_from_this();
  const auto ticket = std::make_shared<Ticket>(executor_, std::move(creation));
  if (std::optional<Outcome> refusal = admit(ticket)) {
    end(*ticket, std::move(*refusal));
    co_return *ticket->outcome;
  }
  while (!ticket->outcome && Clock::now() < ticket->creation.deadline) {
    ticket->done.expires_at(ticket->creation.deadline);
    co_await wait_on(ticket->done);
  }
  if (!ticket->outcome)
    end(*ticket, unavailable(ErrorKind::timeout, "the Job was not created in time; send the event again"));
  metrics_.processing_seconds.Observe(seconds_since(ticket->admitted_at));
  co_return *ticket->outcome;
}

std::optional<Outcome> Pool::Impl::admit(const TicketPtr& ticket) {
  if (draining_) return unavailable(ErrorKind::unavailable, "shutting down; send the event again");
  const Creation& creation = ticket->creation;
  const queue::Admission admission = queue_.offer(creation.tenant, creation.priority, ticket);
  metrics_.queue_depth.Set(static_cast<double>(queue_.size()));
  if (admission == queue::Admission::admitted) {
    wake_.cancel_one();
    return std::nullopt;
  }
  metrics_.queue_full.Increment();
  return unavailable(ErrorKind::unavailable,
                     admission == queue::Admission::full
                         ? "the queue is full; send the event again"
                         : "this tenant's share of the queue is full; send the event again");
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

// The next creation that still has time, or none when the pool has stopped.
asio::awaitable<TicketPtr> Pool::Impl::next() {
  while (!stopped_) {
    const TimePoint now = Clock::now();
    std::optional<TicketPtr> ticket = queue_.take(now);
    metrics_.queue_depth.Set(static_cast<double>(queue_.size()));
    if (ticket) {
      if (!(*ticket)->outcome) co_return std::move(*ticket);
      continue;  // who waited for it has left
    }
    if (draining_) idle_.cancel();
    // Setting an expiry wakes every waiter, so it is set only when it has passed (here) or must be earlier (a
    // new retry).
    if (wake_.expiry() <= now) wake_.expires_at(queue_.next_due().value_or(TimePoint::max()));
    co_await wait_on(wake_);
  }
  co_return nullptr;
}

asio::awaitable<void> Pool::Impl::try_once(kube::Connection& connection, TicketPtr ticket) {
  const TimePoint start = Clock::now();
  const TimePoint deadline = std::min(start + kubernetes_timeout_, ticket->creation.deadline);
  const base::Result<Found> found =
      co_await try_create(connection, ticket->creation, deadline, ticket->may_be_ours);
  metrics_.creation_seconds.Observe(seconds_since(start));
  if (found) {
    end(*ticket, {*found == Found::created ? Ending::created : Ending::duplicate, {}});
  } else {
    note_error(*ticket, found.error());
    retry_or_end(ticket, found.error());
  }
}

void Pool::Impl::retry_or_end(const TicketPtr& ticket, base::Error error) {
  const TimePoint now = Clock::now();
  const auto delay = retry_.next_delay(ticket->retries, error, now, ticket->creation.deadline, random_);
  if (!delay || ticket->outcome || stopped_) {
    end(*ticket, to_outcome(std::move(error)));
    return;
  }
  ++ticket->retries;
  ++counted_.retries;
  const TimePoint due = now + *delay;
  queue_.put_back(ticket->creation.tenant, ticket->creation.priority, ticket, due);
  if (due < wake_.expiry()) wake_.expires_at(due);
}

// The first outcome counts: a creation that outlives its waiter ends a second time, unseen by anybody but the
// log.
void Pool::Impl::end(Ticket& ticket, Outcome outcome) {
  if (!ticket.outcome) {
    count(outcome);
    ticket.outcome = std::move(outcome);
    ticket.done.cancel();
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
  while ((queue_.size() > 0 || !in_hand_.empty()) && Clock::now() < deadline) {
    idle_.expires_at(deadline);
    co_await wait_on(idle_);
  }
  give_up();
  stop();
}

void Pool::Impl::give_up() {
  const Outcome shutting_down = unavailable(ErrorKind::unavailable, "shutting down; send the event again");
  while (std::optional<TicketPtr> ticket = queue_.take(TimePoint::max())) end(**ticket, shutting_down);
  for (const TicketPtr& ticket : in_hand_) end(*ticket, shutting_down);
}

Stats Pool::Impl::stats() const {
  Stats stats = counted_;
  stats.worker_count = settings_.worker_count;
  stats.active = in_hand_.size();
  stats.queue_size = queue_.size();
  stats.waiting_for_retry = queue_.waiting_for_retry();
  stats.max_queue_size = queue_.max_size();
  stats.draining = draining_;
  return stats;
}

// ---------------------------------------------------------------------------------------------------------------------

Pool::Pool(asio::any_io_executor executor, const config::AsyncJobCreator& settings,
           base::milliseconds kubernetes_timeout, std::shared_ptr<kube::Endpoint> endpoint, base::Log& log,
           metrics::Registry& registry, base::Random random)
    : impl_(std::make_shared<Impl>(std::move(executor), settings, kubernetes_timeout, std::move(endpoint),
                                   log, registry, std::move(random))) {
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

}  // namespace lambda::pool
