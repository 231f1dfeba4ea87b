// Consumes a queue of RabbitMQ, with acknowledgements.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "amqp/message.h"
#include "amqp/settings.h"
#include "base/backoff.h"
#include "base/log.h"

namespace lambda::amqp {

/// Names a delivery. It dies with its connection: the broker then delivers the message again under another.
struct Token {
  std::uint64_t connection = 0;
  std::uint64_t delivery = 0;

  bool operator==(const Token&) const = default;
};

struct Delivery {
  Token token;
  bool redelivered = false;
  std::string exchange;
  std::string routing_key;
  Message message;
};

enum class ConsumerState {
  connecting,  // at the start
  consuming,
  paused,         // connected, and asked not to consume
  lost,           // no connection; it tries again
  missing_queue,  // connected, but there is no such queue; it tries again
  cancelled,      // the broker ended the consumer (the queue was deleted); it tries again
  stopped,        // at the end
};

std::string_view to_string(ConsumerState state);

struct ConsumerSettings {
  ConnectionSettings connection;
  std::string queue;
  std::uint16_t prefetch = 100;  // deliveries that are neither settled nor set aside, at most; not 0
};

/// Called on the consumer's thread. They must not block, throw or destroy the consumer; they may settle,
/// pause and resume.
struct ConsumerHandlers {
  std::function<void(Delivery)> on_delivery;
  /// Each change of the state; `detail` is for a person and may be empty.
  std::function<void(ConsumerState state, const std::string& detail)> on_state;
};

struct ConsumerStats {
  ConsumerState state = ConsumerState::connecting;
  std::string last_error;  // of the connection; empty: none so far
  std::uint64_t delivered = 0;
  std::uint64_t acknowledged = 0;  // told to the broker
  std::uint64_t rejected = 0;
  std::uint64_t stale = 0;  // tokens of a lost connection, or used twice: nothing was sent for them
  std::uint64_t connections = 0;
  std::uint64_t unsettled = 0;
  std::uint64_t set_aside = 0;  // of them
};

/// One connection, with a thread that speaks to the broker and one that watches that it does not hang.
/// Connects when it is made, and again with backoff and jitter whenever the connection, the queue or the
/// consumer is lost. Declares nothing. Thread-safe. `log` must outlive it.
class Consumer {
 public:
  Consumer(ConsumerSettings settings, ConsumerHandlers handlers, base::Log& log,
           base::Random random = base::system_random());
  /// stop()
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  /// Each delivery is settled once, in any order, by one of these. They return at once; what is asked for
  /// within 20 ms goes to the broker together, or earlier where it is a quarter of the prefetch. A stale
  /// token is dropped.
  void ack(Token token);
  void reject(Token token, bool requeue);

  /// Counts against the prefetch no longer, so that another comes in its place. It stays unsettled, and ours.
  void set_aside(Token token);

  /// No further deliveries, but for those (at most `prefetch`) that are on their way; what is not settled
  /// stays ours.
  void pause();
  /// What is unsettled and not set aside goes on counting against the prefetch.
  void resume();

  /// Cancels the consumer, tells the broker what was settled until now, and closes; the broker takes back
  /// what was not settled. No handler runs once it has returned. Takes milliseconds, a second if the broker
  /// does not answer; longer only while it is connecting (connect_timeout) or a host name is being looked up.
  /// Not from a handler.
  void stop();

  ConsumerStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::amqp
