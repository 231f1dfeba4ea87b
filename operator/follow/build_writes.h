// All that the operator writes to a build's Job. Each write is for the very Job that was seen.
#pragma once

#include <stop_token>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "builds/build.h"
#include "builds/verdict.h"
#include "kube/api.h"

namespace lambda::follow {

/// Success also where the Job is gone. `conflict` if it is another one by now, or was written in between.
/// Thread-safe.
class BuildWrites {
 public:
  explicit BuildWrites(const kube::Api& api) : api_(api) {}

  /// Lets it run.
  base::Result<void> release(const builds::Build& build, const std::stop_token& stop) const;

  /// Makes Kubernetes end it as failed, with this reason (CamelCase) and message; its pods are deleted.
  base::Result<void> fail(const builds::Build& build, std::string_view reason, std::string_view message,
                          const std::stop_token& stop) const;

  /// An empty value takes the annotation away.
  base::Result<void> annotate(const builds::Build& build, std::string_view name, std::string_view value,
                              const std::stop_token& stop) const;

  /// The outcome as label, and from now on the Job's time to live; nobody follows it any more.
  base::Result<void> settle(const builds::Build& build, const builds::Verdict& verdict,
                            const std::stop_token& stop) const;

 private:
  base::Result<void> merge(const builds::Build& build, nlohmann::json patch, bool status,
                           const std::stop_token& stop) const;

  const kube::Api& api_;
};

}  // namespace lambda::follow
