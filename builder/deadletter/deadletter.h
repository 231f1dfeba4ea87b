// Where events end that can never succeed: the dead-letter queue of RabbitMQ.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "build/dead_letter.h"
#include "metrics/registry.h"

namespace lambda::deadletter {

struct Settings {
  std::string uri;       // amqp:// or amqps://
  std::string uri_file;  // or the path of a file that holds it, read again for each connection
  std::string exchange = "dlx";
  std::string routing_key = "kaniko-jobs.dlq";
  std::string queue = "kaniko-jobs.dlq";
};

struct Stats {
  bool connected = false;
  bool blocked = false;  // by the broker: it is short of memory or disk
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;
  std::string last_error;  // empty: none so far
};

/// Declares nothing: where the exchange is missing, or routes to no queue, the letter goes to the queue by
/// its name. Used on its executor's thread. `log` and `registry` must outlive it.
class DeadLetters {
 public:
  DeadLetters(boost::asio::any_io_executor executor, const Settings& settings, base::Log& log,
              metrics::Registry& registry);
  /// What is being sent ends as unavailable.
  ~DeadLetters();
  DeadLetters(const DeadLetters&) = delete;
  DeadLetters& operator=(const DeadLetters&) = delete;

  /// Success only once the broker has confirmed that a queue has the letter, persistently. Else an error of
  /// kind unavailable or timeout, by `deadline` at the latest: the event may be in the queue, but is not
  /// safe.
  boost::asio::awaitable<base::Result<void>> send(build::DeadLetter letter, base::TimePoint deadline);

  Stats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lambda::deadletter
