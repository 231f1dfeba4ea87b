#include "runtime/boot_clock.h"

#include <ctime>

namespace lambda::runtime {

BootClock::time_point BootClock::now() {
  std::timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace lambda::runtime
