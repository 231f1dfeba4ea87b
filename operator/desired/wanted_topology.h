// What has to be in the broker for a JobQueue. Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "api/job_queue.h"
#include "desired/desired.h"
#include "topology/topology.h"

namespace lambda::desired {

/// What the JobQueue alone decides: with `management: topology` made by objects.
topology::Topology chain_topology(const api::JobQueueSpec& spec, const Seen& seen);

/// What is at Knative's exchanges and queues. Grows with what was seen: empty at first, and for other paths.
topology::Topology knative_topology(const api::JobQueueSpec& spec, const Seen& seen);

}  // namespace lambda::desired
