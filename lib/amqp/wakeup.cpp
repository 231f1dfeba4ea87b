#include "amqp/wakeup.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace lambda::amqp {
namespace {

using base::Clock;
using base::TimePoint;

constexpr std::chrono::hours longest_wait{1};

int milliseconds_until(TimePoint until) {
  const auto left = std::clamp<Clock::duration>(until - Clock::now(), Clock::duration::zero(), longest_wait);
  return static_cast<int>(std::chrono::ceil<base::milliseconds>(left).count());
}

}  // namespace

Wakeup::Wakeup() : file_descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (file_descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Wakeup::~Wakeup() {
  ::close(file_descriptor_);
}

void Wakeup::signal() {
  const std::uint64_t one = 1;
  // It fails only when the counter is full: then the other side will wake all the same.
  [[maybe_unused]] const ssize_t written = ::write(file_descriptor_, &one, sizeof one);
}

void Wakeup::wait(int socket, TimePoint until) {
  // poll() ignores an entry with a negative descriptor.
  std::array<pollfd, 2> entries{pollfd{file_descriptor_, POLLIN, 0}, pollfd{socket, POLLIN, 0}};
  ::poll(entries.data(), entries.size(), milliseconds_until(until));
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(file_descriptor_, &count, sizeof count);
}

}  // namespace lambda::amqp
