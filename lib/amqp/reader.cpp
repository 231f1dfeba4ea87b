#include "amqp/reader.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <variant>

#include "amqp/call_limit.h"
#include "amqp/connection.h"
#include "amqp/timekeeper.h"
#include "base/text.h"

namespace lambda::amqp {
namespace {

using base::Clock;
using base::ErrorKind;
using base::milliseconds;
using base::Result;
using base::TimePoint;

// What the broker may send ahead. Who keeps many messages is given more, by one consumer after the other: a
// quorum queue takes back what up to 32 consumers of a channel hold in the order of their tags, and that of
// more in any order. So the windows grow.
constexpr std::uint16_t first_window = 400;
constexpr std::uint16_t largest_window = 8000;
constexpr std::size_t tag_digits = 8;
constexpr milliseconds silence{500};  // after it, a queue that has nothing ready has come to its end
constexpr milliseconds goodbye_limit{2000};
constexpr std::size_t overhead_bytes = 1024;

std::size_t bytes_of(const Message& message) {
  std::size_t bytes = overhead_bytes + message.body.size();
  for (const auto& [name, value] : message.headers) bytes += name.size() + value.size();
  return bytes;
}

}  // namespace

class Reader::Impl {
 public:
  Impl(ReaderSettings settings, Wakeup& wakeup)
      : settings_(std::move(settings)),
        wakeup_(wakeup),
        limit_(settings_.connection.stall_limit),
        keeper_([this] { return limit_.check(Clock::now()); }) {}
  ~Impl() { connection_.reset(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> connect();
  Result<void> open();
  std::uint64_t ready_at_start() const { return ready_at_start_; }
  Result<std::uint64_t> count_ready();
  Result<std::optional<Delivery>> next();
  Result<void> wait(bool for_message, TimePoint until);
  Result<void> ack(std::uint64_t tag);
  Result<void> close(TimePoint until);

 private:
  Result<void> consume();
  Result<void> widen();
  Result<bool> read_one();
  Result<void> on_notice(Notice notice);
  Result<void> read_what_came_back(TimePoint until);
  Result<void> wait_for_acks(TimePoint until);
  Result<bool> at_end();
  Result<bool> is_silent_end(TimePoint& heard);
  Result<void> get_in_vain();
  template <class Call>
  auto busy(Call call) {
    keeper_.wake_by(limit_.begin());
    auto result = call();
    limit_.end();
    return result;
  }

  const ReaderSettings settings_;
  Wakeup& wakeup_;
  CallLimit limit_;
  std::unique_ptr<Connection> connection_;
  std::uint64_t ready_at_start_ = 0;

  std::string consumer_tag_;
  unsigned consumers_ = 0;
  std::uint16_t window_ = first_window;
  std::uint64_t last_tag_ = 0;            // of what was received
  std::uint64_t last_tag_of_others_ = 0;  // the last one that came before the present consumer
  bool acknowledged_ = false;             // something
  std::size_t held_ = 0;                  // of the present consumer: received and not acknowledged

  std::deque<Delivery> received_;  // and not asked for yet
  std::size_t received_bytes_ = 0;
  TimePoint next_read_;    // at the latest
  bool new_seen_ = false;  // a message that was never delivered before: it comes after all that came back

  Timekeeper keeper_;
};

Result<void> Reader::Impl::connect() {
  auto opened = Connection::open(settings_.connection, limit_);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  connection_ = std::move(*opened);
  return {};
}

Result<void> Reader::Impl::open() {
  if (auto done = connect(); !done) return done;
  const auto ready = count_ready();
  if (!ready) return tl::unexpected(ready.error());
  ready_at_start_ = *ready;
  return busy([&] { return consume(); });
}

Result<void> Reader::Impl::consume() {
  if (auto done = connection_->limit_prefetch(window_); !done) return done;
  std::string number = std::to_string(++consumers_);
  number.insert(0, tag_digits - std::min(tag_digits, number.size()), '0');
  auto tag = connection_->consume(settings_.queue, "reader-" + number);
  if (!tag) return tl::unexpected(std::move(tag.error()));
  consumer_tag_ = std::move(*tag);
  return {};
}

// Only when the window is full. Otherwise something may be on its way, and what a quorum queue has sent to a
// consumer that is cancelled meanwhile goes back, and comes again after later messages.
Result<void> Reader::Impl::widen() {
  if (auto done = connection_->cancel(consumer_tag_); !done) return done;
  last_tag_of_others_ = last_tag_;
  held_ = 0;
  window_ = static_cast<std::uint16_t>(std::min<unsigned>(window_ * 2U, largest_window));
  return consume();
}

Result<std::uint64_t> Reader::Impl::count_ready() {
  return busy([&] { return connection_->count_ready(settings_.queue); }).map([](std::uint32_t count) {
    return std::uint64_t{count};
  });
}

Result<std::optional<Delivery>> Reader::Impl::next() {
  while (received_.empty()) {
    const Result<bool> more = busy([&] { return read_one(); });
    if (!more) return tl::unexpected(more.error());
    if (*more) continue;
    connection_->release_buffers();
    if (held_ < window_) return std::nullopt;
    if (auto done = busy([&] { return widen(); }); !done) return tl::unexpected(done.error());
  }
  Delivery delivery = std::move(received_.front());
  received_.pop_front();
  received_bytes_ -= bytes_of(delivery.message);
  return delivery;
}

// Whether there was something.
Result<bool> Reader::Impl::read_one() {
  Result<std::optional<Notice>> notice = connection_->read();
  if (!notice) return tl::unexpected(std::move(notice.error()));
  if (!*notice) return false;
  return on_notice(std::move(**notice)).map([] { return true; });
}

Result<void> Reader::Impl::on_notice(Notice notice) {
  if (auto* const delivered = std::get_if<notice::Delivered>(&notice)) {
    last_tag_ = delivered->tag;
    if (!delivered->redelivered) new_seen_ = true;
    ++held_;
    received_bytes_ += bytes_of(delivered->message);
    received_.push_back({{0, delivered->tag},
                         delivered->redelivered,
                         std::move(delivered->exchange),
                         std::move(delivered->routing_key),
                         std::move(delivered->message)});
  } else if (const auto* const closed = std::get_if<notice::ChannelClosed>(&notice)) {
    return base::fail(ErrorKind::unavailable,
                      "RabbitMQ closed the channel: " + std::to_string(closed->code) + " " + closed->text);
  } else if (std::holds_alternative<notice::ConsumerCancelled>(notice)) {
    return base::fail(ErrorKind::unavailable, "RabbitMQ ended the consumer: was the queue " +
                                                  base::quote(settings_.queue) + " deleted?");
  }
  return {};
}

Result<void> Reader::Impl::wait(bool for_message, TimePoint until) {
  if (for_message && !received_.empty()) return {};
  const TimePoint latest = std::min(until, Clock::now() + connection_->longest_sleep());
  wakeup_.wait(for_message ? connection_->socket() : -1, latest);
  if (for_message) return {};
  // Reading is also what sends heartbeats, so it is done even where there is no room.
  const TimePoint now = Clock::now();
  if (received_bytes_ > settings_.max_bytes && now < next_read_) return {};
  next_read_ = now + connection_->longest_sleep();
  return busy([&] { return read_one(); }).map([](bool) {});
}

Result<void> Reader::Impl::ack(std::uint64_t tag) {
  if (tag > last_tag_of_others_ && held_ > 0) --held_;
  acknowledged_ = true;
  return busy([&] { return connection_->ack(tag, false); });
}

Result<void> Reader::Impl::close(TimePoint until) {
  if (auto done = read_what_came_back(until); !done) return done;
  if (auto done = wait_for_acks(until); !done) return done;
  limit_.hurry(Clock::now() + goodbye_limit);
  return busy([&] { return connection_->close(); });
}

// Up to the first message that is delivered for the first time, or the queue's end.
Result<void> Reader::Impl::read_what_came_back(TimePoint until) {
  if (ready_at_start_ == 0 && last_tag_ == 0) return {};
  TimePoint heard = Clock::now();
  while (!new_seen_ && Clock::now() < until) {
    const auto delivery = next();
    if (!delivery) return tl::unexpected(delivery.error());
    if (*delivery) {
      heard = Clock::now();
      continue;
    }
    const auto end = is_silent_end(heard);
    if (!end || *end) return end.map([](bool) {});
    if (auto done = wait(true, std::min(until, heard + silence)); !done) return done;
  }
  return {};
}

// Whether nothing has come for a while and nothing is there to come.
Result<bool> Reader::Impl::is_silent_end(TimePoint& heard) {
  if (Clock::now() - heard < silence) return false;
  heard = Clock::now();
  return count_ready().map([](std::uint64_t ready) { return ready == 0; });
}

// Acknowledgements have no answer, and a quorum queue's part in the channel may hold them back: when the
// channel is closed then, they are lost. Each that was taken makes room in the window; so all were if the
// window is full. At the queue's end basic.get is an answer that has gone the way of all that was sent before
// it. With the first one that part lets go of what it held back, so the second one comes after that.
Result<void> Reader::Impl::wait_for_acks(TimePoint until) {
  while (acknowledged_ && held_ < window_ && Clock::now() < until) {
    const auto end = at_end();
    if (!end) return tl::unexpected(end.error());
    if (*end) return get_in_vain();
    if (auto done = wait(true, std::min(until, Clock::now() + silence)); !done) return done;
  }
  return {};
}

Result<void> Reader::Impl::get_in_vain() {
  constexpr int gets = 3;
  for (int i = 0; i < gets; ++i) {
    const auto got = busy([&] { return connection_->get(settings_.queue); });
    if (!got) return tl::unexpected(got.error());
  }
  return {};
}

// Takes what has arrived from the socket; whether the queue has nothing more for us.
Result<bool> Reader::Impl::at_end() {
  const auto ready = count_ready();
  if (!ready) return tl::unexpected(ready.error());
  while (true) {
    received_.clear();
    received_bytes_ = 0;
    const auto more = busy([&] { return read_one(); });
    if (!more) return tl::unexpected(more.error());
    if (!*more) return *ready == 0;
  }
}

// ---------------------------------------------------------------------------------------------------------------------

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::~Reader() = default;

Result<std::unique_ptr<Reader>> Reader::open(ReaderSettings settings, Wakeup& wakeup) {
  auto impl = std::make_unique<Impl>(std::move(settings), wakeup);
  if (auto done = impl->open(); !done) return tl::unexpected(std::move(done.error()));
  return std::unique_ptr<Reader>(new Reader(std::move(impl)));
}

Result<std::uint64_t> Reader::count_ready(ReaderSettings settings) {
  Wakeup wakeup;
  Impl impl(std::move(settings), wakeup);
  if (auto done = impl.connect(); !done) return tl::unexpected(std::move(done.error()));
  return impl.count_ready();
}

std::uint64_t Reader::ready_at_start() const {
  return impl_->ready_at_start();
}

Result<std::uint64_t> Reader::count_ready() {
  return impl_->count_ready();
}

Result<std::optional<Delivery>> Reader::next() {
  return impl_->next();
}

Result<void> Reader::wait(bool for_message, TimePoint until) {
  return impl_->wait(for_message, until);
}

Result<void> Reader::ack(Token token) {
  return impl_->ack(token.delivery);
}

Result<void> Reader::close(TimePoint until) {
  return impl_->close(until);
}

}  // namespace lambda::amqp
