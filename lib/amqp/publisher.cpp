#include "amqp/publisher.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "amqp/call_limit.h"
#include "amqp/connection.h"
#include "amqp/ledger.h"
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

constexpr std::size_t max_in_flight = 1000;  // more makes it no faster
constexpr std::size_t messages_a_turn = 100;
constexpr std::size_t notices_a_turn = 1000;
constexpr unsigned max_sends = 3;
constexpr std::chrono::seconds goodbye_limit{1};
constexpr std::chrono::seconds good_connection{5};  // one that lasted so long was worth its backoff
constexpr std::uint16_t access_refused = 403;
constexpr std::uint16_t exchange_not_found = 404;

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

Confirmation ending(Ending what, ErrorKind kind, std::string message) {
  return {what, Error{kind, std::move(message), ""}};
}

std::string destination(const Publication& publication) {
  const std::string key = base::quote(publication.routing_key);
  return publication.exchange.empty()
             ? "queue " + key
             : "exchange " + base::quote(publication.exchange) + ", routing key " + key;
}

bool is_of(const Publication& publication, const notice::Returned& returned) {
  return !publication.returned && publication.exchange == returned.exchange &&
         publication.routing_key == returned.routing_key &&
         publication.message.message_id == returned.message.message_id &&
         publication.message.headers == returned.message.headers &&
         publication.message.body == returned.message.body;
}

}  // namespace

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::confirmed:
      return "confirmed";
    case Ending::returned:
      return "returned";
    case Ending::nacked:
      return "nacked";
    case Ending::no_exchange:
      return "no_exchange";
    case Ending::unavailable:
      return "unavailable";
  }
  return "unavailable";
}

class Publisher::Impl {
 public:
  Impl(PublisherSettings settings, base::Log& log, base::Random random)
      : settings_(std::move(settings)),
        log_(log),
        random_(std::move(random)),
        ledger_(settings_.max_messages, settings_.max_bytes),
        limit_(settings_.connection.stall_limit),
        keeper_([this] { return tick(); }),
        thread_([this] { run(); }) {}

