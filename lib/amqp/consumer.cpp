#include "amqp/consumer.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "amqp/call_limit.h"
#include "amqp/connection.h"
#include "amqp/timekeeper.h"
#include "amqp/wakeup.h"
#include "base/text.h"

namespace lambda::amqp {
namespace {

using base::Clock;
using base::Error;
using base::ErrorKind;
using base::Result;
using base::TimePoint;

constexpr std::size_t notices_a_turn = 200;
// Settlements wait so long for others, as each message from us costs the broker more than what it settles.
// What waits still counts against the prefetch, so it is never more than a small part of it.
constexpr base::milliseconds gather_time{20};
constexpr std::uint16_t gathered_part_of_prefetch = 4;
constexpr std::chrono::seconds goodbye_limit{1};
constexpr std::chrono::seconds good_connection{5};  // one that lasted so long was worth its backoff

enum class Verdict { ack, reject, requeue, set_aside };

struct Settlement {
  Token token;
  Verdict verdict = Verdict::ack;
};

// Why a session ended.
struct End {
  ConsumerState state = ConsumerState::lost;
  Error error;
};

}  // namespace

std::string_view to_string(ConsumerState state) {
  switch (state) {
    case ConsumerState::connecting:
      return "connecting";
    case ConsumerState::consuming:
      return "consuming";
    case ConsumerState::paused:
      return "paused";
    case ConsumerState::lost:
      return "lost";
    case ConsumerState::missing_queue:
      return "missing_queue";
    case ConsumerState::cancelled:
      return "cancelled";
    case ConsumerState::stopped:
      return "stopped";
  }
  return "lost";
}

class Consumer::Impl {
 public:
  Impl(ConsumerSettings settings, ConsumerHandlers handlers, base::Log& log, base::Random random)
      : settings_(std::move(settings)),
        handlers_(std::move(handlers)),
        log_(log),
        random_(std::move(random)),
        limit_(settings_.connection.stall_limit),
        keeper_([this] { return limit_.check(Clock::now()); }),
        thread_([this] { run(); }) {}

  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void settle(Settlement settlement);
  void set_paused(bool paused);
  void stop();
  ConsumerStats stats() const;

 private:
  void run();
  Result<void> connect();
  End session();
  Result<void> serve();
  Result<void> turn();
  Result<void> adjust();
  std::size_t counted() const { return unsettled_.size() - set_aside_.size(); }
  bool is_to_begin() const;
  bool is_worth_replacing() const;
  Result<void> stop_consuming();
  Result<void> start_consuming();
  bool settlements_are_due();
  Result<void> send_settlements();
  Result<void> send_acks(const std::vector<std::uint64_t>& acks);
  Result<void> send_rejects(const std::vector<Settlement>& rejects);
  Result<bool> read_notices();
  void deliver(notice::Delivered delivered);
  void forget(std::uint64_t tag);
  std::size_t enough_settlements() const {
    return std::max<std::size_t>(1, settings_.prefetch / gathered_part_of_prefetch);
  }
  void leave();
  void busy() { keeper_.wake_by(limit_.begin()); }
  void tell(ConsumerState state, const std::string& detail = "");
  template <class Change>
  void count(Change change) {
    const std::lock_guard lock(mutex_);
    change(stats_);
    stats_.unsettled = unsettled_.size();
    stats_.set_aside = set_aside_.size();
  }

  const ConsumerSettings settings_;
  const ConsumerHandlers handlers_;
  base::Log& log_;
  base::Random random_;
  CallLimit limit_;
  Wakeup wakeup_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> paused_ = false;

  mutable std::mutex mutex_;  // for the next two
  std::vector<Settlement> mailbox_;
  ConsumerStats stats_;

