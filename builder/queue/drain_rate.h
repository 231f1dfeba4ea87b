// How fast the queue is worked off, and by that when it is worth coming back.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.h"

namespace lambda::queue {

/// Weighs what was drained by its age: after ten seconds it counts half. Pure; not thread-safe.
class DrainRate {
 public:
  void drained(base::TimePoint now);

  /// 0 where nothing was drained for long.
  double per_second(base::TimePoint now) const;

  /// When a queue of that size will have been worked off: 1 to 30 s; 1 s while nothing is known.
  std::chrono::seconds retry_after(std::size_t queue_size, base::TimePoint now) const;

 private:
  double weighed_at(base::TimePoint now) const;

  double weighed_ = 0;  // what was drained, each weighed as of last_
  base::TimePoint first_;
  base::TimePoint last_;
};

}  // namespace lambda::queue
