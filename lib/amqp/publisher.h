// Publishes to RabbitMQ and says of each message what became of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "amqp/message.h"
#include "amqp/settings.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"

namespace lambda::amqp {

enum class Ending {
  confirmed,    // every queue that it was routed to has it, persistently
  returned,     // no queue for this exchange and routing key; nobody has it
  nacked,       // a queue refused it (full, with reject-publish)
  no_exchange,  // there is no such exchange
  unavailable,  // none of these could be learnt in time: it may be in a queue or not
};

std::string_view to_string(Ending ending);

struct Confirmation {
  Ending ending = Ending::unavailable;
  /// Why, if it is not confirmed. Of `unavailable`: timeout (sent, but no confirm by the deadline), invalid
  /// (AMQP can't carry the message: it was not sent), unavailable (all else; the text says what).
  base::Error error;
};

struct PublisherSettings {
  ConnectionSettings connection;
  std::size_t max_messages = 1000;                // published and not yet ended, in all
  std::size_t max_bytes = std::size_t{16} << 20;  // of their texts, unless it is a single one
};

struct PublisherState {
  bool connected = false;
  bool blocked = false;      // by the broker: it is short of memory or disk
  std::string last_error;    // of the connection; empty: none so far
  std::size_t messages = 0;  // published and not yet ended
  std::uint64_t connections = 0;
};

/// One connection, with a thread that speaks to the broker and one that keeps deadlines. Persistent,
/// mandatory, with publisher confirms. Connects when it is made, and again with backoff whenever the
/// connection is lost; what was not confirmed by then is sent again (at least once), three times at most.
/// Declares nothing. Thread-safe. `log` must outlive it.
class Publisher {
 public:
  /// Called exactly once, at the deadline at the latest, on one of the publisher's threads (or on the one
  /// that destroys it, from its destructor). It must neither block nor throw nor destroy the publisher.
  using Done = std::function<void(Confirmation)>;

  Publisher(PublisherSettings settings, base::Log& log, base::Random random = base::system_random());
  /// What has not ended is unavailable. Takes milliseconds, a second if the broker does not answer; longer
  /// only while it is connecting (connect_timeout) or a host name is being looked up, which nobody can
  /// interrupt.
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// While the broker is away or blocks publishers the message waits, until its deadline. Beyond max_messages
  /// or max_bytes it is unavailable at once.
  void publish(std::string exchange, std::string routing_key, Message message, base::TimePoint deadline,
               Done done);

  PublisherState state() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::amqp
