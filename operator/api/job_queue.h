// JobQueue: one object for a whole chain of delivery, from the exchange to the subscriber, with its dead
// letters. manifests/crds has the same as a schema; what the API server defaults there is defaulted here too,
// as the lint reads files that no API server has seen.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"
#include "base/error.h"
#include "base/time.h"

namespace lambda::api {

inline constexpr std::string_view job_queue_kind = "JobQueue";

/// "true" on a JobQueue that is being deleted: it goes at once, whatever of it can't be reached or still
/// holds messages is left where it is.
inline constexpr std::string_view force_deletion_annotation = "lambda.notifi.network/force-deletion";

enum class Path {
  trigger,  // RabbitmqSource -> Knative Broker -> Trigger -> subscriber
  source,   // RabbitmqSource -> subscriber
  amqp,     // the builder consumes: no Knative objects
};
enum class Management {
  topology,  // by the objects of RabbitMQ's messaging topology operator
  direct,    // by this operator, over the management API
};
enum class QueueType { quorum, classic };
enum class Overflow { drop_head, reject_publish, reject_publish_dlx };
enum class DeadLetterStrategy { at_most_once, at_least_once };
enum class ExchangeType { direct, topic, fanout, headers };
enum class BackoffPolicy { exponential, linear };
enum class DeletionPolicy {
  retain,  // a queue that holds messages is never dropped
  drop,    // "Delete": queues go with what they hold
};

// As they are written in the object.
std::string_view to_string(Path path);
std::string_view to_string(Management management);
std::string_view to_string(QueueType type);
std::string_view to_string(Overflow overflow);
std::string_view to_string(DeadLetterStrategy strategy);
std::string_view to_string(ExchangeType type);
std::string_view to_string(BackoffPolicy policy);
std::string_view to_string(DeletionPolicy policy);

/// Where RabbitMQ is. Exactly one of the two names is not empty; `namespace_name` is that of either, by
/// default the JobQueue's own.
struct Rabbitmq {
  std::string cluster;            // name of a RabbitmqCluster
  std::string connection_secret;  // name of a Secret with uri, username, password
  std::string namespace_name;
  std::string vhost = "/";

  bool operator==(const Rabbitmq&) const = default;
};

/// The queue of jobs. An optional that is absent (in the object: 0) is no bound at all.
struct QueueSettings {
  std::string name;  // by default the JobQueue's
  QueueType type = QueueType::quorum;
  std::optional<base::milliseconds> message_ttl = base::milliseconds(24 * 3'600'000LL);
  std::optional<std::int64_t> max_length = 10'000;
  Overflow overflow = Overflow::drop_head;
  std::optional<std::int64_t> delivery_limit = 20;

  bool operator==(const QueueSettings&) const = default;
};

/// Where what dies goes. Its queue is a quorum queue that refuses when it is full.
struct DeadLetterSettings {
  std::string exchange = "dlx";
  ExchangeType exchange_type = ExchangeType::direct;
  std::string routing_key;  // by default the name of `queue`
  std::string queue;        // by default "<queue.name>.dlq"
  DeadLetterStrategy strategy = DeadLetterStrategy::at_most_once;
  std::optional<base::milliseconds> message_ttl;
  std::optional<std::int64_t> max_length;
  std::optional<std::int64_t> delivery_limit;

  bool operator==(const DeadLetterSettings&) const = default;
};

struct RoutingSettings {
  std::string exchange = "lambda.events";
  ExchangeType exchange_type = ExchangeType::topic;
  std::vector<std::string> keys = {"network.notifi.lambda.job.start"};

  bool operator==(const RoutingSettings&) const = default;
};

/// Knative's Destination: a reference to something addressable, or a URI.
struct Destination {
  std::string api_version;
  std::string kind;
  std::string name;            // empty: there is a URI
  std::string namespace_name;  // by default the JobQueue's
  std::string uri;

