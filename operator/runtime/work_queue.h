// Keys to be worked on, for the threads that do it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/backoff.h"
#include "base/time.h"
#include "runtime/work_schedule.h"

namespace lambda::runtime {

/// WorkSchedule (which has the rules) with a clock and a wait. Thread-safe.
template <class Key>
class WorkQueue {
 public:
  explicit WorkQueue(const RetryLimits& limits = {}, base::Random random = base::system_random())
      : schedule_(limits, std::move(random)) {}

  /// To be worked on at once, or once more if it is being worked on.
  void add(const Key& key) {
    change([&] { schedule_.add(key); });
  }

  void add_after(const Key& key, base::milliseconds wait) {
    change([&] { schedule_.add_at(key, base::Clock::now() + wait); });
  }

  base::milliseconds add_rate_limited(const Key& key) {
    base::milliseconds wait{};
    change([&] { wait = schedule_.add_rate_limited(key, base::Clock::now()); });
    return wait;
  }

  void forget(const Key& key) {
    change([&] { schedule_.forget(key); });
  }

  /// Waits for a key; nothing when `stop` was requested. Each key taken has to be given back with done().
  std::optional<Key> take(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    std::optional<Key> key;
    while (!stop.stop_requested()) {
      key = schedule_.take(base::Clock::now());
      if (key) break;
      const std::uint64_t seen = changes_;
      const auto changed = [&] { return changes_ != seen; };
      if (const auto due = schedule_.next_due()) {
        changed_.wait_until(lock, stop, *due, changed);
      } else {
        changed_.wait(lock, stop, changed);
      }
    }
    return key;
  }

  void done(const Key& key) {
    change([&] { schedule_.done(key); });
  }

  /// How many could be worked on at once, and how many wait for their time.
  std::size_t ready() const {
    const std::lock_guard lock(mutex_);
    return schedule_.ready();
  }
  std::size_t later() const {
    const std::lock_guard lock(mutex_);
    return schedule_.later();
  }

 private:
  template <class Change>
  void change(Change what) {
    {
      const std::lock_guard lock(mutex_);
      what();
      ++changes_;
    }
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;
  WorkSchedule<Key> schedule_;
};

}  // namespace lambda::runtime
