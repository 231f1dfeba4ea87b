// So many a second, whatever the pauses between: tokens that come back with time. Time is passed in.
#pragma once

#include <optional>

#include "base/time.h"

namespace lambda::base {

/// Full at first. Not thread-safe.
class TokenBucket {
 public:
  /// Holds `burst` tokens, one at least; `per_second` is more than 0.
  TokenBucket(double per_second, double burst);

  /// Holds a tenth of a second's tokens: what was not used is not caught up on.
  static TokenBucket evenly(double per_second);

  /// Takes one if there is one.
  bool take(TimePoint now);

  /// Takes one, and says how long to wait until it is there.
  milliseconds reserve(TimePoint now);

  /// When there is one; `now` if there is one already.
  TimePoint next(TimePoint now);

 private:
  void fill(TimePoint now);

  double per_second_;
  double burst_;
  double tokens_;
  std::optional<TimePoint> filled_;
};

}  // namespace lambda::base
