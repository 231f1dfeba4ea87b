// So many a second, evenly, whatever the pauses between. Time is passed in.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace lambda::redrive {

class TokenBucket {
 public:
  /// None: no limit. Holds a tenth of a second's tokens, one at least, and is full at first.
  explicit TokenBucket(std::optional<std::uint64_t> a_second);

  /// Whether there was a token; it is taken then.
  bool take(base::TimePoint now);

  /// When there is one. `now` if there is one already.
  base::TimePoint next(base::TimePoint now);

 private:
  void fill(base::TimePoint now);

  std::optional<double> a_second_;
  double most_ = 1;
  double tokens_ = 1;
  std::optional<base::TimePoint> filled_;
};

}  // namespace lambda::redrive
