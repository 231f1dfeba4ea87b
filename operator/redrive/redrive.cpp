#include "redrive/redrive.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "amqp/publisher.h"
#include "amqp/reader.h"
#include "amqp/wakeup.h"
#include "base/text.h"
#include "base/token_bucket.h"
#include "cloudevents/amqp.h"

namespace lambda::redrive {
namespace {

using base::Clock;
using base::Error;
using base::ErrorKind;
using base::Result;
using base::TimePoint;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t max_in_flight = 100;
constexpr std::size_t max_in_flight_bytes = std::size_t{8} << 20;
constexpr seconds confirm_limit{30};
constexpr seconds stop_limit{5};                   // for confirms that are on their way when it is to stop
constexpr seconds close_limit{10};                 // for giving letters back in their order
constexpr seconds silence{1};                      // after it, a queue that has nothing ready is at its end
constexpr base::milliseconds take_back_time{200};  // the broker's, for what a lost connection held
constexpr seconds tell_interval{1};
constexpr std::uint64_t tell_letters = 500;
// The broker closes a channel on which a letter was not acknowledged for 30 minutes (consumer_timeout).
constexpr minutes longest_pass{10};

// What became of publications, from the publisher's threads to ours.
class Mailbox {
 public:
  using Answer = std::pair<std::uint64_t, amqp::Confirmation>;

  void put(std::uint64_t number, amqp::Confirmation confirmation) {
    const std::lock_guard lock(mutex_);
    answers_.emplace_back(number, std::move(confirmation));
  }
  std::vector<Answer> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(answers_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Answer> answers_;
};

// Why a pass over the queue ends; of several reasons the last of these counts.
enum class PassEnd {
  completed,
  limited,
  again,    // it has lasted long
  trouble,  // it may pass
  stopped,
  failed,
};

std::size_t bytes_of(const amqp::Message& message) {
  std::size_t bytes = message.body.size();
  for (const auto& [name, value] : message.headers) bytes += name.size() + value.size();
  return bytes;
}

base::CalendarTime calendar_now() {
  return std::chrono::floor<base::milliseconds>(std::chrono::system_clock::now());
}

class Run {
 public:
  Run(const Plan& plan, const OnProgress& on_progress, const std::stop_token& stop, base::Log& log,
      base::Random random)
      : plan_(plan),
        on_progress_(on_progress),
        stop_(stop),
        random_(std::move(random)),
        tally_(plan.checkpoint ? Tally(*plan.checkpoint) : Tally()),
        exact_(!plan.checkpoint),
        begun_(plan.checkpoint.has_value()) {
    if (plan.rate) bucket_ = base::TokenBucket::evenly(static_cast<double>(*plan.rate));
    if (plan.checkpoint) started_at_ = plan.checkpoint->started_at;
    if (!plan.dry_run) publisher_ = std::make_unique<amqp::Publisher>(publisher_settings(), log);
  }

  Outcome run();

 private:
  // A letter whose event is to be sent, or was.
  struct Move {
    std::uint64_t pass = 0;
    amqp::Token token;
    std::string reason;
    std::size_t bytes = 0;
  };
  struct Pending {
    Move move;
    amqp::Message message;
  };

  amqp::PublisherSettings publisher_settings() const;
  PassEnd pass();
  Result<void> open();
  PassEnd opening_failed();
  void work();
  bool step();
  bool read_next();
  void on_letter(const amqp::Delivery& delivery);
  void on_silence();
  void publish_pending();
  bool has_room() const;
  bool take_token() { return !bucket_ || bucket_->take(Clock::now()); }
  void take_answers();
  void on_answer(const Move& move, amqp::Confirmation confirmation);
  void on_confirmed(const Move& move);
  void reader_failed(Error error);
  void wait();
  void close();
  void end_pass(PassEnd end);
  void fail_pass(PassEnd end, Error error);
  void look_up();
  void tell();
  bool pause_after_trouble();
  std::optional<Checkpoint> checkpoint() const;
  Outcome outcome(Ending ending);

