// Wakes one thread that waits for anything to have changed.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/time.h"

namespace lambda::follow {

/// Thread-safe; one waits. Rung more than once before it is heard, it is heard once.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    changed_.notify_all();
  }

  /// Until it rings, at the latest until `time` if there is one; false when `stop` was requested.
  bool wait(const std::optional<base::TimePoint>& time, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto is_rung = [this] { return rung_; };
    if (time) {
      changed_.wait_until(lock, stop, *time, is_rung);
    } else {
      changed_.wait(lock, stop, is_rung);
    }
    rung_ = false;
    return !stop.stop_requested();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool rung_ = false;
};

}  // namespace lambda::follow
