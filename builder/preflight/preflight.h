// Proves at start that the Jobs which the configuration makes are Jobs that the Kubernetes API takes.
#pragma once

#include <functional>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "kube/cluster.h"

namespace lambda::preflight {

/// On a thread of its own, asks the API server for a dry run of a Job with every field validated strictly, as
/// the creates themselves leave that validation out. Where the API server says that the Job is wrong (400,
/// 413, 422), every event would fail: `on_refused` is called with its words, on that thread. Anything else
/// (it is away, we lack a right, the namespace is missing) may pass: it is told in the log and asked again
/// until there is an answer.
class Preflight {
 public:
  Preflight(const config::Config& config, const kube::Cluster& cluster, base::Log& log,
            std::function<void(const base::Error&)> on_refused);

  // The thread ends with this object, at once.

 private:
  std::jthread thread_;
};

}  // namespace lambda::preflight