  // The speaking thread's own.
  std::unique_ptr<Connection> connection_;
  std::uint64_t generation_ = 0;
  std::set<std::uint64_t> unsettled_;        // delivery tags of this connection
  std::set<std::uint64_t> set_aside_;        // of them
  std::optional<std::string> consumer_tag_;  // none: not consuming
  std::int64_t room_ = 0;                    // deliveries that the broker may still send to that consumer
  std::uint64_t last_carried_over_ = 0;      // the last delivery tag that an earlier consumer left unsettled
  TimePoint gather_until_ = TimePoint::max();  // max: no settlement waits, as far as is known
  std::optional<ConsumerState> ended_;         // what the session's error means, where it is not `lost`

  Timekeeper keeper_;
  std::mutex stop_mutex_;
  std::thread thread_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Any thread

void Consumer::Impl::settle(Settlement settlement) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    mailbox_.push_back(settlement);
    wake = mailbox_.size() == 1 || mailbox_.size() == enough_settlements();
  }
  if (wake) wakeup_.signal();
}

void Consumer::Impl::set_paused(bool paused) {
  paused_ = paused;
  wakeup_.signal();
}

void Consumer::Impl::stop() {
  const std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) return;
  stopping_ = true;
  const TimePoint goodbye = Clock::now() + goodbye_limit;
  limit_.hurry(goodbye);
  keeper_.wake_by(goodbye);
  wakeup_.signal();
  thread_.join();
}

ConsumerStats Consumer::Impl::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

// ---------------------------------------------------------------------------------------------------------------------
// The speaking thread

void Consumer::Impl::run() {
  unsigned retries = 0;
  while (!stopping_) {
    const TimePoint began = Clock::now();
    const End end = session();
    connection_.reset();
    limit_.end();
    if (stopping_) break;
    log_.warning("no deliveries from RabbitMQ",
                 {{"reason", to_string(end.state)}, {"error", base::describe(end.error)}});
    count([&](ConsumerStats& stats) { stats.last_error = base::describe(end.error); });
    tell(end.state, base::describe(end.error));
    if (Clock::now() - began > good_connection) retries = 0;
    const TimePoint again = Clock::now() + settings_.connection.reconnect.delay(retries++, random_);
    while (!stopping_ && Clock::now() < again) wakeup_.wait(-1, again);
  }
  tell(ConsumerState::stopped);
}

End Consumer::Impl::session() {
  ended_.reset();
  consumer_tag_.reset();
  unsettled_.clear();
  set_aside_.clear();
  Result<void> done = connect();
  if (done) done = serve();
  if (done) return {};
  return {ended_.value_or(ConsumerState::lost), done.error()};
}

Result<void> Consumer::Impl::connect() {
  Result<std::unique_ptr<Connection>> opened = Connection::open(settings_.connection, limit_);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  connection_ = std::move(*opened);
  ++generation_;
  count([](ConsumerStats& stats) { ++stats.connections; });
  busy();
  if (paused_) tell(ConsumerState::paused);
  return {};
}

Result<void> Consumer::Impl::serve() {
  while (!stopping_) {
    if (auto done = turn(); !done) return done;
  }
  leave();
  return {};
}

Result<void> Consumer::Impl::turn() {
  busy();
  if (settlements_are_due()) {
    if (auto done = send_settlements(); !done) return done;
  }
  if (auto done = adjust(); !done) return done;
  const Result<bool> more = read_notices();
  limit_.end();
  if (!more) return tl::unexpected(more.error());
  connection_->release_buffers();
  const TimePoint latest = std::min(gather_until_, Clock::now() + connection_->longest_sleep());
  if (!*more && !is_to_begin()) wakeup_.wait(connection_->socket(), latest);
  return {};
}

// Brings what the broker does in line with what was asked for.
Result<void> Consumer::Impl::adjust() {
  if (paused_) {
    if (!consumer_tag_) return {};
    if (auto done = stop_consuming(); !done) return done;
    tell(ConsumerState::paused);
    return {};
  }
  // What it has on its way is read before the next one begins.
  if (consumer_tag_ && is_worth_replacing()) return stop_consuming();
  return is_to_begin() ? start_consuming() : Result<void>();
}

