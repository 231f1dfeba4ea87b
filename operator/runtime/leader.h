// One leader among the replicas, by a Lease (coordination.k8s.io/v1), in the way of client-go's leader
// election.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "api/object.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "kube/api.h"
#include "metrics/registry.h"

namespace lambda::runtime {

struct LeaderSettings {
  api::ObjectKey lease;
  std::string identity;                 // of this process: pod name and something random
  base::milliseconds duration{15'000};  // whole seconds; a leader that vanishes is followed after that
  base::milliseconds renew_every{5'000};
  base::milliseconds request_timeout{5'000};
  base::milliseconds retry{1'000};   // after a failure
  base::milliseconds margin{2'000};  // a leader begins no write in the last part of its lease
};

/// Tries to get the Lease and to keep it, on a thread of its own, from its construction to resign().
///
/// A term ends at a deadline: the time before the request that renewed it, plus the duration, less the
/// margin, by a clock that goes on while the process is stopped and the machine sleeps. So whoever was
/// stopped for longer sees at once that it leads no more, before anything has told it so. Others take the
/// Lease at the earliest when they have seen it unchanged for its whole duration.
class LeaderElector {
 public:
  /// `registry` and `log` outlive it. Metrics: operator_leader, operator_leader_transitions_total.
  LeaderElector(LeaderSettings settings, std::shared_ptr<kube::RestClient> client,
                metrics::Registry& registry, base::Log& log, base::Random random = base::system_random());
  ~LeaderElector();
  LeaderElector(const LeaderElector&) = delete;
  LeaderElector& operator=(const LeaderElector&) = delete;

  bool leads() const;

  /// What is left of the term, for kube::Api; `unavailable` when it has ended. What a later term may, whoever
  /// works for an earlier one may not: it does not know what others did in between.
  base::Result<base::milliseconds> may_write(std::uint64_t term) const;

  /// Waits for the next term; its number (1, 2, …), or nothing when `stop` was requested.
  std::optional<std::uint64_t> wait_until_leading(const std::stop_token& stop) const;

  /// Waits for the end of the term; true when it ended, false when `stop` was requested.
  bool wait_until_lost(std::uint64_t term, const std::stop_token& stop) const;

  /// Gives the Lease back, so that another can lead at once. Call it when nothing writes any more. The
  /// destructor does the same.
  void resign();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::runtime