  bool operator==(const Destination&) const = default;
};

struct Delivery {
  std::int64_t retry = 5;
  BackoffPolicy backoff_policy = BackoffPolicy::exponential;
  base::milliseconds backoff_delay{500};
  base::milliseconds timeout{30'000};  // of one attempt; not of a source, which has none

  bool operator==(const Delivery&) const = default;
};

/// The RabbitmqSource, of the paths trigger and source.
struct SourceSettings {
  bool enabled = true;
  std::int64_t parallelism = 10;
  Delivery delivery;  // to the broker of path trigger; path source uses the trigger's

  bool operator==(const SourceSettings&) const = default;
};

/// The Knative Trigger and its Broker. `subscriber` and `delivery` are those of path source too.
struct TriggerSettings {
  std::string name;  // by default "<JobQueue>-trigger"
  std::string broker = "default";
  std::string broker_namespace;  // also the Trigger's; by default the JobQueue's
  bool create_broker = false;
  std::map<std::string, std::string> filter = {{"source", "network.notifi.kaniko-jobs"},
                                               {"type", "network.notifi.lambda.job.start"}};
  Destination subscriber;  // by default the Service knative-lambda-builder
  Delivery delivery;
  std::optional<Destination> dead_letter_sink;  // gets a copy of what is given up; the queue has it anyway
  std::int64_t parallelism = 10;

  bool operator==(const TriggerSettings&) const = default;
};

struct JobQueueSpec {
  Rabbitmq rabbitmq;
  Path path = Path::trigger;
  Management management = Management::topology;
  QueueSettings queue;
  DeadLetterSettings dead_letter;
  RoutingSettings routing;
  SourceSettings source;
  TriggerSettings trigger;
  DeletionPolicy deletion_policy = DeletionPolicy::retain;
  base::milliseconds drift_interval{30'000};

  bool operator==(const JobQueueSpec&) const = default;
};

/// What the broker said of a queue. Absent: not known (yet).
struct QueueStatus {
  std::string name;
  std::optional<std::int64_t> messages_ready;
  std::optional<std::int64_t> messages_unacknowledged;
  std::optional<std::int64_t> consumers;
  std::optional<double> publish_rate;  // messages a second
  std::optional<double> deliver_rate;

  bool operator==(const QueueStatus&) const = default;
};

struct JobQueueStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::optional<QueueStatus> queue;
  std::optional<QueueStatus> trigger_queue;  // of path trigger: where the backlog stands
  std::optional<QueueStatus> dead_letter_queue;
  std::optional<QueueStatus> unrouted_queue;  // of path trigger: what matched no trigger
  std::vector<std::string> adopted;  // what was there before, and how: "kaniko-jobs: x-message-ttl=86400000"
  std::string broker_uid;            // of the Knative Broker, part of the names of its exchanges
  std::string trigger_uid;           // of the Knative Trigger, part of the name of its dead-letter exchange
  std::string rabbitmq_version;

  bool operator==(const JobQueueStatus&) const = default;
};

struct JobQueue {
  ObjectMeta meta;
  JobQueueSpec spec;
  JobQueueStatus status;

  bool operator==(const JobQueue&) const = default;
};

/// What was read, and everything that is wrong with it: each problem's field is a path from the object
/// ("spec.queue.messageTtl"). With problems, the fields at fault have their defaults.
struct ReadJobQueue {
  JobQueue queue;
  std::vector<base::Error> problems;
};

/// Unknown fields are passed over, as the API server prunes them; null is absent. Types, words, ranges and
/// names are checked here; what contradicts itself only together is the lint's.
ReadJobQueue read_job_queue(const nlohmann::json& object);

/// The same, or the first problem.
base::Result<JobQueue> parse_job_queue(const nlohmann::json& object);

/// The value of the object's "status", without what is not known.
nlohmann::json to_json(const JobQueueStatus& status);

}  // namespace lambda::api
