#include "base/backoff.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

namespace lambda::base {

milliseconds Backoff::delay(unsigned retry, const Random& random) const {
  const double ceiling_ms =
      std::min(static_cast<double>(limit.count()),
               std::ldexp(static_cast<double>(base.count()), static_cast<int>(std::min(retry, 62U))));
  return milliseconds(static_cast<milliseconds::rep>(ceiling_ms * random()));
}

Random system_random() {
  auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [engine] { return std::uniform_real_distribution<double>(0, 1)(*engine); };
}

}  // namespace lambda::base
