// Releases the builds that came suspended, fairly, and ends those that newer ones take the place of.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <vector>

#include "api/object.h"
#include "base/time.h"
#include "base/token_bucket.h"
#include "builds/admission.h"
#include "follow/bell.h"
#include "follow/build_writes.h"
#include "follow/builds.h"
#include "metrics/registry.h"

namespace lambda::follow {

/// One round after another, each over all builds: that makes it fair, and never more run than may.
///
/// Metrics: operator_builds_waiting, operator_builds_running (of those that it admits),
/// operator_builds_waiting_seconds (the age of the one that waits longest).
class Admission {
 public:
  /// Whenever `changed` rings there is a round soon.
  Admission(Tools tools, builds::AdmissionLimits limits, Bell& changed, metrics::Registry& registry);

  /// Until `stop` is requested. Call it once the store is synced.
  void run(const std::stop_token& stop);

 private:
  struct Round {
    std::vector<builds::Applicant> applicants;
    builds::Running running;
    std::size_t running_total = 0;
    std::map<api::ObjectKey, BuildPointer> waiting;
  };

  void play(const std::stop_token& stop);
  Round collect(const std::vector<BuildPointer>& builds);
  bool is_under_way(const api::ObjectKey& key) const;
  std::vector<api::ObjectKey> unconfirmed() const;
  void release(const Round& round, const std::vector<api::ObjectKey>& keys, const std::stop_token& stop);
  void tell_places(const Round& round, std::vector<builds::Place> places, const std::stop_token& stop);
  void supersede(const std::vector<BuildPointer>& builds, const std::stop_token& stop);
  void look_again_in(base::milliseconds wait);

  const Tools tools_;
  const builds::AdmissionLimits limits_;
  Bell& changed_;
  const BuildWrites writes_;
  prometheus::Gauge& waiting_gauge_;
  prometheus::Gauge& running_gauge_;
  prometheus::Gauge& oldest_gauge_;

  struct Release {
    base::TimePoint written;
    bool confirmed = false;  // unconfirmed: it may have arrived, and is written again
  };

  void note_release(const builds::Build& build, base::CalendarTime time);

  // On the thread that runs only.
  std::map<api::ObjectKey, Release> released_;  // by us, and the store does not show it yet
  builds::LastRelease last_release_;
  std::optional<base::TimePoint> look_again_at_;
  base::TokenBucket places_budget_;
};

}  // namespace lambda::follow
