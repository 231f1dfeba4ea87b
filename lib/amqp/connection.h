// One connection with one channel, as this folder uses librabbitmq. For this folder's .cpp files only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "amqp/call_limit.h"
#include "amqp/message.h"
#include "amqp/settings.h"
#include "base/error.h"

namespace lambda::amqp {

/// What the broker says of its own accord.
namespace notice {
struct Confirmed {  // of what was published: is safe
  std::uint64_t tag = 0;
  bool multiple = false;  // all up to this tag
};
struct Refused {  // of what was published: is not safe
  std::uint64_t tag = 0;
  bool multiple = false;
};
struct Returned {  // no queue for it; an ordinary confirm follows
  std::string reason;
  std::string exchange;
  std::string routing_key;
  Message message;
};
struct Delivered {
  std::uint64_t tag = 0;
  bool redelivered = false;
  std::string exchange;
  std::string routing_key;
  Message message;
};
struct ChannelClosed {  // reopen_channel() is the only call that makes sense now
  std::uint16_t code = 0;
  std::string text;
};
struct ConsumerCancelled {};
struct Blocked {
  std::string reason;
};
struct Unblocked {};
struct Other {};
}  // namespace notice
using Notice = std::variant<notice::Confirmed, notice::Refused, notice::Returned, notice::Delivered,
                            notice::ChannelClosed, notice::ConsumerCancelled, notice::Blocked,
                            notice::Unblocked, notice::Other>;

/// For one thread. Every call may block as long as `limit`'s owner lets it; after an error the connection is
/// of no more use. Errors: unauthenticated, forbidden and not_found where the broker says so, else
/// unavailable.
class Connection {
 public:
  /// Connected, logged in, channel open. `limit` knows the socket from then on, and until the end.
  static base::Result<std::unique_ptr<Connection>> open(const ConnectionSettings& settings, CallLimit& limit);
  /// Just drops it: see close().
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket() const;
  /// How long the owner may sleep without missing a heartbeat.
  base::milliseconds longest_sleep() const;
  /// "amqp://host:port/vhost"
  const std::string& shown() const;

  base::Result<void> select_confirms();
  /// Mandatory and persistent; the message was found encodable.
  base::Result<void> publish(const std::string& exchange, const std::string& routing_key,
                             const Message& message);
  base::Result<void> reopen_channel();

  base::Result<void> limit_prefetch(std::uint16_t count);
  /// How many messages nobody has, in a queue that must be there.
  base::Result<std::uint32_t> count_ready(const std::string& queue);
  /// The consumer's tag: the one that was asked for, or one of the broker's if that is empty.
  base::Result<std::string> consume(const std::string& queue, const std::string& consumer_tag = {});
  base::Result<void> cancel(const std::string& consumer_tag);
  /// A single message, if one is there: basic.get.
  base::Result<std::optional<notice::Delivered>> get(const std::string& queue);
  base::Result<void> ack(std::uint64_t tag, bool multiple);
  base::Result<void> reject(std::uint64_t tag, bool requeue);

  /// The next thing that is there, or nothing; it does not wait. Sends heartbeats that are due.
  base::Result<std::optional<Notice>> read();
  void release_buffers();

  /// Says goodbye; the broker has then seen all that was sent before.
  base::Result<void> close();

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::amqp
