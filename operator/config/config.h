// The operator's configuration: what the file may say, its defaults, and the checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "base/log.h"
#include "base/time.h"
#include "build/outcome.h"
#include "yaml/problem.h"

namespace lambda::config {

using base::milliseconds;
using yaml::Problem;
using yaml::to_string;

struct Http {
  std::string address = "0.0.0.0";
  std::uint16_t port = 8081;  // metrics and probes; 0: one that is free, told in the log

  bool operator==(const Http&) const = default;
};

struct Kubernetes {
  std::string kubeconfig;  // empty: the service account of the pod we run in
  milliseconds request_timeout{10'000};
  std::string watch_namespace;  // of JobQueues and DeadLetterRedrives; empty: all

  bool operator==(const Kubernetes&) const = default;
};

/// Of several replicas one works: the one that holds the Lease.
struct LeaderElection {
  std::string namespace_name = "knative-lambda";
  std::string name = "knative-lambda-operator";
  milliseconds lease_duration{15'000};
  milliseconds renew_deadline{10'000};  // shorter than the lease
  milliseconds retry_period{5'000};     // shorter than the deadline

  bool operator==(const LeaderElection&) const = default;
};

struct Reconcile {
  unsigned workers = 4;                  // JobQueues that are worked on at the same time
  milliseconds max_retry_delay{60'000};  // after errors, between two tries of one JobQueue
  unsigned redrives = 2;                 // DeadLetterRedrives that run at the same time

  bool operator==(const Reconcile&) const = default;
};

struct RabbitMq {
  std::string ca_file;   // PEM, of brokers that are reached by TLS; empty: the system's authorities
  std::string ca_pem{};  // what stands in it, read by load()
  milliseconds request_timeout{10'000};

  bool operator==(const RabbitMq&) const = default;
};

/// How many builds run that the operator releases (build.admission of the builder: operator).
struct Admission {
  std::size_t max_running = 20;
  std::size_t max_running_per_tenant = 5;
  milliseconds priority_step{60'000};  // a build gains one priority for each such time that it waits

  bool operator==(const Admission&) const = default;
};

/// Where a build's CloudEvents go.
struct Results {
  std::string sink;  // an HTTP URL; empty: nowhere
  std::string source = "network.notifi.lambda.operator";
  milliseconds timeout{10'000};            // of one request
  milliseconds give_up_after{86'400'000};  // from the build's end
  milliseconds max_retry_delay{60'000};

  bool operator==(const Results&) const = default;
};

/// Failed builds as dead letters.
struct DeadLetters {
  bool enabled = false;
  std::string uri;       // amqp:// or amqps://
  std::string uri_file;  // or the path of a file that holds it, read again for each connection
  std::string exchange = "dlx";
  std::string routing_key = "kaniko-jobs.dlq";
  std::string queue = "kaniko-jobs.dlq";
  std::vector<build::FailureClass> classes{build::all_failure_classes.begin(),
                                           build::all_failure_classes.end()};

  bool operator==(const DeadLetters&) const = default;
};

struct Builds {
  bool enabled = true;
  std::string namespace_name = "knative-lambda-builds";
  unsigned workers = 4;            // builds that are worked on at the same time, and as many results
  milliseconds watchdog{300'000};  // so long a cause may last that can't heal by itself
  Admission admission;
  Results results;
  DeadLetters dead_letter;

  bool operator==(const Builds&) const = default;
};

struct Config {
  Http http;
  Kubernetes kubernetes;
  LeaderElection leader_election;
  Reconcile reconcile;
  RabbitMq rabbitmq;
  Builds builds;
  milliseconds shutdown_timeout{25'000};
  base::Level log_level = base::Level::info;

  bool operator==(const Config&) const = default;
};

/// Reads YAML text of at most 1 MiB; an empty one means the defaults. All problems that are found are
/// returned, each with its place, in the order of the text. docs/operator.md lists the keys.
tl::expected<Config, std::vector<Problem>> parse(std::string_view yaml, const std::string& file);

/// The same from a file, and what stands in the files that it names; one that can't be read is a problem.
tl::expected<Config, std::vector<Problem>> load(const std::string& file);

}  // namespace lambda::config
