#include "amqp/ledger.h"

#include <utility>

#include "amqp/message_properties.h"
#include "base/text.h"

namespace lambda::amqp {
namespace {

using base::ErrorKind;
using base::TimePoint;

Confirmation unavailable(ErrorKind kind, std::string message) {
  return {Ending::unavailable, base::Error{kind, std::move(message), ""}};
}

std::size_t size_of(const Publication& publication) {
  std::size_t bytes = sizeof(Publication) + publication.exchange.size() + publication.routing_key.size() +
                      publication.message.body.size();
  for (const auto& [name, value] : publication.message.headers) bytes += name.size() + value.size();
  return bytes;
}

base::Result<void> check(const Publication& publication) {
  constexpr std::size_t max_short_string_bytes = 255;
  if (publication.exchange.size() > max_short_string_bytes ||
      publication.routing_key.size() > max_short_string_bytes)
    return base::fail(ErrorKind::invalid, "an exchange's name and a routing key have at most 255 bytes");
  return check_encodable(publication.message);
}

}  // namespace

std::optional<Confirmation> Ledger::refusal(const Publication& publication) const {
  if (closed_) return unavailable(ErrorKind::unavailable, "the publisher is stopping");
  if (const auto fine = check(publication); !fine) return Confirmation{Ending::unavailable, fine.error()};
  // One that is larger than that by itself has to be possible, or it could never be sent.
  const bool too_many_bytes = messages_ > 0 && bytes_ + publication.bytes > max_bytes_;
  if (messages_ >= max_messages_ || too_many_bytes)
    return unavailable(ErrorKind::unavailable,
                       "too many messages wait for RabbitMQ" + (trouble_.empty() ? "" : ": " + trouble_));
  return std::nullopt;
}

Ledger::Admission Ledger::admit(PublicationPtr publication) {
  publication->bytes = size_of(*publication);
  const std::lock_guard lock(mutex_);
  publication->verdict = refusal(*publication);
  if (publication->verdict) {
    publication->message = {};
    publication->deadline = TimePoint::min();
    by_deadline_.emplace(TimePoint::min(), std::move(publication));
    return {false, TimePoint::min()};
  }
  ++messages_;
  bytes_ += publication->bytes;
  const TimePoint deadline = publication->deadline;
  const bool first = waiting_.empty();
  waiting_.push_back(publication);
  by_deadline_.emplace(deadline, std::move(publication));
  return {first, deadline};
}

PublicationPtr Ledger::take() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty()) {
    PublicationPtr next = std::move(waiting_.front());
    waiting_.pop_front();
    if (next->done) return next;
  }
  return nullptr;
}

void Ledger::put_back(const std::vector<PublicationPtr>& publications) {
  const std::lock_guard lock(mutex_);
  for (auto i = publications.rbegin(); i != publications.rend(); ++i) {
    if ((*i)->done) waiting_.push_front(*i);
  }
}

Publisher::Done Ledger::remove(ByDeadline::iterator place) {
  const PublicationPtr publication = place->second;
  if (!publication->verdict) {
    --messages_;
    bytes_ -= publication->bytes;
  }
  by_deadline_.erase(place);
  return std::exchange(publication->done, nullptr);
}

void Ledger::end(const PublicationPtr& publication, Confirmation confirmation) {
  Publisher::Done done;
  {
    const std::lock_guard lock(mutex_);
    if (!publication->done) return;
    auto [place, last] = by_deadline_.equal_range(publication->deadline);
    while (place->second != publication) ++place;
    done = remove(place);
  }
  done(std::move(confirmation));
}

Confirmation Ledger::late(const Publication& publication) const {
  if (closed_) return unavailable(ErrorKind::unavailable, "the publisher is stopping");
  if (!trouble_.empty()) return unavailable(ErrorKind::unavailable, trouble_);
  return unavailable(ErrorKind::timeout, publication.exchange.empty()
                                             ? "RabbitMQ did not confirm the message in time"
                                             : "RabbitMQ did not confirm the message in time, exchange " +
                                                   base::quote(publication.exchange));
}

TimePoint Ledger::expire(TimePoint now) {
  std::unique_lock lock(mutex_);
  bool ended = false;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const auto first = by_deadline_.begin();
    const PublicationPtr publication = first->second;
    Confirmation confirmation = publication->verdict ? *publication->verdict : late(*publication);
    const Publisher::Done done = remove(first);
    ended = true;
    lock.unlock();
    done(std::move(confirmation));
    lock.lock();
  }
  // While nothing is sent they would pile up here.
  if (ended) std::erase_if(waiting_, [](const PublicationPtr& publication) { return !publication->done; });
  return by_deadline_.empty() ? TimePoint::max() : by_deadline_.begin()->first;
}

void Ledger::set_trouble(std::string trouble) {
  const std::lock_guard lock(mutex_);
  trouble_ = std::move(trouble);
}

void Ledger::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  expire(TimePoint::max());
}

std::size_t Ledger::size() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

}  // namespace lambda::amqp
