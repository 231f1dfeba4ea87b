// Tells the world how each build goes, and then lets its Job go.
#pragma once

#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"
#include "base/error.h"
#include "base/time.h"
#include "build/outcome.h"
#include "builds/verdict.h"
#include "follow/build_writes.h"
#include "follow/builds.h"
#include "follow/dead_letters.h"
#include "follow/evidence.h"
#include "follow/sink.h"
#include "metrics/registry.h"
#include "runtime/controller.h"

namespace lambda::follow {

struct ResultSettings {
  std::string source;                // of the events
  base::milliseconds give_up_after;  // from a build's end
  base::milliseconds max_retry_delay;
  std::vector<build::FailureClass> dead_letter_classes;
};

/// Thread-safe, but for one key at a time only. Apart from Builds, so that a sink that is away holds up
/// nothing but the events.
///
/// At least once, in the order started, end: a Job keeps its record until its events are delivered, or given
/// up after their time. Events that are sent again, by another leader too, have the ids that they had.
/// Metrics: operator_builds_total{outcome,class}, and `given_up` of operator_build_results_total{outcome}.
class Results {
 public:
  /// `sink` or `dead_letters` null: there is none. They outlive it.
  Results(Tools tools, ResultSettings settings, Sink* sink, DeadLetters* dead_letters,
          metrics::Registry& registry);

  base::Result<runtime::Action> reconcile(const api::ObjectKey& key, const std::stop_token& stop);

  /// Its Job is gone, or nobody follows it any more.
  void forget(const api::ObjectKey& key);

 private:
  // What was done for a Job since we lead.
  struct Told {
    bool started = false;
    bool dead_lettered = false;
  };

  Told told(const api::ObjectKey& key);
  base::Result<runtime::Action> tell_started(const builds::Build& build, const std::stop_token& stop);
  base::Result<runtime::Action> tell_end(const builds::Build& build, const std::stop_token& stop);
  base::Result<runtime::Action> tell_end(const builds::Build& build, const nlohmann::json& job, bool too_old,
                                         const std::stop_token& stop);
  base::Result<builds::Verdict> verdict_of(const builds::Build& build, const nlohmann::json& job,
                                           const std::stop_token& stop) const;
  base::Result<void> deliver_started(const builds::Build& build, base::CalendarTime container_started,
                                     const std::stop_token& stop);
  base::Result<void> deliver(const builds::Build& build, const builds::Verdict& verdict,
                             const std::stop_token& stop);
  bool is_dead_letter(const builds::Build& build, const builds::Verdict& verdict);
  base::Result<void> dead_letter(const builds::Build& build, const builds::Verdict& verdict,
                                 const nlohmann::json& job, const std::stop_token& stop);
  base::Result<void> settle(const builds::Build& build, const builds::Verdict& verdict,
                            const std::stop_token& stop);
  runtime::Action later() const;

  const Tools tools_;
  const ResultSettings settings_;
  Sink* const sink_;
  DeadLetters* const dead_letters_;
  metrics::Registry& registry_;
  const BuildWrites writes_;
  const EvidenceReader reader_;
  prometheus::Counter& given_up_;
  std::mutex mutex_;
  std::map<api::ObjectKey, Told> told_;
};

}  // namespace lambda::follow
