#include "redrive/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace lambda::redrive {

using base::TimePoint;
using Seconds = std::chrono::duration<double>;

TokenBucket::TokenBucket(std::optional<std::uint64_t> a_second) {
  if (!a_second) return;
  a_second_ = static_cast<double>(std::max<std::uint64_t>(*a_second, 1));
  most_ = std::max(1.0, std::floor(*a_second_ / 10));
  tokens_ = most_;
}

void TokenBucket::fill(TimePoint now) {
  if (filled_) tokens_ = std::min(most_, tokens_ + Seconds(now - *filled_).count() * *a_second_);
  filled_ = now;
}

bool TokenBucket::take(TimePoint now) {
  if (!a_second_) return true;
  fill(now);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

TimePoint TokenBucket::next(TimePoint now) {
  if (!a_second_) return now;
  fill(now);
  if (tokens_ >= 1) return now;
  // Rounded up: at that time there is one.
  return now + std::chrono::ceil<std::chrono::microseconds>(Seconds((1 - tokens_) / *a_second_)) +
         std::chrono::microseconds(1);
}

}  // namespace lambda::redrive
