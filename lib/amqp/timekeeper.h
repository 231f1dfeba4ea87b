// A thread that does something at a time, also while another one hangs in a library.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/time.h"

namespace lambda::amqp {

class Timekeeper {
 public:
  /// `tick` runs on the timekeeper's thread and says when it wants to run next (TimePoint::max(): not by
  /// itself). It runs first when somebody asks for it.
  explicit Timekeeper(std::function<base::TimePoint()> tick);
  /// Returns when `tick` has ended and will not run again.
  ~Timekeeper();
  Timekeeper(const Timekeeper&) = delete;
  Timekeeper& operator=(const Timekeeper&) = delete;

  /// The tick runs at `time` or earlier. Thread-safe; `tick` may call it.
  void wake_by(base::TimePoint time);

 private:
  void run();

  std::function<base::TimePoint()> tick_;
  std::mutex mutex_;
  std::condition_variable changed_;
  base::TimePoint next_ = base::TimePoint::max();
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lambda::amqp
