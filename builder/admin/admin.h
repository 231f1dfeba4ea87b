// What operators and probes ask: stats, metrics, health.
#pragma once

#include <string>

#include "deadletter/deadletter.h"
#include "http/router.h"
#include "intake/consumer.h"
#include "metrics/registry.h"
#include "pool/pool.h"

namespace lambda::admin {

/// What the stats are taken from; null: this builder has none.
struct Sources {
  const pool::Pool& pool;
  const deadletter::DeadLetters* dead_letters = nullptr;
  const intake::Consumer* consumer = nullptr;
};

/// Adds GET /async-jobs/stats, /metrics, /health, /healthz and /readyz. The sources and `registry` must
/// outlive the router.
///
/// /healthz says that the process serves. /readyz turns 503 while draining, and at no other time: an API
/// server that is away must not take every replica out of service, and with them the answer that tells
/// senders to come back.
void add_routes(http::Router& router, const Sources& sources, const metrics::Registry& registry,
                const std::string& replica);

/// The name that stats give this replica: POD_NAME, else the host's name.
std::string replica_name();

}  // namespace lambda::admin
