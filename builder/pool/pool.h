// The bounded pool that turns Jobs to create into Jobs that exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/backoff.h"
#include "base/log.h"
#include "config/config.h"
#include "kube/connection.h"
#include "metrics/registry.h"
#include "pool/attempt.h"
#include "pool/outcome.h"

namespace lambda::pool {

struct Stats {
  std::size_t worker_count = 0;
  std::size_t active = 0;  // creations that a worker has in hand
  std::size_t queue_size = 0;
  std::size_t waiting_for_retry = 0;  // of them
  std::size_t max_queue_size = 0;
  std::uint64_t created = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t refused = 0;
  std::uint64_t unavailable = 0;
  std::uint64_t retries = 0;
  std::size_t tenants = 0;                                           // that hold something of the queue
  std::vector<std::pair<std::string, std::size_t>> deepest_tenants;  // those that hold most of it
  std::optional<base::milliseconds> oldest_age;                      // of what waits
  double ended_per_second = 0;                                       // creations, averaged over some seconds
  std::string breaker;                                               // closed, open or probing: see Breaker
  bool draining = false;
  std::string last_error;     // empty: none so far
  std::string last_error_at;  // RFC 3339
};

/// Workers are coroutines, each with a connection of its own; a creation that waits for its retry holds none
/// of them. While the API server is away, throttles or refuses all that comes, one creation at a time is
/// tried and the others wait, as long as their deadlines allow. Used on its executor's thread only. `log` and
/// `registry` must outlive it.
class Pool {
 public:
  /// `reference` is a Job that is none of an event's making: where the API server refuses a creation, it is
  /// asked whether it would take this one.
  Pool(boost::asio::any_io_executor executor, const config::AsyncJobCreator& settings,
       base::milliseconds kubernetes_timeout, std::shared_ptr<kube::Endpoint> endpoint, job::Job reference,
       base::Log& log, metrics::Registry& registry);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Queues the creation and waits until it has ended, its deadline has passed, or there is no room for it.
  /// One of the same Job that is under way is joined: both wait for the same write, and who came later is
  /// told `duplicate`. `unavailable` at the deadline does not say that there is no Job: what a worker has in
  /// hand goes on.
  boost::asio::awaitable<Outcome> create(Creation creation);

  /// From now on new creations are unavailable. Returns when the ones in hand have ended; at `deadline` those
  /// that have not become unavailable.
  boost::asio::awaitable<void> drain(base::TimePoint deadline);

  Stats stats() const;

  /// Since drain() has begun.
  bool draining() const;

  /// False while the API server is away, throttles or refuses all that comes.
  bool api_works() const;
  /// Called whenever api_works() has become true again.
  void on_recovery(std::function<void()> callback);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lambda::pool
