// When a call to the Kubernetes API is worth another try, and when: the one place that decides it.
#pragma once

#include <optional>

#include "base/backoff.h"
#include "base/error.h"
#include "base/time.h"

namespace lambda::kube {

struct RetryPolicy {
  unsigned max_retries = 3;
  base::Backoff backoff;

  /// How long to wait before the next try, after `retries` have been made and the last try ended in `error`;
  /// nothing if there is to be none: the error does not pass by itself, the retries are used up, or the next
  /// would begin past `deadline`. A Retry-After of the API server is honoured as the least.
  std::optional<base::milliseconds> next_delay(unsigned retries, const base::Error& error,
                                               base::TimePoint now, base::TimePoint deadline,
                                               const base::Random& random) const;
};

}  // namespace lambda::kube
