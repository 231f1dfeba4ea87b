// How long to wait before the next try: exponential with full jitter.
#pragma once

#include <functional>

#include "base/time.h"

namespace lambda::base {

/// Uniform in [0, 1). Passed in, so that tests decide it.
using Random = std::function<double()>;

struct Backoff {
  milliseconds base{100};     // the longest wait before the first retry
  milliseconds limit{10000};  // no wait is longer

  /// The wait before retry number `retry` (0 is the first): uniform in [0, min(limit, base · 2^retry)), so
  /// that many who failed together do not come back together.
  milliseconds delay(unsigned retry, const Random& random) const;
};

/// A Random of good quality, seeded from the system. Not thread-safe.
Random system_random();

}  // namespace lambda::base
