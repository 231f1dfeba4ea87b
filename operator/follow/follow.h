// Follows the builder's Jobs to their end: the one thing that the operator starts of this folder.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/log.h"
#include "base/write_guard.h"
#include "config/config.h"
#include "kube/api.h"
#include "kube/rest_client.h"
#include "metrics/registry.h"

namespace lambda::follow {

/// What it needs of the program. All outlive the call.
struct Surroundings {
  const kube::Api& api;
  const std::shared_ptr<kube::RestClient>& client;
  const base::WriteGuard& may_write;
  metrics::Registry& registry;
  base::Log& log;
};

/// Until `stop` is requested; then all its threads have ended. `ca_file`: of a broker that is reached by TLS.
void run(const config::Builds& settings, const std::string& ca_file, const Surroundings& around,
         const std::stop_token& stop);

}  // namespace lambda::follow
