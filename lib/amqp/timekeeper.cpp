#include "amqp/timekeeper.h"

#include <algorithm>
#include <utility>

namespace lambda::amqp {

using base::Clock;
using base::TimePoint;

Timekeeper::Timekeeper(std::function<TimePoint()> tick)
    : tick_(std::move(tick)), thread_([this] { run(); }) {}

Timekeeper::~Timekeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void Timekeeper::wake_by(TimePoint time) {
  const std::lock_guard lock(mutex_);
  if (time >= next_) return;
  next_ = time;
  changed_.notify_one();
}

void Timekeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (next_ == TimePoint::max()) {
      changed_.wait(lock);
    } else if (Clock::now() < next_) {
      changed_.wait_until(lock, next_);
    } else {
      next_ = TimePoint::max();
      lock.unlock();
      const TimePoint next = tick_();
      lock.lock();
      next_ = std::min(next_, next);
    }
  }
}

}  // namespace lambda::amqp
