// The builder's configuration: what the file may say, its defaults, and the checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "base/log.h"
#include "base/time.h"
#include "config/auth.h"
#include "yaml/problem.h"

namespace lambda::config {

using base::milliseconds;

struct Http {
  std::string address = "0.0.0.0";
  std::uint16_t port = 8080;     // 0: one that is free, told in the log
  std::uint16_t admin_port = 0;  // 0: the sink's port serves stats, metrics and health too
  std::size_t max_body_bytes = 1048576;
  std::size_t max_total_body_bytes = 50331648;  // of all requests in hand; at least two of the largest
  std::size_t max_header_bytes = 16384;
  std::size_t max_connections = 1024;
  milliseconds header_timeout{5'000};
  milliseconds body_timeout{10'000};
  milliseconds idle_timeout{60'000};
  milliseconds request_timeout{25'000};  // from the whole request to the answer

  bool operator==(const Http&) const = default;
};

struct Kubernetes {
  std::string kubeconfig;  // empty: the service account of the pod we run in
  milliseconds request_timeout{10'000};

  bool operator==(const Kubernetes&) const = default;
};

/// When a sender is told 2xx: once the event is safe, or at once.
enum class Acknowledge { durable, immediate };

struct AsyncJobCreator {
  std::size_t worker_count = 5;
  unsigned max_retries = 3;
  milliseconds retry_delay{100};
  std::size_t max_queue_size = 100;
  std::size_t max_queue_per_tenant = 25;
  milliseconds priority_step{1'000};  // an event gains one priority for each such time that it has waited
  std::map<std::string, double, std::less<>> tenant_weights;  // a tenant that is not named has 1
  Acknowledge acknowledge = Acknowledge::durable;
  milliseconds shutdown_timeout{25'000};

  bool operator==(const AsyncJobCreator&) const = default;
};

/// Consuming the queue without Knative.
struct AmqpIntake {
  bool enabled = false;
  std::uint16_t prefetch = 100;
  std::size_t max_held = 1000;  // beyond the prefetch: deliveries that can't go on while others can

  bool operator==(const AmqpIntake&) const = default;
};

/// Which flows are served: events that came by the queue, events sent to us directly.
struct Intake {
  bool accept_direct = true;
  bool accept_queue = true;
  std::vector<std::string> queue_sources{"network.notifi.kaniko-jobs"};
  bool respond_async = false;  // whether a sender may ask to be answered at once (Prefer: respond-async)
  AmqpIntake amqp;
  Auth auth;

  bool operator==(const Intake&) const = default;
};

/// Where RabbitMQ is, and the names of what is there. Nothing of it is declared by the builder.
struct RabbitMq {
  std::string uri;       // amqp:// or amqps://; empty, with uri_file too: there is no RabbitMQ
  std::string uri_file;  // or the path of a file that holds it
  std::string queue = "kaniko-jobs";
  std::string dead_letter_exchange = "dlx";
  std::string dead_letter_routing_key = "kaniko-jobs.dlq";
  std::string dead_letter_queue = "kaniko-jobs.dlq";

  bool configured() const { return !uri.empty() || !uri_file.empty(); }
  bool operator==(const RabbitMq&) const = default;
};

/// Requests and limits of the Kaniko container, in Kubernetes quantities.
struct Resources {
  std::vector<std::pair<std::string, std::string>> requests;
  std::vector<std::pair<std::string, std::string>> limits;

  bool operator==(const Resources&) const = default;
};

/// Who decides when a build may run.
enum class Admission {
  none,         // nobody: it runs at once
  by_operator,  // knative-lambda-operator: Jobs start suspended, and it releases them
  by_kueue,     // Kueue: Jobs start suspended, in one of its queues
};

struct Kueue {
  std::string queue_name;      // a LocalQueue of the build namespace; may hold {third_party_id}
  std::string priority_class;  // a WorkloadPriorityClass; empty: none

  bool operator==(const Kueue&) const = default;
};

/// What becomes of a build that has not finished when a newer event of its tenant and parser comes.
enum class OnNewer { keep, cancel };

/// A build that ran out of memory is tried once more, with this much.
struct OomRetry {
  std::string memory;  // a Kubernetes quantity; empty: it is not

  bool operator==(const OomRetry&) const = default;
};

/// Layers of earlier builds, kept in a registry.
struct Cache {
  bool enabled = false;
  std::string repo = "registry.local/{third_party_id}/cache";  // each tenant's own
  milliseconds ttl{336 * 3'600'000LL};                         // older layers are built again
  bool compressed = true;  // false: larger, but less memory is needed to write them

  bool operator==(const Cache&) const = default;
};

/// Where the Dockerfile of a function's runtime is.
struct Runtime {
  std::string config_map;  // in the build namespace
  std::string key = "Dockerfile";

  bool operator==(const Runtime&) const = default;
};

using Runtimes = std::map<std::string, Runtime, std::less<>>;

struct Build {
  std::string namespace_name = "knative-lambda-builds";
  std::string image = "ghcr.io/osscontainertools/kaniko:v1.28.3";
  std::string destination = "registry.local/{third_party_id}/{parser_id}:{event_hash}";
  milliseconds timeout{1'800'000};      // when the event names none
  milliseconds max_timeout{7'200'000};  // an event may not ask for more
  milliseconds ttl_after_finished{3'600'000};
  /// "host[:port][/path/prefix]", "s3://bucket[/prefix]" or "gs://bucket[/prefix]" each, the host in lower
  /// case, no slash at the end: a source_url must have the host and port or the bucket, and the prefix up to
  /// a segment boundary.
  std::vector<std::string> allowed_sources{"github.com"};
  bool plain_http = false;      // http:// sources, and a registry without TLS: for test beds
  std::string registry_secret;  // kubernetes.io/dockerconfigjson; may hold {third_party_id}; empty: none
  std::string git_secret;       // keys username, password or token; may hold {third_party_id}; empty: none
  /// Keys as variables for S3 and Azure, gcs.json for GCS; may hold {third_party_id}; empty: none.
  std::string source_secret;
  std::string service_account_name;  // empty: the namespace's default
  Resources resources;
  Admission admission = Admission::none;
  Kueue kueue;
  bool followed_by_operator =
      false;  // knative-lambda-operator sees each Job to its end, and sets its TTL then
  OnNewer on_newer = OnNewer::keep;  // this and oom_retry are the operator's work
  OomRetry oom_retry;
  Cache cache;
  Runtimes runtimes;             // of function builds, by the name that events give
  std::string job_patch = "{}";  // a JSON merge patch (RFC 7386) over every Job

  bool operator==(const Build&) const = default;
};

struct Config {
  Http http;
  Kubernetes kubernetes;
  AsyncJobCreator async_job_creator;
  Intake intake;
  RabbitMq rabbitmq;
  Build build;
  base::Level log_level = base::Level::info;

  bool operator==(const Config&) const = default;
};

using yaml::Problem;
using yaml::to_string;

/// Reads YAML text of at most 1 MiB; an empty one means the defaults. Unknown or repeated keys, wrong types
/// and values out of range are problems, each with its place; all that are found are returned, in the order
/// of the text. `file` is used in the problems only. docs/configuration.md lists the keys.
tl::expected<Config, std::vector<Problem>> parse(std::string_view yaml, const std::string& file);

/// The same from a file; one that can't be read is a problem, and so is what is wrong with the file of
/// intake.auth.tokensFile where its tokens are asked for.
tl::expected<Config, std::vector<Problem>> load(const std::string& file);

}  // namespace lambda::config