bool Consumer::Impl::is_to_begin() const {
  return !paused_ && !consumer_tag_ && counted() < settings_.prefetch;
}

// The broker counts the prefetch for each consumer by itself and never changes it: what an earlier one left
// unsettled was taken off it, and what is set aside goes on filling it. A new consumer is worth its two calls
// when it would have room for more than half of the prefetch that this one has not.
bool Consumer::Impl::is_worth_replacing() const {
  const auto room_of_a_new_one =
      static_cast<std::int64_t>(settings_.prefetch) - static_cast<std::int64_t>(counted());
  return 2 * (room_of_a_new_one - room_) > settings_.prefetch;
}

Result<void> Consumer::Impl::stop_consuming() {
  if (auto done = connection_->cancel(*consumer_tag_); !done) return done;
  consumer_tag_.reset();
  return {};
}

Result<void> Consumer::Impl::start_consuming() {
  const auto prefetch = static_cast<std::uint16_t>(settings_.prefetch - counted());
  room_ = prefetch;
  last_carried_over_ = unsettled_.empty() ? 0 : *unsettled_.rbegin();
  if (auto done = connection_->limit_prefetch(prefetch); !done) return done;
  Result<std::string> tag = connection_->consume(settings_.queue);
  if (!tag) {
    if (tag.error().kind == ErrorKind::not_found) ended_ = ConsumerState::missing_queue;
    return tl::unexpected(std::move(tag.error()));
  }
  consumer_tag_ = std::move(*tag);
  log_.info("consuming from RabbitMQ", {{"address", connection_->shown()}, {"queue", settings_.queue}});
  tell(ConsumerState::consuming);
  return {};
}

bool Consumer::Impl::settlements_are_due() {
  const TimePoint now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (mailbox_.empty()) return false;
  if (gather_until_ == TimePoint::max()) gather_until_ = now + gather_time;
  return now >= gather_until_ || mailbox_.size() >= enough_settlements();
}

Result<void> Consumer::Impl::send_settlements() {
  gather_until_ = TimePoint::max();
  std::vector<Settlement> settlements;
  {
    const std::lock_guard lock(mutex_);
    settlements.swap(mailbox_);
  }
  if (settlements.empty()) return {};
  std::vector<std::uint64_t> acks;
  std::vector<Settlement> rejects;
  std::set<std::uint64_t> seen;
  std::size_t stale = 0;
  for (const Settlement& settlement : settlements) {
    const std::uint64_t tag = settlement.token.delivery;
    // The broker closes the channel on a tag that it does not know.
    const bool ours = settlement.token.connection == generation_ && unsettled_.contains(tag);
    if (!ours || seen.contains(tag)) {
      ++stale;
      continue;
    }
    if (settlement.verdict == Verdict::set_aside) {
      set_aside_.insert(tag);
      continue;
    }
    seen.insert(tag);
    if (settlement.verdict == Verdict::ack) {
      acks.push_back(tag);
    } else {
      rejects.push_back(settlement);
    }
  }
  std::ranges::sort(acks);
  Result<void> done = send_rejects(rejects);
  if (done) done = send_acks(acks);
  count([&](ConsumerStats& stats) {
    stats.stale += stale;
    stats.rejected += done ? rejects.size() : 0;
    stats.acknowledged += done ? acks.size() : 0;
  });
  return done;
}

// `acks` are in order. Those that nothing unsettled stands before go as one, the others each by itself: one
// slow delivery must not hold up the room of all that came after it.
Result<void> Consumer::Impl::send_acks(const std::vector<std::uint64_t>& acks) {
  const auto first_single = std::ranges::mismatch(acks, unsettled_).in1;
  if (first_single != acks.begin()) {
    const std::uint64_t last = *std::prev(first_single);
    const bool multiple = first_single - acks.begin() > 1;
    if (auto done = connection_->ack(last, multiple); !done) return done;
    std::for_each(acks.begin(), first_single, [this](std::uint64_t tag) { forget(tag); });
  }
  for (auto tag = first_single; tag != acks.end(); ++tag) {
    if (auto done = connection_->ack(*tag, false); !done) return done;
    forget(*tag);
  }
  return {};
}

