#include "queue/drain_rate.h"

#include <algorithm>
#include <cmath>

namespace lambda::queue {
namespace {

constexpr double half_life_seconds = 10;
constexpr double retry_after_max_seconds = 30;

double seconds(base::Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void DrainRate::drained(base::TimePoint now) {
  if (weighed_ == 0) first_ = now;
  weighed_ = weighed_at(now) + 1;
  last_ = now;
}

double DrainRate::weighed_at(base::TimePoint now) const {
  return weighed_ * std::exp2(-seconds(now - last_) / half_life_seconds);
}

// A rate r that has gone on for ever weighs r · half_life / ln 2; one that began t ago, that much less what it would
// have weighed before.
double DrainRate::per_second(base::TimePoint now) const {
  constexpr double least_time_seconds = 0.1;  // one that was drained just now is no rate yet
  if (weighed_ == 0) return 0;
  const double began = std::max(seconds(now - first_), least_time_seconds);
  const double whole = half_life_seconds / std::log(2.0);
  return weighed_at(now) / (whole * (1 - std::exp2(-began / half_life_seconds)));
}

std::chrono::seconds DrainRate::retry_after(std::size_t queue_size, base::TimePoint now) const {
  constexpr double least_rate = 1e-6;  // hardly anything for so long is as good as nothing
  if (weighed_ == 0) return std::chrono::seconds(1);
  const double wait = std::ceil(static_cast<double>(queue_size) / std::max(per_second(now), least_rate));
  return std::chrono::seconds(static_cast<long>(std::clamp(wait, 1.0, retry_after_max_seconds)));
}

}  // namespace lambda::queue