  const Plan& plan_;
  const OnProgress& on_progress_;
  const std::stop_token stop_;
  base::Random random_;

  Tally tally_;
  base::CalendarTime started_at_;
  bool exact_;  // we know how many of the letters of the beginning the queue still has
  bool begun_;  // the beginning is known
  std::optional<base::TokenBucket> bucket_;  // none: as fast as it goes
  Error error_;                              // the last one
  std::string trouble_;                      // to be told
  std::optional<TimePoint> trouble_since_;
  unsigned retries_ = 0;
  TimePoint next_tell_;
  std::uint64_t untold_ = 0;  // letters
  bool asked_to_stop_ = false;

  // Of the present pass.
  std::unique_ptr<amqp::Reader> reader_;
  std::uint64_t pass_ = 0;
  TimePoint pass_began_;
  std::uint64_t budget_ = 0;  // letters to read at most
  std::uint64_t read_ = 0;
  std::uint64_t moved_before_ = 0;
  std::optional<Pending> pending_;
  TimePoint heard_;  // when the last letter came
  std::optional<PassEnd> end_;
  TimePoint end_limit_;

  std::map<std::uint64_t, Move> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::uint64_t last_number_ = 0;

  // Last, as the publisher's threads use the first two until it has gone.
  Mailbox mailbox_;
  amqp::Wakeup wakeup_;
  std::unique_ptr<amqp::Publisher> publisher_;
};

amqp::PublisherSettings Run::publisher_settings() const {
  amqp::PublisherSettings settings;
  settings.connection = plan_.connection;
  return settings;
}

Outcome Run::run() {
  if (plan_.delivery_limit) {
    error_ = {ErrorKind::conflict,
              "the queue " + base::quote(plan_.queue) + " has a delivery limit of " +
                  std::to_string(*plan_.delivery_limit) +
                  ": each look at a letter counts as a delivery, and in the end it would be dropped; take "
                  "the limit off (-1 from RabbitMQ 4.0 on)",
              ""};
    return outcome(Ending::failed);
  }
  const std::stop_callback wake(stop_, [this] { wakeup_.signal(); });
  while (true) {
    switch (pass()) {
      case PassEnd::completed:
        return outcome(Ending::completed);
      case PassEnd::limited:
        return outcome(Ending::limited);
      case PassEnd::stopped:
        return outcome(Ending::stopped);
      case PassEnd::failed:
        return outcome(Ending::failed);
      case PassEnd::again:
        break;
      case PassEnd::trouble:
        exact_ = false;
        if (!pause_after_trouble()) return outcome(asked_to_stop_ ? Ending::stopped : Ending::failed);
        break;
    }
  }
}

std::optional<Checkpoint> Run::checkpoint() const {
  if (!begun_) return std::nullopt;
  return Checkpoint{started_at_, tally_.total(), tally_.moved_per_reason()};
}

Outcome Run::outcome(Ending ending) {
  return {ending, ending == Ending::failed ? error_ : Error{}, tally_.counts(), checkpoint()};
}

// Whether to go on.
bool Run::pause_after_trouble() {
  const TimePoint now = Clock::now();
  if (!trouble_since_) trouble_since_ = now;
  if (now - *trouble_since_ >= plan_.patience) return false;
  trouble_ = base::describe(error_);
  const TimePoint again = now + take_back_time + plan_.retry.delay(retries_++, random_);
  while (Clock::now() < again) {
    look_up();
    if (asked_to_stop_) return false;
    wakeup_.wait(-1, std::min(again, next_tell_));
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// A pass

PassEnd Run::pass() {
  end_.reset();
  pending_.reset();
  ++pass_;
  read_ = 0;
  moved_before_ = tally_.moved();
  pass_began_ = heard_ = Clock::now();
  if (auto opened = open(); !opened) {
    error_ = std::move(opened.error());
    return opening_failed();
  }
  work();
  close();
  return *end_;
}

Result<void> Run::open() {
  auto opened = amqp::Reader::open({plan_.connection, plan_.queue}, wakeup_);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  reader_ = std::move(*opened);
  if (!begun_) {
    tally_.set_total(reader_->ready_at_start());
    started_at_ = calendar_now();
  }
  tally_.begin_pass();
  const std::uint64_t left = tally_.total() - std::min(tally_.total(), tally_.moved());
  budget_ = exact_ ? left : tally_.total();
  if (std::exchange(begun_, true)) return {};
  tell();  // where it began has to be known before anything is moved
  return {};
}

PassEnd Run::opening_failed() {
  // A broker that comes up again may not know the queue yet.
  const bool may_pass = base::worth_retrying(error_.kind) || (begun_ && error_.kind == ErrorKind::not_found);
  return may_pass ? PassEnd::trouble : PassEnd::failed;
}

void Run::work() {
  while (true) {
    take_answers();
    look_up();
    if (end_ && (in_flight_.empty() || Clock::now() >= end_limit_)) return;
    if (end_ || !step()) wait();
  }
}

// Tells what there is to tell, and notices what is asked for.
void Run::look_up() {
  if (untold_ >= tell_letters || Clock::now() >= next_tell_) tell();
  if (stop_.stop_requested() || (plan_.may_write && !plan_.may_write())) asked_to_stop_ = true;
  if (asked_to_stop_) end_pass(PassEnd::stopped);
  const bool long_lasting = Clock::now() - pass_began_ >= longest_pass && tally_.moved() > moved_before_;
  if (long_lasting) end_pass(PassEnd::again);
}

void Run::tell() {
  untold_ = 0;
  if (on_progress_ && !on_progress_({tally_.counts(), checkpoint(), trouble_})) asked_to_stop_ = true;
  next_tell_ = Clock::now() + tell_interval;
}

void Run::end_pass(PassEnd end) {
  if (end_ && *end_ >= end) return;
  end_ = end;
  pending_.reset();
  end_limit_ = Clock::now() + (end == PassEnd::stopped ? stop_limit : 2 * confirm_limit);
}

void Run::fail_pass(PassEnd end, Error error) {
  if (!end_ || *end_ < end) error_ = std::move(error);
  end_pass(end);
}

void Run::reader_failed(Error error) {
  reader_.reset();
  fail_pass(PassEnd::trouble, std::move(error));
}

bool Run::has_room() const {
  return in_flight_.size() < max_in_flight &&
         (in_flight_.empty() || !pending_ || in_flight_bytes_ + pending_->move.bytes <= max_in_flight_bytes);
}

// Whether there may be more to do at once.
bool Run::step() {
  if (!pending_) return read_next();
  if (!has_room() || !take_token()) return false;
  publish_pending();
  return true;
}

bool Run::read_next() {
  if (read_ >= budget_) {
    end_pass(PassEnd::completed);
    return true;
  }
  if (plan_.limit && tally_.matched() >= *plan_.limit) {
    end_pass(PassEnd::limited);
    return true;
  }
  auto delivery = reader_->next();
  if (!delivery) {
    reader_failed(std::move(delivery.error()));
    return true;
  }
  if (!*delivery) {
    if (Clock::now() - heard_ >= silence) on_silence();
    return false;
  }
  heard_ = Clock::now();
  ++read_;
  on_letter(**delivery);
  return true;
}

// Letters may be gone, so the queue can end before the budget does.
void Run::on_silence() {
  const auto ready = reader_->count_ready();
  heard_ = Clock::now();
  if (!ready) {
    reader_failed(ready.error());
  } else if (*ready == 0) {
    end_pass(PassEnd::completed);
  }
}

void Run::on_letter(const amqp::Delivery& delivery) {
  Letter letter = read_letter(delivery.message);
  if (!exact_ && letter.died && *letter.died > started_at_) return;
  const Verdict verdict = judge(plan_.filter, letter);
  tally_.note(letter.reason, verdict);
  if (verdict != Verdict::move || plan_.dry_run) {
    ++untold_;
    trouble_.clear();
    return;
  }
  amqp::Message message = cloudevents::encode_amqp(*letter.event);
  const std::size_t bytes = bytes_of(message);
  pending_ = Pending{{pass_, delivery.token, std::move(letter.reason), bytes}, std::move(message)};
}

void Run::publish_pending() {
  const std::uint64_t number = ++last_number_;
  in_flight_bytes_ += pending_->move.bytes;
  in_flight_.emplace(number, std::move(pending_->move));
  publisher_->publish(plan_.exchange, plan_.routing_key, std::move(pending_->message),
                      Clock::now() + confirm_limit, [this, number](amqp::Confirmation confirmation) {
                        mailbox_.put(number, std::move(confirmation));
                        wakeup_.signal();
                      });
  pending_.reset();
}

void Run::take_answers() {
  for (auto& [number, confirmation] : mailbox_.take()) {
    const auto found = in_flight_.find(number);
    const Move move = std::move(found->second);
    in_flight_.erase(found);
    in_flight_bytes_ -= move.bytes;
    on_answer(move, std::move(confirmation));
  }
}

void Run::on_answer(const Move& move, amqp::Confirmation confirmation) {
  using Of = amqp::Ending;
  if (confirmation.ending == Of::confirmed) {
    on_confirmed(move);
    return;
  }
  confirmation.error.field = "spec.target";
  const bool nowhere = confirmation.ending == Of::returned || confirmation.ending == Of::no_exchange;
  const bool may_pass = !nowhere && base::worth_retrying(confirmation.error.kind);
  fail_pass(may_pass ? PassEnd::trouble : PassEnd::failed, std::move(confirmation.error));
}

// Without its reader the letter is in the queue again already, and comes once more.
void Run::on_confirmed(const Move& move) {
  if (!reader_ || move.pass != pass_) return;
  if (auto acknowledged = reader_->ack(move.token); !acknowledged) {
    reader_failed(std::move(acknowledged.error()));
    return;
  }
  tally_.note_moved(move.reason);
  ++untold_;
  trouble_.clear();
  trouble_since_.reset();
  retries_ = 0;
}

void Run::wait() {
  const TimePoint now = Clock::now();
  TimePoint until = next_tell_;
  if (end_) until = std::min(until, end_limit_);
  if (!reader_) {
    wakeup_.wait(-1, until);
    return;
  }
  const bool for_letter = !end_ && !pending_;
  if (for_letter) until = std::min(until, heard_ + silence);
  if (!end_ && pending_ && has_room()) until = std::min(until, bucket_ ? bucket_->next(now) : now);
  if (auto waited = reader_->wait(for_letter, until); !waited) reader_failed(std::move(waited.error()));
}

void Run::close() {
  if (*end_ == PassEnd::completed) tally_.note_end();
  if (!reader_) return;
  const auto closed = reader_->close(Clock::now() + (*end_ == PassEnd::stopped ? stop_limit : close_limit));
  reader_.reset();
  // Acknowledgements may not have arrived: then letters that were moved are in the queue again.
  if (!closed && *end_ < PassEnd::trouble) fail_pass(PassEnd::trouble, closed.error());
}

}  // namespace

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::completed:
      return "completed";
    case Ending::limited:
      return "limited";
    case Ending::stopped:
      return "stopped";
    case Ending::failed:
      break;
  }
  return "failed";
}

Outcome run(const Plan& plan, const OnProgress& on_progress, const std::stop_token& stop, base::Log& log,
            base::Random random) {
  return Run(plan, on_progress, stop, log, std::move(random)).run();
}

}  // namespace lambda::redrive
