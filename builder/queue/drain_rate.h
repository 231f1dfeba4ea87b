// How fast the queue empties, and so when it is worth coming back to a full one.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.h"

namespace lambda::queue {

/// An exponentially weighted mean with a half-life of 10 s: what was drained a minute ago hardly counts.
/// Times are passed in and do not run backwards. O(1) in time and memory. Not thread-safe.
class DrainRate {
 public:
  /// An item has left the queue for good.
  void drained(base::TimePoint now);

  /// Items a second, as of now; 0 when none has left for a minute.
  double per_second(base::TimePoint now) const;

  /// The time in which `queue_size` items leave, in whole seconds from 1 to 30; 1 s while fewer than five
  /// have left, which is too few to tell.
  std::chrono::seconds retry_after(std::size_t queue_size, base::TimePoint now) const;

 private:
  bool forgotten(base::TimePoint now) const;

  double weight_ = 0;      // of all that left, halved with each half-life since, as of last_
  std::size_t count_ = 0;  // that left since first_
  base::TimePoint first_;  // after a pause of a minute it starts anew
  base::TimePoint last_;
};

}  // namespace lambda::queue
