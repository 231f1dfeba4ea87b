#include "amqp/call_limit.h"

#include <algorithm>

#include <sys/socket.h>

namespace lambda::amqp {

using base::TimePoint;

void CallLimit::attach(int file_descriptor) {
  const std::lock_guard lock(mutex_);
  file_descriptor_ = file_descriptor;
  until_ = std::min(until_, latest_);
}

void CallLimit::detach() {
  const std::lock_guard lock(mutex_);
  file_descriptor_ = -1;
}

TimePoint CallLimit::begin() {
  const std::lock_guard lock(mutex_);
  until_ = std::min(base::Clock::now() + limit_, latest_);
  return until_;
}

void CallLimit::end() {
  const std::lock_guard lock(mutex_);
  until_ = TimePoint::max();
}

void CallLimit::hurry(TimePoint time) {
  const std::lock_guard lock(mutex_);
  latest_ = std::min(latest_, time);
  until_ = std::min(until_, latest_);
}

TimePoint CallLimit::check(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (now < until_) return until_;
  if (file_descriptor_ >= 0) ::shutdown(file_descriptor_, SHUT_RDWR);
  until_ = TimePoint::max();
  return until_;
}

}  // namespace lambda::amqp
