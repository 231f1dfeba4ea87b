// What brokers hold, read once for all who ask: 100 JobQueues of one vhost cost as many requests as one.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "rabbitmq/access.h"
#include "rabbitmq/management.h"
#include "topology/topology.h"

namespace lambda::rabbitmq {

using SharedSnapshot = std::shared_ptr<const topology::Snapshot>;

/// Thread-safe, as long as the guard is, which every Management is given. Keeps one Management for each
/// Access (so its connections) and the last snapshot of each of its vhosts; forgets what nobody asked for in
/// ten minutes.
class Snapshots {
 public:
  explicit Snapshots(base::milliseconds timeout = base::milliseconds(10'000), base::WriteGuard guard = {});
  ~Snapshots();
  Snapshots(const Snapshots&) = delete;
  Snapshots& operator=(const Snapshots&) = delete;

  std::shared_ptr<Management> management(const Access& access);

  /// One whose reading began at `not_before` or later: `now - interval` for a regular look, `now` after an
  /// apply. Who asks while it is being read waits for it. An error is given to all who ask within a second
  /// of it, so that a broker that is away is not asked by everybody in turn.
  base::Result<SharedSnapshot> get(const Access& access, const std::string& vhost, base::TimePoint not_before,
                                   const std::stop_token& stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::rabbitmq
