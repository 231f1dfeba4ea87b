#include "base/write_guard.h"

#include <algorithm>

namespace lambda::base {

Result<milliseconds> write_timeout(const WriteGuard& guard, milliseconds timeout) {
  if (!guard) return timeout;
  return guard().map([timeout](milliseconds allowed) { return std::min(allowed, timeout); });
}

}  // namespace lambda::base
