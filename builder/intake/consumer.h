// The queue consumed without Knative: from an AMQP delivery to its acknowledgement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "config/config.h"
#include "intake/reception.h"
#include "pool/pool.h"

namespace lambda::intake {

struct ConsumerStats {
  std::string state;        // as amqp::to_string has it
  std::size_t in_hand = 0;  // deliveries that are not acknowledged yet
  std::size_t held = 0;     // of them, beyond the prefetch
  std::uint64_t received = 0;
  std::uint64_t acknowledged = 0;
  std::string last_error;  // empty: none so far
};

/// A delivery is acknowledged once its event is safe; until then it is held and tried again, slower and
/// slower. It is never given back: each return counts against the queue's delivery limit. What can't go on
/// while others can (a policy refuses one tenant's Jobs) is held beyond the prefetch, up to
/// intake.amqp.maxHeld, so that it stands in nobody's way. While the Kubernetes API creates no Jobs, nothing
/// new is consumed, so that the queue keeps what another builder might take. Used on its executor's thread.
/// What it is given must outlive it.
class Consumer {
 public:
  Consumer(boost::asio::any_io_executor executor, const config::Config& config, pool::Pool& pool,
           Reception& reception, base::Log& log);
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  /// Consumes no more, and returns when what is in hand has been acknowledged; at `deadline` RabbitMQ gets
  /// back what has not.
  boost::asio::awaitable<void> drain(base::TimePoint deadline);

  ConsumerStats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lambda::intake
