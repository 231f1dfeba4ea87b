// librabbitmq's calls write to the socket without a time limit of their own; this is theirs.
#pragma once

#include <mutex>

#include "base/time.h"

namespace lambda::amqp {

/// Knows the socket and since when its thread has been busy with it; whoever calls `check` shuts the socket
/// down when that takes too long, and the hanging call fails. Thread-safe.
class CallLimit {
 public:
  explicit CallLimit(base::milliseconds limit) : limit_(limit) {}

  void attach(int file_descriptor);
  /// Before the descriptor is closed: its number may come to mean another file.
  void detach();

  /// From now on the owner is busy; returns until when it may be.
  base::TimePoint begin();
  void end();

  /// Whatever the socket is used for now or later ends by `time`.
  void hurry(base::TimePoint time);

  /// Shuts the socket down if its time is over; returns when to check again.
  base::TimePoint check(base::TimePoint now);

 private:
  const base::milliseconds limit_;
  std::mutex mutex_;
  int file_descriptor_ = -1;
  base::TimePoint until_ = base::TimePoint::max();
  base::TimePoint latest_ = base::TimePoint::max();
};

}  // namespace lambda::amqp
