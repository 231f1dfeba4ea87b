#include "desired/objects.h"

#include <algorithm>

#include "api/iso_duration.h"
#include "api/names.h"
#include "base/hash.h"
#include "base/text.h"

namespace lambda::desired {
namespace {

using api::JobQueue;
using nlohmann::json;

constexpr std::string_view topology_version = "rabbitmq.com/v1beta1";
constexpr std::string_view eventing_version = "eventing.knative.dev/v1";
constexpr std::string_view config_version = "eventing.knative.dev/v1alpha1";
constexpr std::string_view sources_version = "sources.knative.dev/v1alpha1";
constexpr std::string_view broker_class = "RabbitMQBroker";

constexpr std::size_t readable_name_max_bytes = 200;
constexpr std::size_t name_hash_digits = 10;

// Knative makes a dead-letter exchange only for a trigger that has a sink. Nobody is to answer here (RFC 2606
// keeps the name from existing): the dead letters are in our queue by then, and what is posted are copies.
constexpr std::string_view no_sink = "http://dead-letters.invalid";

std::string short_hash(std::initializer_list<std::string_view> parts) {
  return base::sha256_hex(parts).substr(0, name_hash_digits);
}

std::string readable(std::string_view name) {
  std::string out;
  for (const char c : base::to_lower(name.substr(0, readable_name_max_bytes))) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (kept || (!out.empty() && out.back() != '-')) out += kept ? c : '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "x" : out;
}

// The name of what it stands for, where Kubernetes takes it; with a hash where it does not, or where the same
// name may stand for another thing of another vhost.
std::string object_name(std::string_view name, std::string_view vhost) {
  if (vhost == "/" && api::is_dns_subdomain(name)) return std::string(name);
  return readable(name) + "-" + short_hash({name, vhost});
}

// A binding has no name, and can't be changed: another binding is another object.
std::string object_name(const topology::Binding& binding, std::string_view vhost) {
  return readable(binding.queue) + "-" +
         short_hash(
             {binding.exchange, binding.queue, binding.routing_key, json(binding.arguments).dump(), vhost});
}

json object(const JobQueue& queue, std::string_view api_version, std::string_view kind, std::string name,
            std::string_view namespace_name, json spec) {
  json made = {{"apiVersion", api_version},
               {"kind", kind},
               {"metadata", {{"name", std::move(name)}, {"namespace", namespace_name}}},
               {"spec", std::move(spec)}};
  json& labels = made["metadata"]["labels"] = labels_of(queue);
  if (is_shared(made)) {
    labels.erase(std::string(job_queue_label));
    labels.erase(std::string(job_queue_namespace_label));
  }
  return made;
}

json reference_to(const api::Rabbitmq& rabbitmq) {
  json reference = {{"namespace", rabbitmq.namespace_name}};
  if (rabbitmq.connection_secret.empty()) {
    reference["name"] = rabbitmq.cluster;
  } else {
    reference["connectionSecret"] = {{"name", rabbitmq.connection_secret}};
  }
  return reference;
}

json destination_json(const api::Destination& destination) {
  if (destination.name.empty()) return {{"uri", destination.uri}};
  return {{"ref",
           {{"apiVersion", destination.api_version},
            {"kind", destination.kind},
            {"name", destination.name},
            {"namespace", destination.namespace_name}}}};
}

json retries_json(const api::Delivery& delivery) {
  return {{"retry", delivery.retry},
          {"backoffPolicy", to_string(delivery.backoff_policy)},
          {"backoffDelay", api::format_iso_duration(delivery.backoff_delay)}};
}

// Makes the objects of one JobQueue for RabbitMQ's topology operator.
class TopologyObjects {
 public:
  TopologyObjects(const JobQueue& queue, const Seen& seen)
      : queue_(queue), seen_(seen), vhost_(queue.spec.rabbitmq.vhost) {}

  json of(const topology::Exchange& exchange) const {
    json spec = {{"name", exchange.name}, {"type", exchange.type}, {"durable", exchange.durable}};
    return make("Exchange", object_name(exchange.name, vhost_), std::move(spec));
  }

  json of(const topology::Queue& queue) const {
    json spec = {{"name", queue.name},
                 {"type", queue.type},
                 {"durable", queue.durable},
                 {"deleteIfEmpty", queue_.spec.deletion_policy == api::DeletionPolicy::retain}};
    const auto arguments = seen_.queue_arguments.find(queue.name);
    if (arguments != seen_.queue_arguments.end() && !arguments->second.empty())
      spec["arguments"] = arguments->second;
    return make("Queue", object_name(queue.name, vhost_), std::move(spec));
  }

  json of(const topology::Policy& policy) const {
    json spec = {{"name", policy.name},
                 {"pattern", policy.pattern},
                 {"applyTo", policy.apply_to},
                 {"priority", policy.priority},
                 {"definition", policy.definition}};
    return make("Policy", object_name(policy.name, vhost_), std::move(spec));
  }

