#include "base/token_bucket.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace lambda::base {
namespace {

using Seconds = std::chrono::duration<double>;
using std::chrono::microseconds;

}  // namespace

TokenBucket::TokenBucket(double per_second, double burst)
    : per_second_(per_second), burst_(std::max(burst, 1.0)), tokens_(burst_) {}

TokenBucket TokenBucket::evenly(double per_second) {
  return {per_second, std::floor(per_second / 10)};
}

void TokenBucket::fill(TimePoint now) {
  if (filled_ && now > *filled_)
    tokens_ = std::min(burst_, tokens_ + Seconds(now - *filled_).count() * per_second_);
  filled_ = std::max(filled_.value_or(now), now);
}

bool TokenBucket::take(TimePoint now) {
  fill(now);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

milliseconds TokenBucket::reserve(TimePoint now) {
  fill(now);
  tokens_ -= 1;
  if (tokens_ >= 0) return milliseconds(0);
  return std::chrono::ceil<milliseconds>(Seconds(-tokens_ / per_second_));
}

TimePoint TokenBucket::next(TimePoint now) {
  fill(now);
  if (tokens_ >= 1) return now;
  // Rounded up: at that time there is one.
  return now + std::chrono::ceil<microseconds>(Seconds((1 - tokens_) / per_second_)) + microseconds(1);
}

}  // namespace lambda::base
