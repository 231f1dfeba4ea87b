// Watches over each build that was released, until how it ended is written down.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "api/object.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "builds/verdict.h"
#include "follow/build_store.h"
#include "follow/build_writes.h"
#include "follow/evidence.h"
#include "kube/api.h"
#include "runtime/controller.h"

namespace lambda::follow {

/// What all that follows builds works with. Each outlives them and is thread-safe.
struct Tools {
  const kube::Api& api;
  BuildStore& store;
  base::Log& log;
};

/// It is over, and how it ended is written down or can be read at any time: there is nothing left for Builds.
bool can_be_told(const builds::Build& build);

/// Thread-safe, but for one key at a time only.
///
/// A build that waits is told why, on its Job; where waiting can't help it is ended after `watchdog`. What a
/// failed one leaves is read while it can be, and the verdict written on the Job, before anybody is told.
class Builds {
 public:
  using OnBuild = std::function<void(const api::ObjectKey&)>;

  /// `on_news`: its container runs, or it is over and the verdict stands. `on_gone`: the Job is, or it is
  /// settled.
  Builds(Tools tools, base::milliseconds watchdog, OnBuild on_news, OnBuild on_gone);

  base::Result<runtime::Action> reconcile(const api::ObjectKey& key, const std::stop_token& stop);

 private:
  // What was seen of a build and can't be read again when it is over.
  struct Memory {
    std::optional<builds::Waiting> waiting;
    std::string log_tail;
    unsigned failed_reads = 0;
  };

  base::Result<runtime::Action> watch_waiting(const builds::Build& build, const builds::Pod* pod,
                                              const std::stop_token& stop);
  base::Result<runtime::Action> watch_running(const builds::Build& build, const builds::Pod& pod,
                                              const std::stop_token& stop);
  base::Result<runtime::Action> watch_failing(const builds::Build& build, const std::stop_token& stop);
  base::Result<runtime::Action> finish(const builds::Build& build, const std::stop_token& stop);
  base::Result<builds::Evidence> gather(const builds::Build& build, const std::stop_token& stop);
  base::Result<void> tell_waiting(const builds::Build& build, std::string_view text,
                                  const std::stop_token& stop);
  void keep_log(const builds::Build& build, const builds::Pod& pod, const std::stop_token& stop);
  bool has_successor(const builds::Build& build) const;
  base::Result<std::string> retry_with_more_memory(const builds::Build& build, const std::stop_token& stop);

  Memory memory_of(const api::ObjectKey& key) const;
  template <class Change>
  void remember(const api::ObjectKey& key, Change change);
  void forget(const api::ObjectKey& key);

  const Tools tools_;
  const base::milliseconds watchdog_;
  const OnBuild on_news_;
  const OnBuild on_gone_;
  const BuildWrites writes_;
  const EvidenceReader reader_;
  mutable std::mutex mutex_;
  std::map<api::ObjectKey, Memory> memory_;
};

}  // namespace lambda::follow
