#include "desired/desired.h"

#include <utility>

#include "desired/objects.h"
#include "desired/wanted_topology.h"

namespace lambda::desired {
namespace {

using nlohmann::json;
using topology::Topology;

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

Topology together(Topology first, Topology second) {
  append(first.exchanges, std::move(second.exchanges));
  append(first.queues, std::move(second.queues));
  append(first.bindings, std::move(second.bindings));
  append(first.policies, std::move(second.policies));
  append(first.operator_policies, std::move(second.operator_policies));
  return first;
}

}  // namespace

Desired make(const api::JobQueue& queue, const Seen& seen) {
  const Topology chain = chain_topology(queue.spec, seen);
  const Topology at_knative = knative_topology(queue.spec, seen);
  Desired desired;
  desired.topology = together(chain, at_knative);
  if (queue.spec.management == api::Management::topology) {
    desired.objects = topology_objects(queue, seen, chain);
    desired.own = at_knative;
  } else {
    desired.own = desired.topology;
  }
  append(desired.objects, knative_objects(queue, seen));
  return desired;
}

std::map<std::string, std::string> labels_of(const api::JobQueue& queue) {
  return {{std::string(manager_label), std::string(manager)},
          {"app.kubernetes.io/part-of", "knative-lambda"},
          {std::string(job_queue_label), queue.meta.key.name},
          {std::string(job_queue_namespace_label), queue.meta.key.namespace_name}};
}

bool is_shared(const json& object) {
  const std::string kind = object.value("kind", "");
  return kind == "Exchange" || kind == "Broker" || kind == "RabbitmqBrokerConfig";
}

}  // namespace lambda::desired
