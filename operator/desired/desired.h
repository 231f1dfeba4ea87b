// From a JobQueue's spec to what should exist, in Kubernetes and in the broker. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/job_queue.h"
#include "topology/topology.h"

namespace lambda::desired {

/// Who applies: the value of the label, and the field manager.
inline constexpr std::string_view manager = "knative-lambda-operator";
inline constexpr std::string_view manager_label = "app.kubernetes.io/managed-by";

/// On every object that belongs to one JobQueue: its name and its namespace. Both fit into a label.
inline constexpr std::string_view job_queue_label = "lambda.notifi.network/job-queue";
inline constexpr std::string_view job_queue_namespace_label = "lambda.notifi.network/job-queue-namespace";

/// What only others know, as far as it was seen: empty until then.
struct Seen {
  std::string
      broker_uid;  // of the Knative Broker: part of the names of its exchanges and the trigger's queue
  std::string trigger_uid;  // of the Knative Trigger: part of the name of its dead-letter exchange
  std::optional<std::string> broker_version;  // of RabbitMQ: "3.10.8"

  /// The Knative Broker exists, and no JobQueue made it: it is used as it is, also where it was to be
  /// created.
  bool broker_is_foreign = false;

  /// Of the Broker's RabbitmqBrokerConfig: once it is known, the trigger's queue is watched and repaired too.
  /// Not needed for a Broker that a JobQueue makes.
  std::optional<api::QueueType> broker_queue_type;

  /// By name, the arguments (x-queue-type apart) of queues that were there before us, as they were declared:
  /// whoever declares such a queue again has to repeat them. Those of an existing Queue object count before
  /// those of the broker, so that an adopted queue which was deleted is made again as it was.
  std::map<std::string, topology::Arguments> queue_arguments;

  /// Whether the dead-letter queue is bound to the trigger's dead-letter exchange: only then may Knative's
  /// own copy of dead letters be thrown away.
  bool dead_letters_bound = false;
};

struct Desired {
  /// Kubernetes objects in the order in which they are applied (and, backwards, deleted), complete with
  /// apiVersion, kind, metadata (name, namespace, our labels) and spec: ready for a server-side apply.
  std::vector<nlohmann::json> objects;

  /// What must be in the broker, whoever declares it. Holds also what needs `Seen` (bindings to the
  /// exchanges that Knative makes, the alternate exchange, the bounds of the trigger's queue), once it is
  /// there.
  topology::Topology topology;

  /// The part of `topology` that no object of ours makes: with `management: topology` what belongs to
  /// Knative's exchanges and queues, with `direct` all of it. What the operator declares by itself.
  topology::Topology own;
};

Desired make(const api::JobQueue& queue, const Seen& seen);

/// The labels of everything that belongs to this JobQueue alone.
std::map<std::string, std::string> labels_of(const api::JobQueue& queue);

/// Whether several JobQueues may want the same object (an Exchange, a Broker and its configuration): it has
/// no label of one of them, and goes only with the last that wants it. In the broker that are exchanges, and
/// the policies on them.
bool is_shared(const nlohmann::json& object);

/// How an object that exists becomes the one that is wanted.
enum class Change {
  none,     // it has all that is wanted; fields of others don't count
  update,   // apply it
  replace,  // delete it and make it anew: its controller's webhook refuses any other spec, nothing is lost by
            // it
};
Change change_of(const nlohmann::json& found, const nlohmann::json& wanted);

// The names of what the chain has in the broker.
std::string trigger_queue_name(const api::JobQueueSpec& spec, std::string_view broker_uid);
std::string unrouted_queue_name(const api::JobQueueSpec& spec);

}  // namespace lambda::desired
