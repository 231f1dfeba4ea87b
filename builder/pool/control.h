// The control experiment: whether the API server would take a Job that no event has had a hand in.
#pragma once

#include <optional>

#include <boost/asio/awaitable.hpp>

#include "base/time.h"
#include "job/job.h"
#include "kube/connection.h"

namespace lambda::pool {

/// An event's Job that is refused may be the event's fault, or that of a policy or configuration which
/// refuses every Job. Creates nothing: it is a dry run. Not thread-safe.
class Control {
 public:
  explicit Control(job::Job reference) : reference_(std::move(reference)) {}

  /// True only if the API server said so, at most some seconds ago.
  boost::asio::awaitable<bool> passes(kube::Connection& connection, base::TimePoint deadline);

 private:
  const job::Job reference_;
  std::optional<base::TimePoint> asked_at_;
  bool passed_ = false;
};

}  // namespace lambda::pool
