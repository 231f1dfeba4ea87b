#include "api/job_queue.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/names.h"
#include "api/reader.h"
#include "base/text.h"

namespace lambda::api {
namespace {

using base::milliseconds;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::array paths{Path::trigger, Path::source, Path::amqp};
constexpr std::array managements{Management::topology, Management::direct};
constexpr std::array queue_types{QueueType::quorum, QueueType::classic};
constexpr std::array overflows{Overflow::drop_head, Overflow::reject_publish, Overflow::reject_publish_dlx};
constexpr std::array strategies{DeadLetterStrategy::at_most_once, DeadLetterStrategy::at_least_once};
constexpr std::array exchange_types{ExchangeType::direct, ExchangeType::topic, ExchangeType::fanout,
                                    ExchangeType::headers};
constexpr std::array dead_letter_exchange_types{ExchangeType::direct, ExchangeType::topic,
                                                ExchangeType::fanout};
constexpr std::array backoff_policies{BackoffPolicy::exponential, BackoffPolicy::linear};
constexpr std::array deletion_policies{DeletionPolicy::retain, DeletionPolicy::drop};

constexpr milliseconds ttl_max = 1000h;  // RabbitMQ counts in 32 bits of milliseconds
constexpr std::int64_t length_max = 2'147'483'647;
constexpr std::int64_t delivery_limit_max = 1'000'000;
constexpr std::int64_t parallelism_max = 1000;  // Knative's
constexpr std::int64_t retry_max = 1000;
constexpr std::size_t keys_max = 16;
constexpr milliseconds drift_interval_least = 5s;
constexpr milliseconds drift_interval_most = 1h;
constexpr milliseconds delivery_duration_max = 1h;

constexpr std::string_view name_rule =
    "is no name that is accepted; accepted: letters, digits and _.:/@- up to 255 bytes, not beginning with "
    "amq.";
constexpr std::string_view text_rule =
    "is not accepted; accepted: UTF-8 without control characters, up to 255 bytes";
constexpr std::string_view object_rule =
    "is no name of a Kubernetes object; accepted: lower-case letters, digits, - and .";

// The text, if it is what `accepted` says; else, or where there is none, the fallback.
template <class Check>
std::string checked(const Reader& reader, std::string_view name, std::string fallback, Check accepted,
                    std::string_view rule) {
  std::string found = reader.text(name);
  if (found.empty()) return fallback;
  if (accepted(found)) return found;
  reader.refuse(name, std::string(rule));
  return fallback;
}

std::string amqp_name(const Reader& reader, std::string_view name, std::string fallback) {
  return checked(reader, name, std::move(fallback), is_amqp_name, name_rule);
}

std::string amqp_text(const Reader& reader, std::string_view name, std::string fallback) {
  return checked(reader, name, std::move(fallback), is_amqp_text, text_rule);
}

std::string object_name(const Reader& reader, std::string_view name, std::string fallback) {
  return checked(reader, name, std::move(fallback), is_dns_subdomain, object_rule);
}

std::string namespace_name(const Reader& reader, std::string_view name, const std::string& fallback) {
  return checked(
      reader, name, fallback, base::is_dns_label,
      "is no name of a namespace; accepted: lower-case letters, digits and -, up to 63 characters");
}

Rabbitmq read_rabbitmq(const Reader& reader, const std::string& own_namespace) {
  Rabbitmq rabbitmq;
  const Reader cluster = reader.object("clusterReference");
  const Reader secret = reader.object("connectionSecret");
  rabbitmq.vhost = amqp_text(reader, "vhost", rabbitmq.vhost);
  rabbitmq.cluster = object_name(cluster, "name", "");
  rabbitmq.connection_secret = object_name(secret, "name", "");
  const Reader& reference = reader.has("connectionSecret") ? secret : cluster;
  rabbitmq.namespace_name = namespace_name(reference, "namespace", own_namespace);
  if (reader.has("clusterReference") == reader.has("connectionSecret")) {
    reader.refuse("clusterReference", "exactly one of clusterReference and connectionSecret is needed");
  } else if (!reference.has("name")) {
    reference.refuse("name", "is missing");
  }
  return rabbitmq;
}

QueueSettings read_queue(const Reader& reader, const std::string& own_name) {
  QueueSettings queue;
  queue.name = amqp_name(reader, "name", own_name);
  if (queue.name.size() > queue_name_max_bytes)
    reader.refuse("name", "is too long; accepted: up to " + std::to_string(queue_name_max_bytes) + " bytes");
  queue.type = reader.word("type", queue.type, queue_types);
  queue.message_ttl = reader.bound("messageTtl", queue.message_ttl, ttl_max);
  queue.max_length = reader.bound("maxLength", queue.max_length, length_max);
  queue.overflow = reader.word("overflow", queue.overflow, overflows);
  queue.delivery_limit = reader.bound("deliveryLimit", queue.delivery_limit, delivery_limit_max);
  return queue;
}

DeadLetterSettings read_dead_letter(const Reader& reader, const std::string& queue_name) {
  DeadLetterSettings settings;
  settings.exchange = amqp_name(reader, "exchange", settings.exchange);
  settings.exchange_type = reader.word("exchangeType", settings.exchange_type, dead_letter_exchange_types);
  settings.queue = amqp_name(reader, "queue", queue_name + ".dlq");
  settings.routing_key = amqp_text(reader, "routingKey", settings.queue);
  settings.strategy = reader.word("strategy", settings.strategy, strategies);
  settings.message_ttl = reader.bound("messageTtl", std::optional<milliseconds>(), ttl_max);
  settings.max_length = reader.bound("maxLength", std::optional<std::int64_t>(), length_max);
  settings.delivery_limit = reader.bound("deliveryLimit", std::optional<std::int64_t>(), delivery_limit_max);
  return settings;
}

RoutingSettings read_routing(const Reader& reader) {
  RoutingSettings routing;
  routing.exchange = amqp_name(reader, "exchange", routing.exchange);
  routing.exchange_type = reader.word("exchangeType", routing.exchange_type, exchange_types);
  routing.keys = reader.texts("keys", routing.keys);
  if (routing.keys.empty()) reader.refuse("keys", "is empty: nothing would be routed to the queue");
  if (routing.keys.size() > keys_max)
    reader.refuse("keys", "are too many; accepted: up to " + std::to_string(keys_max));
  for (const std::string& key : routing.keys) {
    if (!is_amqp_text(key)) reader.refuse("keys", std::string(text_rule));
    if (std::count(routing.keys.begin(), routing.keys.end(), key) > 1)
      reader.refuse("keys", base::quote(key) + " is there more than once");
  }
  return routing;
}

Delivery read_delivery(const Reader& reader) {
  Delivery delivery;
  delivery.retry = reader.integer("retry", delivery.retry, 0, retry_max);
  delivery.backoff_policy = reader.word("backoffPolicy", delivery.backoff_policy, backoff_policies);
  delivery.backoff_delay = reader.iso_duration("backoffDelay", delivery.backoff_delay, delivery_duration_max);
  delivery.timeout = reader.iso_duration("timeout", delivery.timeout, delivery_duration_max);
  return delivery;
}

Destination read_destination(const Reader& reader, const std::string& own_namespace) {
  Destination destination;
  destination.uri = reader.text("uri");
  if (reader.has("ref") == !destination.uri.empty())
    reader.refuse("ref", "exactly one of ref and uri is needed");
  if (!destination.uri.empty() && !destination.uri.starts_with("http://") &&
      !destination.uri.starts_with("https://"))
    reader.refuse("uri", "is no URI that is accepted; accepted: http://… and https://…");
  if (!reader.has("ref")) return destination;
  const Reader reference = reader.object("ref");
  destination.api_version = reference.text("apiVersion", "v1");
  destination.kind = reference.text("kind", "Service");
  destination.name = object_name(reference, "name", "");
  destination.namespace_name = namespace_name(reference, "namespace", own_namespace);
  if (!reference.has("name")) reference.refuse("name", "is missing");
  return destination;
}

std::map<std::string, std::string> read_filter(const Reader& trigger) {
  std::map<std::string, std::string> attributes;
  const Reader filter = trigger.object("filter");
  for (const std::string& name : filter.names()) {
    if (!is_attribute_name(name)) {
      filter.refuse(name, "is no attribute of CloudEvents; accepted: up to 20 lower-case letters and digits");
    } else if (std::string value = filter.text(name); !value.empty()) {
      attributes[name] = std::move(value);
    }
  }
  return attributes;
}

SourceSettings read_source(const Reader& reader) {
  SourceSettings source;
  source.enabled = reader.boolean("enabled", source.enabled);
  source.parallelism = reader.integer("parallelism", source.parallelism, 1, parallelism_max);
  source.delivery = read_delivery(reader.object("delivery"));
  return source;
}

TriggerSettings read_trigger(const Reader& reader, const ObjectKey& own) {
  TriggerSettings trigger;
  trigger.name = object_name(reader, "name", own.name + "-trigger");
  const Reader broker = reader.object("broker");
  trigger.broker = object_name(broker, "name", trigger.broker);
  trigger.broker_namespace = namespace_name(broker, "namespace", own.namespace_name);
  trigger.create_broker = broker.boolean("create", trigger.create_broker);
  if (reader.has("filter")) trigger.filter = read_filter(reader);
  trigger.subscriber = {"v1", "Service", "knative-lambda-builder", own.namespace_name, ""};
  if (reader.has("subscriber"))
    trigger.subscriber = read_destination(reader.object("subscriber"), own.namespace_name);
  const Reader delivery = reader.object("delivery");
  trigger.delivery = read_delivery(delivery);
  if (delivery.has("deadLetterSink"))
    trigger.dead_letter_sink = read_destination(delivery.object("deadLetterSink"), own.namespace_name);
  trigger.parallelism = reader.integer("parallelism", trigger.parallelism, 1, parallelism_max);
  return trigger;
}

JobQueueSpec read_spec(const Reader& reader, const ObjectKey& own) {
  JobQueueSpec spec;
  spec.rabbitmq = read_rabbitmq(reader.object("rabbitmq"), own.namespace_name);
  spec.path = reader.word("path", spec.path, paths);
  spec.management = reader.word("management", spec.management, managements);
  spec.queue = read_queue(reader.object("queue"), own.name);
  spec.dead_letter = read_dead_letter(reader.object("deadLetter"), spec.queue.name);
  spec.routing = read_routing(reader.object("routing"));
  spec.source = read_source(reader.object("source"));
  spec.trigger = read_trigger(reader.object("trigger"), own);
  spec.deletion_policy = reader.word("deletionPolicy", spec.deletion_policy, deletion_policies);
  spec.drift_interval =
      reader.duration("driftInterval", spec.drift_interval, drift_interval_least, drift_interval_most);
  return spec;
}

std::optional<std::int64_t> read_count(const Reader& reader, std::string_view name) {
  if (!reader.has(name)) return std::nullopt;
  return reader.integer(name, 0, 0, INT64_MAX);
}

std::optional<double> read_rate(const Reader& reader, std::string_view name) {
  const json* found = reader.find(name);
  return found != nullptr && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

std::optional<QueueStatus> read_queue_status(const Reader& status, std::string_view name) {
  if (!status.has(name)) return std::nullopt;
  const Reader reader = status.object(name);
  return QueueStatus{reader.text("name"),
                     read_count(reader, "messagesReady"),
                     read_count(reader, "messagesUnacknowledged"),
                     read_count(reader, "consumers"),
                     read_rate(reader, "publishRate"),
                     read_rate(reader, "deliverRate")};
}

// Our own, which nobody else writes: what can't be read of it is as if it were not there.
JobQueueStatus read_status(const json& object) {
  std::vector<base::Error> ignored;
  const Reader reader = Reader(object, "", ignored).object("status");
  JobQueueStatus status;
  status.observed_generation = reader.integer("observedGeneration", 0, 0, INT64_MAX);
  if (const json* conditions = reader.find("conditions"))
    status.conditions = parse_conditions(*conditions).value_or(std::vector<Condition>());
  status.queue = read_queue_status(reader, "queue");
  status.trigger_queue = read_queue_status(reader, "triggerQueue");
  status.dead_letter_queue = read_queue_status(reader, "deadLetterQueue");
  status.unrouted_queue = read_queue_status(reader, "unroutedQueue");
  status.adopted = reader.texts("adopted", {});
  status.broker_uid = reader.text("brokerUid");
  status.trigger_uid = reader.text("triggerUid");
  status.rabbitmq_version = reader.text("rabbitmqVersion");
  return status;
}

template <class T>
void put(json& object, const char* name, const std::optional<T>& value) {
  if (value) object[name] = *value;
}

void put(json& object, const char* name, const std::string& value) {
  if (!value.empty()) object[name] = value;
}

void put(json& object, const char* name, const std::optional<QueueStatus>& queue) {
  if (!queue) return;
  json& out = object[name] = {{"name", queue->name}};
  put(out, "messagesReady", queue->messages_ready);
  put(out, "messagesUnacknowledged", queue->messages_unacknowledged);
  put(out, "consumers", queue->consumers);
  put(out, "publishRate", queue->publish_rate);
  put(out, "deliverRate", queue->deliver_rate);
}

}  // namespace

std::string_view to_string(Path path) {
  switch (path) {
    case Path::trigger:
      return "trigger";
    case Path::source:
      return "source";
    case Path::amqp:
      break;
  }
  return "amqp";
}

std::string_view to_string(Management management) {
  return management == Management::topology ? "topology" : "direct";
}

std::string_view to_string(QueueType type) {
  return type == QueueType::quorum ? "quorum" : "classic";
}

std::string_view to_string(Overflow overflow) {
  switch (overflow) {
    case Overflow::drop_head:
      return "drop-head";
    case Overflow::reject_publish:
      return "reject-publish";
    case Overflow::reject_publish_dlx:
      break;
  }
  return "reject-publish-dlx";
}

std::string_view to_string(DeadLetterStrategy strategy) {
  return strategy == DeadLetterStrategy::at_most_once ? "at-most-once" : "at-least-once";
}

std::string_view to_string(ExchangeType type) {
  switch (type) {
    case ExchangeType::direct:
      return "direct";
    case ExchangeType::topic:
      return "topic";
    case ExchangeType::fanout:
      return "fanout";
    case ExchangeType::headers:
      break;
  }
  return "headers";
}

std::string_view to_string(BackoffPolicy policy) {
  return policy == BackoffPolicy::exponential ? "exponential" : "linear";
}

std::string_view to_string(DeletionPolicy policy) {
  return policy == DeletionPolicy::retain ? "Retain" : "Delete";
}

ReadJobQueue read_job_queue(const json& object) {
  ReadJobQueue read;
  if (auto meta = parse_object_meta(object)) {
    read.queue.meta = std::move(*meta);
  } else {
    read.problems.push_back(std::move(meta.error()));
  }
  const Reader reader(object, "", read.problems);
  if (read.queue.meta.key.name.size() > job_queue_name_max_bytes)
    reader.refuse("metadata.name",
                  "is too long; accepted: up to " + std::to_string(job_queue_name_max_bytes) + " characters");
  if (!reader.has("spec")) reader.refuse("spec", "is missing");
  read.queue.spec = read_spec(reader.object("spec"), read.queue.meta.key);
  read.queue.status = read_status(object);
  return read;
}

base::Result<JobQueue> parse_job_queue(const json& object) {
  ReadJobQueue read = read_job_queue(object);
  if (!read.problems.empty()) return tl::unexpected(std::move(read.problems.front()));
  return std::move(read.queue);
}

json to_json(const JobQueueStatus& status) {
  json out = {{"observedGeneration", status.observed_generation}, {"conditions", to_json(status.conditions)}};
  put(out, "queue", status.queue);
  put(out, "triggerQueue", status.trigger_queue);
  put(out, "deadLetterQueue", status.dead_letter_queue);
  put(out, "unroutedQueue", status.unrouted_queue);
  if (!status.adopted.empty()) out["adopted"] = status.adopted;
  put(out, "brokerUid", status.broker_uid);
  put(out, "triggerUid", status.trigger_uid);
  put(out, "rabbitmqVersion", status.rabbitmq_version);
  return out;
}

}  // namespace lambda::api
