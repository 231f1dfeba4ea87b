// Waiting for a socket and for other threads at once.
#pragma once

#include "base/time.h"

namespace lambda::amqp {

/// An eventfd. `signal` is thread-safe; all else is for the one thread that waits.
class Wakeup {
 public:
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void signal();

  /// Returns when there was a signal since the last wait, when `socket` (-1: none) can be read or has failed,
  /// or at `until`.
  void wait(int socket, base::TimePoint until);

 private:
  int file_descriptor_;
};

}  // namespace lambda::amqp
