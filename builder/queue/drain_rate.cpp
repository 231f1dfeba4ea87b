#include "queue/drain_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lambda::queue {
namespace {

using base::Clock;
using std::chrono::seconds;

constexpr double half_life_seconds = 10;
constexpr seconds forgotten_after{60};
constexpr std::size_t enough_to_tell = 5;
// A burst is not taken for a rate that lasts: what left at one instant counts as if it had taken this long.
constexpr double shortest_span_seconds = 0.1;
constexpr seconds shortest_retry{1};
constexpr seconds longest_retry{30};

double seconds_of(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double left_after(double elapsed_seconds) {
  return std::exp2(-elapsed_seconds / half_life_seconds);
}

}  // namespace

bool DrainRate::forgotten(base::TimePoint now) const {
  return count_ == 0 || now - last_ >= forgotten_after;
}

void DrainRate::drained(base::TimePoint now) {
  if (forgotten(now)) {
    weight_ = 0;
    count_ = 0;
    first_ = now;
  } else {
    weight_ *= left_after(seconds_of(now - last_));
  }
  weight_ += 1;
  ++count_;
  last_ = now;
}

double DrainRate::per_second(base::TimePoint now) const {
  if (forgotten(now)) return 0;
  // A steady rate r since first_ would have come to r / decay · (1 - what is left of the first).
  constexpr double decay_per_second = std::numbers::ln2 / half_life_seconds;
  const double span = std::max(shortest_span_seconds, seconds_of(now - first_));
  return weight_ * left_after(seconds_of(now - last_)) * decay_per_second / (1 - left_after(span));
}

seconds DrainRate::retry_after(std::size_t queue_size, base::TimePoint now) const {
  if (count_ < enough_to_tell || forgotten(now)) return shortest_retry;
  const double needed = std::ceil(static_cast<double>(queue_size) / per_second(now));
  // Compared before it is converted: a rate near 0 makes it larger than any integer.
  if (needed >= static_cast<double>(longest_retry.count())) return longest_retry;
  return std::max(shortest_retry, seconds(static_cast<seconds::rep>(needed)));
}

}  // namespace lambda::queue