Result<void> Consumer::Impl::send_rejects(const std::vector<Settlement>& rejects) {
  for (const Settlement& reject : rejects) {
    const std::uint64_t tag = reject.token.delivery;
    if (auto done = connection_->reject(tag, reject.verdict == Verdict::requeue); !done) return done;
    forget(tag);
  }
  return {};
}

void Consumer::Impl::forget(std::uint64_t tag) {
  unsettled_.erase(tag);
  set_aside_.erase(tag);
  if (tag > last_carried_over_) ++room_;
}

// Whether there may be more.
Result<bool> Consumer::Impl::read_notices() {
  for (std::size_t count = 0; count < notices_a_turn; ++count) {
    Result<std::optional<Notice>> read = connection_->read();
    if (!read) return tl::unexpected(std::move(read.error()));
    if (!*read) return false;
    if (auto* const delivered = std::get_if<notice::Delivered>(&**read)) {
      deliver(std::move(*delivered));
    } else if (const auto* const closed = std::get_if<notice::ChannelClosed>(&**read)) {
      return base::fail(ErrorKind::unavailable,
                        "RabbitMQ closed the channel: " + std::to_string(closed->code) + " " + closed->text);
    } else if (std::holds_alternative<notice::ConsumerCancelled>(**read)) {
      ended_ = ConsumerState::cancelled;
      return base::fail(ErrorKind::not_found, "RabbitMQ cancelled the consumer of the queue " +
                                                  base::quote(settings_.queue) +
                                                  ": it was deleted, or moved");
    }
  }
  return true;
}

void Consumer::Impl::deliver(notice::Delivered delivered) {
  if (stopping_) return;
  unsettled_.insert(delivered.tag);
  --room_;
  count([](ConsumerStats& stats) { ++stats.delivered; });
  handlers_.on_delivery({{generation_, delivered.tag},
                         delivered.redelivered,
                         std::move(delivered.exchange),
                         std::move(delivered.routing_key),
                         std::move(delivered.message)});
}

// What is not told now, the broker finds out when the connection ends.
void Consumer::Impl::leave() {
  busy();
  Result<void> done;
  if (consumer_tag_) done = connection_->cancel(*consumer_tag_);
  if (done) done = send_settlements();
  if (done) done = connection_->close();
  if (!done) log_.warning("RabbitMQ was left without a goodbye", {{"error", base::describe(done.error())}});
}

void Consumer::Impl::tell(ConsumerState state, const std::string& detail) {
  {
    const std::lock_guard lock(mutex_);
    if (stats_.state == state && state != ConsumerState::lost) return;
    stats_.state = state;
  }
  if (handlers_.on_state) handlers_.on_state(state, detail);
}

// ---------------------------------------------------------------------------------------------------------------------

Consumer::Consumer(ConsumerSettings settings, ConsumerHandlers handlers, base::Log& log, base::Random random)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(handlers), log, std::move(random))) {}

Consumer::~Consumer() = default;

void Consumer::ack(Token token) {
  impl_->settle({token, Verdict::ack});
}

void Consumer::reject(Token token, bool requeue) {
  impl_->settle({token, requeue ? Verdict::requeue : Verdict::reject});
}

void Consumer::set_aside(Token token) {
  impl_->settle({token, Verdict::set_aside});
}

void Consumer::pause() {
  impl_->set_paused(true);
}

void Consumer::resume() {
  impl_->set_paused(false);
}

void Consumer::stop() {
  impl_->stop();
}

ConsumerStats Consumer::stats() const {
  return impl_->stats();
}

}  // namespace lambda::amqp