  json of(const topology::Binding& binding) const {
    json spec = {{"source", binding.exchange},
                 {"destination", binding.queue},
                 {"destinationType", "queue"},
                 {"routingKey", binding.routing_key}};
    if (!binding.arguments.empty()) spec["arguments"] = binding.arguments;
    return make("Binding", object_name(binding, vhost_), std::move(spec));
  }

 private:
  json make(std::string_view kind, std::string name, json spec) const {
    spec["vhost"] = vhost_;
    spec["rabbitmqClusterReference"] = reference_to(queue_.spec.rabbitmq);
    return object(queue_, topology_version, kind, std::move(name), queue_.spec.rabbitmq.namespace_name,
                  std::move(spec));
  }

  const JobQueue& queue_;
  const Seen& seen_;
  const std::string& vhost_;
};

json broker_config(const JobQueue& queue) {
  const auto& trigger = queue.spec.trigger;
  return object(queue, config_version, "RabbitmqBrokerConfig", trigger.broker, trigger.broker_namespace,
                {{"rabbitmqClusterReference", reference_to(queue.spec.rabbitmq)},
                 {"queueType", to_string(api::QueueType::quorum)},
                 {"vhost", queue.spec.rabbitmq.vhost}});
}

json broker(const JobQueue& queue) {
  const auto& trigger = queue.spec.trigger;
  json made = object(queue, eventing_version, "Broker", trigger.broker, trigger.broker_namespace,
                     {{"config",
                       {{"apiVersion", config_version},
                        {"kind", "RabbitmqBrokerConfig"},
                        {"name", trigger.broker},
                        {"namespace", trigger.broker_namespace}}}});
  made["metadata"]["annotations"] = {{"eventing.knative.dev/broker.class", broker_class}};
  return made;
}

json trigger_object(const JobQueue& queue) {
  const auto& trigger = queue.spec.trigger;
  json delivery = retries_json(trigger.delivery);
  delivery["timeout"] = api::format_iso_duration(trigger.delivery.timeout);
  delivery["deadLetterSink"] =
      trigger.dead_letter_sink ? destination_json(*trigger.dead_letter_sink) : json{{"uri", no_sink}};
  json spec = {{"broker", trigger.broker},
               {"subscriber", destination_json(trigger.subscriber)},
               {"delivery", std::move(delivery)}};
  if (!trigger.filter.empty()) spec["filter"] = {{"attributes", trigger.filter}};
  json made =
      object(queue, eventing_version, "Trigger", trigger.name, trigger.broker_namespace, std::move(spec));
  made["metadata"]["annotations"] = {
      {"rabbitmq.eventing.knative.dev/parallelism", std::to_string(trigger.parallelism)}};
  return made;
}

json source(const JobQueue& queue) {
  const auto& spec = queue.spec;
  const bool to_broker = spec.path == api::Path::trigger;
  const api::Destination sink = to_broker
                                    ? api::Destination{std::string(eventing_version), "Broker",
                                                       spec.trigger.broker, spec.trigger.broker_namespace, ""}
                                    : spec.trigger.subscriber;
  return object(queue, sources_version, "RabbitmqSource", queue.meta.key.name + "-source",
                queue.meta.key.namespace_name,
                {{"rabbitmqClusterReference", reference_to(spec.rabbitmq)},
                 {"rabbitmqResourcesConfig",
                  {{"vhost", spec.rabbitmq.vhost},
                   {"queueName", spec.queue.name},
                   {"predeclared", true},
                   {"parallelism", spec.source.parallelism}}},
                 {"delivery", retries_json(to_broker ? spec.source.delivery : spec.trigger.delivery)},
                 {"sink", destination_json(sink)}});
}

}  // namespace

std::vector<json> topology_objects(const JobQueue& queue, const Seen& seen,
                                   const topology::Topology& topology) {
  const TopologyObjects objects(queue, seen);
  std::vector<json> made;
  const auto add_all = [&](const auto& things) {
    for (const auto& thing : things) made.push_back(objects.of(thing));
  };
  // Policies before bindings: no message comes in before its bounds are there.
  add_all(topology.exchanges);
  add_all(topology.queues);
  add_all(topology.policies);
  add_all(topology.bindings);
  return made;
}

std::vector<json> knative_objects(const JobQueue& queue, const Seen& seen) {
  std::vector<json> made;
  if (queue.spec.path == api::Path::trigger) {
    if (queue.spec.trigger.create_broker && !seen.broker_is_foreign) {
      made.push_back(broker_config(queue));
      made.push_back(broker(queue));
    }
    made.push_back(trigger_object(queue));
  }
  if (queue.spec.path != api::Path::amqp && queue.spec.source.enabled) made.push_back(source(queue));
  return made;
}

}  // namespace lambda::desired