  ~Impl() {
    stopping_ = true;
    ledger_.close();
    const TimePoint goodbye = Clock::now() + goodbye_limit;
    limit_.hurry(goodbye);
    keeper_.wake_by(goodbye);
    wakeup_.signal();
    thread_.join();
    ledger_.close();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void publish(PublicationPtr publication);
  PublisherState state() const;

 private:
  void run();
  Result<void> connect();
  Error serve();
  Result<void> turn();
  Result<void> send_waiting();
  Result<bool> read_notices();
  void settle(std::uint64_t tag, bool multiple, bool confirmed);
  void settle_one(const PublicationPtr& publication, bool confirmed);
  void on_returned(const notice::Returned& returned);
  Result<void> on_channel_closed(const notice::ChannelClosed& closed);
  void resend(const std::vector<PublicationPtr>& publications, const std::string& why);
  std::vector<PublicationPtr> forget_in_flight();
  void set_blocked(bool blocked, const std::string& reason);
  void busy();
  TimePoint tick();
  void note_lost(const Error& error);

  const PublisherSettings settings_;
  base::Log& log_;
  base::Random random_;
  Ledger ledger_;
  CallLimit limit_;
  Wakeup wakeup_;
  std::atomic<bool> stopping_ = false;

  mutable std::mutex mutex_;  // for state_
  PublisherState state_;

  // The speaking thread's own.
  std::unique_ptr<Connection> connection_;
  std::map<std::uint64_t, PublicationPtr> in_flight_;  // by publishing sequence number
  std::size_t in_flight_bytes_ = 0;
  std::uint64_t next_tag_ = 1;
  bool blocked_ = false;
  bool more_to_send_ = false;  // perhaps

  Timekeeper keeper_;
  std::thread thread_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Any thread

void Publisher::Impl::publish(PublicationPtr publication) {
  const Ledger::Admission admission = ledger_.admit(std::move(publication));
  keeper_.wake_by(admission.expires);
  if (admission.first) wakeup_.signal();
}

PublisherState Publisher::Impl::state() const {
  const std::lock_guard lock(mutex_);
  PublisherState state = state_;
  state.messages = ledger_.size();
  return state;
}

TimePoint Publisher::Impl::tick() {
  const TimePoint now = Clock::now();
  return std::min(ledger_.expire(now), limit_.check(now));
}

// ---------------------------------------------------------------------------------------------------------------------
// The speaking thread

void Publisher::Impl::run() {
  ledger_.set_trouble("not connected to RabbitMQ yet");
  unsigned retries = 0;
  while (!stopping_) {
    const TimePoint began = Clock::now();
    const Result<void> connected = connect();
    const Error error = connected ? serve() : connected.error();
    connection_.reset();
    limit_.end();
    if (stopping_) return;
    note_lost(error);
    resend(forget_in_flight(), error.message);
    if (connected && Clock::now() - began > good_connection) retries = 0;
    const TimePoint again = Clock::now() + settings_.connection.reconnect.delay(retries++, random_);
    while (!stopping_ && Clock::now() < again) wakeup_.wait(-1, again);
  }
}

Result<void> Publisher::Impl::connect() {
  // Reaching the broker has time limits of its own; the socket is ours only after that.
  Result<std::unique_ptr<Connection>> opened = Connection::open(settings_.connection, limit_);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  connection_ = std::move(*opened);
  busy();
  if (auto done = connection_->select_confirms(); !done) return done;
  next_tag_ = 1;
  blocked_ = false;
  ledger_.set_trouble("");
  log_.info("connected to RabbitMQ for publishing", {{"address", connection_->shown()}});
  const std::lock_guard lock(mutex_);
  state_.connected = true;
  ++state_.connections;
  return {};
}

Error Publisher::Impl::serve() {
  while (!stopping_) {
    if (auto done = turn(); !done) return done.error();
  }
  busy();
  // Nobody waits for an answer any more.
  if (const auto closed = connection_->close(); !closed) log_.debug("RabbitMQ was left without a goodbye");
  return {};
}

Result<void> Publisher::Impl::turn() {
  busy();
  more_to_send_ = false;
  if (auto done = send_waiting(); !done) return done;
  const Result<bool> more = read_notices();
  limit_.end();
  if (!more) return tl::unexpected(more.error());
  connection_->release_buffers();
  if (!*more && !more_to_send_)
    wakeup_.wait(connection_->socket(), Clock::now() + connection_->longest_sleep());
  return {};
}

// From now until limit_.end() the keeper watches that librabbitmq does not hang.
void Publisher::Impl::busy() {
  keeper_.wake_by(limit_.begin());
}

Result<void> Publisher::Impl::send_waiting() {
  for (std::size_t sent = 0; sent < messages_a_turn && !blocked_; ++sent) {
    if (in_flight_.size() >= max_in_flight || in_flight_bytes_ >= settings_.max_bytes) return {};
    const PublicationPtr publication = ledger_.take();
    if (!publication) return {};
    ++publication->sends;
    publication->returned.reset();
    in_flight_bytes_ += publication->bytes;
    in_flight_.emplace(next_tag_++, publication);
    auto done = connection_->publish(publication->exchange, publication->routing_key, publication->message);
    if (!done) return done;
    more_to_send_ = sent + 1 == messages_a_turn;
  }
  return {};
}

// Whether there may be more.
Result<bool> Publisher::Impl::read_notices() {
  for (std::size_t count = 0; count < notices_a_turn; ++count) {
    Result<std::optional<Notice>> read = connection_->read();
    if (!read) return tl::unexpected(std::move(read.error()));
    if (!*read) return false;
    Result<void> done;
    std::visit(Overloaded{
                   [&](const notice::Confirmed& it) { settle(it.tag, it.multiple, true); },
                   [&](const notice::Refused& it) { settle(it.tag, it.multiple, false); },
                   [&](const notice::Returned& it) { on_returned(it); },
                   [&](const notice::ChannelClosed& it) { done = on_channel_closed(it); },
                   [&](const notice::Blocked& it) { set_blocked(true, it.reason); },
                   [&](const notice::Unblocked&) { set_blocked(false, ""); },
                   [](const auto&) {},
               },
               **read);
    if (!done) return tl::unexpected(std::move(done.error()));
  }
  return true;
}

void Publisher::Impl::settle(std::uint64_t tag, bool multiple, bool confirmed) {
  auto it = multiple ? in_flight_.begin() : in_flight_.find(tag);
  while (it != in_flight_.end() && it->first <= tag) {
    in_flight_bytes_ -= it->second->bytes;
    settle_one(it->second, confirmed);
    it = in_flight_.erase(it);
  }
  more_to_send_ = true;  // there is room again
}

void Publisher::Impl::settle_one(const PublicationPtr& publication, bool confirmed) {
  if (!confirmed) {
    ledger_.end(publication,
                ending(Ending::nacked, ErrorKind::unavailable,
                       "a queue refused the message (it is full?): " + destination(*publication)));
  } else if (publication->returned) {
    ledger_.end(publication, ending(Ending::returned, ErrorKind::not_found,
                                    "no queue for the message: " + destination(*publication) + ": " +
                                        *publication->returned));
  } else {
    ledger_.end(publication, {Ending::confirmed, {}});
  }
}

// A return does not say of which publication it is, but it brings the whole message back. Equal messages to
// equal places are interchangeable.
void Publisher::Impl::on_returned(const notice::Returned& returned) {
  const auto found =
      std::ranges::find_if(in_flight_, [&](const auto& entry) { return is_of(*entry.second, returned); });
  if (found != in_flight_.end()) {
    found->second->returned = returned.reason;
    return;
  }
  log_.error("RabbitMQ returned a message that was not published here",
             {{"error", returned.reason + ", routing key " + base::quote(returned.routing_key)}});
}

// Of what was in flight on a closed channel nothing is known. The broker's text names the exchange that it
// did not find; whatever was not for that one is sent again, and this sending is not held against it.
Result<void> Publisher::Impl::on_channel_closed(const notice::ChannelClosed& closed) {
  const std::string why = "RabbitMQ closed the channel: " + std::to_string(closed.code) + " " + closed.text;
  log_.warning("RabbitMQ closed the channel for publishing",
               {{"error", std::to_string(closed.code) + " " + closed.text}});
  std::vector<PublicationPtr> others;
  const std::vector<PublicationPtr> in_flight = forget_in_flight();
  for (const PublicationPtr& publication : in_flight) {
    const bool named = !publication->exchange.empty() &&
                       closed.text.find("'" + publication->exchange + "'") != std::string::npos;
    if (named && closed.code == exchange_not_found) {
      ledger_.end(publication, ending(Ending::no_exchange, ErrorKind::not_found,
                                      "there is no exchange " + base::quote(publication->exchange)));
    } else if (named && closed.code == access_refused) {
      ledger_.end(publication, ending(Ending::unavailable, ErrorKind::unavailable, why));
    } else {
      others.push_back(publication);
    }
  }
  if (others.size() < in_flight.size()) {
    for (const PublicationPtr& publication : others) --publication->sends;
  }
  resend(others, why);
  if (auto done = connection_->reopen_channel(); !done) return done;
  if (auto done = connection_->select_confirms(); !done) return done;
  next_tag_ = 1;
  return {};
}

// In their order.
std::vector<PublicationPtr> Publisher::Impl::forget_in_flight() {
  std::vector<PublicationPtr> publications;
  for (auto& [tag, publication] : in_flight_) publications.push_back(std::move(publication));
  in_flight_.clear();
  in_flight_bytes_ = 0;
  return publications;
}

void Publisher::Impl::resend(const std::vector<PublicationPtr>& publications, const std::string& why) {
  std::vector<PublicationPtr> again;
  for (const PublicationPtr& publication : publications) {
    if (publication->sends < max_sends) {
      again.push_back(publication);
    } else {
      ledger_.end(publication, ending(Ending::unavailable, ErrorKind::unavailable,
                                      "sent three times without a confirm: " + why));
    }
  }
  ledger_.put_back(again);
  more_to_send_ = true;
}

void Publisher::Impl::set_blocked(bool blocked, const std::string& reason) {
  blocked_ = blocked;
  ledger_.set_trouble(blocked ? "RabbitMQ accepts no messages at present: " + reason : "");
  if (blocked) {
    log_.warning("RabbitMQ blocks publishers", {{"reason", reason}});
  } else {
    log_.info("RabbitMQ accepts messages again");
    more_to_send_ = true;
  }
  const std::lock_guard lock(mutex_);
  state_.blocked = blocked;
}

void Publisher::Impl::note_lost(const Error& error) {
  ledger_.set_trouble("not connected to RabbitMQ: " + base::describe(error));
  log_.warning("no connection to RabbitMQ for publishing", {{"error", base::describe(error)}});
  const std::lock_guard lock(mutex_);
  state_.connected = false;
  state_.blocked = false;
  state_.last_error = base::describe(error);
}

// ---------------------------------------------------------------------------------------------------------------------

Publisher::Publisher(PublisherSettings settings, base::Log& log, base::Random random)
    : impl_(std::make_unique<Impl>(std::move(settings), log, std::move(random))) {}

Publisher::~Publisher() = default;

void Publisher::publish(std::string exchange, std::string routing_key, Message message, TimePoint deadline,
                        Done done) {
  auto publication = std::make_shared<Publication>();
  publication->exchange = std::move(exchange);
  publication->routing_key = std::move(routing_key);
  publication->message = std::move(message);
  publication->deadline = deadline;
  publication->done = std::move(done);
  impl_->publish(std::move(publication));
}

PublisherState Publisher::state() const {
  return impl_->state();
}

}  // namespace lambda::amqp
