// Reads what tells how a build went, while it can be read.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "builds/build.h"
#include "builds/pod.h"
#include "builds/waiting.h"
#include "follow/build_store.h"
#include "kube/api.h"

namespace lambda::follow {

/// Thread-safe. Errors only where another try is worth it: what is gone is no error.
class EvidenceReader {
 public:
  EvidenceReader(const kube::Api& api, const BuildStore& store) : api_(api), store_(store) {}

  /// Events about the pod, or about the Job while there is none, in the order in which they were last seen.
  base::Result<std::vector<builds::EventNote>> events(const builds::Build& build, const builds::Pod* pod,
                                                      const std::stop_token& stop) const;

  /// The build's pod as it is now; nothing if there is none (any more).
  base::Result<std::optional<builds::Pod>> pod(const builds::Build& build, const std::stop_token& stop) const;

  /// The raw end of the log; empty if there is none.
  base::Result<std::string> log_tail(const builds::Pod& pod, const std::stop_token& stop) const;

 private:
  base::Result<std::optional<builds::Pod>> find_pod(const builds::Build& build,
                                                    const std::stop_token& stop) const;

  const kube::Api& api_;
  const BuildStore& store_;
};

}  // namespace lambda::follow
