// Reads a queue from its head, message by message, and leaves in it, in their order, those that are not
// acknowledged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "amqp/consumer.h"
#include "amqp/settings.h"
#include "amqp/wakeup.h"
#include "base/error.h"
#include "base/time.h"

namespace lambda::amqp {

struct ReaderSettings {
  ConnectionSettings connection;
  std::string queue;
  std::size_t max_bytes = std::size_t{16} << 20;  // of messages that were received and not asked for yet
};

/// One connection, used by one thread, with another one that ends a call that hangs. It does not connect
/// again: after an error it is of no more use. Whatever was not acknowledged is in the queue again once the
/// connection has ended, however it ended; every message that came near counts as delivered once more, so the
/// queue should have no delivery limit.
///
/// The order of what goes back: a classic queue keeps it. A quorum queue delivers what came back before all
/// else, and appends what comes back to what came back earlier and was not read since: so it keeps the order
/// only if all that ever came back is read again before the reader ends. close() sees to that.
class Reader {
 public:
  /// Connects and begins to read. `wakeup` is for whoever wants to end a wait(), and outlives the reader.
  /// Errors: not_found without such a queue, else as a connection's.
  static base::Result<std::unique_ptr<Reader>> open(ReaderSettings settings, Wakeup& wakeup);
  /// How many messages nobody has been given, on a connection of its own that reads none of them.
  static base::Result<std::uint64_t> count_ready(ReaderSettings settings);
  /// Drops the connection: see close().
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// How many messages the queue had for us at the beginning. Later ones come after them.
  std::uint64_t ready_at_start() const;
  /// How many it has now that nobody has been given.
  base::Result<std::uint64_t> count_ready();

  /// The next message if it is there. It does not wait.
  base::Result<std::optional<Delivery>> next();
  /// Until the wakeup is signalled, until `until`, or, if asked for, until next() may have one. Sends
  /// heartbeats: to be called every now and then, at least every few seconds.
  base::Result<void> wait(bool for_message, base::TimePoint until);
  base::Result<void> ack(Token token);

  /// Gives back what was not acknowledged, in its order, for which it may have to read on, until `until` at
  /// the latest; the broker has then seen every ack.
  base::Result<void> close(base::TimePoint until);

 private:
  class Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::amqp
