// Failed builds on their way to the dead-letter queue, from where a redrive makes a new attempt.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "base/write_guard.h"
#include "build/dead_letter.h"
#include "metrics/registry.h"

namespace lambda::follow {

struct DeadLetterSettings {
  std::string uri;       // amqp:// or amqps://
  std::string uri_file;  // or the path of a file that holds it, read again for each connection
  std::string ca_file;   // for amqps; empty: the system's authorities
  std::string exchange;
  std::string routing_key;
  std::string queue;
};

/// Declares nothing: where the exchange is missing, or routes to no queue, the letter goes to the queue by
/// its name, as the builder's do. Thread-safe. Metric: operator_build_dead_letters_total{outcome} (confirmed,
/// failed).
class DeadLetters {
 public:
  /// `may_write` is asked before each letter.
  DeadLetters(DeadLetterSettings settings, base::WriteGuard may_write, metrics::Registry& registry,
              base::Log& log);
  ~DeadLetters();
  DeadLetters(const DeadLetters&) = delete;
  DeadLetters& operator=(const DeadLetters&) = delete;

  /// Success only once the broker has confirmed that a queue has the letter. Blocks for seconds at most, or
  /// until `stop` is requested.
  base::Result<void> send(const build::DeadLetter& letter, const std::stop_token& stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::follow
