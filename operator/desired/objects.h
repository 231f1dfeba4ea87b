// The Kubernetes objects of a JobQueue. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/job_queue.h"
#include "desired/desired.h"
#include "topology/topology.h"

namespace lambda::desired {

/// Of RabbitMQ's messaging topology operator, in the namespace of the reference: exchanges, queues, policies,
/// bindings, as the topology has them. Operator policies are not among them.
std::vector<nlohmann::json> topology_objects(const api::JobQueue& queue, const Seen& seen,
                                             const topology::Topology& topology);

/// Of Knative: the Broker and its configuration if it is to be made, the Trigger, and at last the source, so
/// that nothing flows before there is somewhere to go.
std::vector<nlohmann::json> knative_objects(const api::JobQueue& queue, const Seen& seen);

}  // namespace lambda::desired
