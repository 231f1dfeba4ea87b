// A monotonic clock that goes on while the machine sleeps.
#pragma once

#include <chrono>

namespace lambda::runtime {

/// std::chrono's form of CLOCK_BOOTTIME; steady_clock stands still during a suspend.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now();
};

}  // namespace lambda::runtime
