#include "kube/retry.h"

#include <algorithm>

namespace lambda::kube {

std::optional<base::milliseconds> RetryPolicy::next_delay(unsigned retries, const base::Error& error,
                                                          base::TimePoint now, base::TimePoint deadline,
                                                          const base::Random& random) const {
  if (retries >= max_retries || !base::worth_retrying(error.kind)) return std::nullopt;
  base::milliseconds delay = backoff.delay(retries, random);
  if (error.retry_after) {
    // Bounded before it is converted: the number is somebody else's.
    delay = std::max<base::milliseconds>(
        delay, std::min(*error.retry_after, std::chrono::seconds(std::chrono::hours(1))));
  }
  if (now + delay >= deadline) return std::nullopt;
  return delay;
}

}  // namespace lambda::kube
