#include "config/config.h"

#include "yaml/checks.h"
#include "yaml/fields.h"
#include "yaml/file.h"

namespace lambda::config {

using namespace yaml;

namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr std::size_t path_max_bytes = 4096;

Read http(Http& out) {
  return map({
      {"address", text(out.address, check_ip_address)},
      {"port", integer(out.port, 0, 65535)},
  });
}

Read kubernetes(Kubernetes& out) {
  return map({
      {"kubeconfig", text(out.kubeconfig, printable(0, path_max_bytes))},
      {"requestTimeout", duration(out.request_timeout, milliseconds(1), minutes(10))},
      {"watchNamespace", text(out.watch_namespace, empty_or(check_dns_label))},
  });
}

Read leader_election(LeaderElection& out) {
  constexpr milliseconds least{100};
  return map({
      {"namespace", text(out.namespace_name, check_dns_label)},
      {"name", text(out.name, check_dns_subdomain)},
      {"leaseDuration", duration(out.lease_duration, milliseconds(1'000), hours(1))},
      {"renewDeadline", duration(out.renew_deadline, least, hours(1))},
      {"retryPeriod", duration(out.retry_period, least, hours(1))},
  });
}

Read reconcile(Reconcile& out) {
  return map({
      {"workers", integer(out.workers, 1, 64)},
      {"maxRetryDelay", duration(out.max_retry_delay, milliseconds(1'000), hours(1))},
      {"redrives", integer(out.redrives, 1, 16)},
  });
}

Read rabbitmq(RabbitMq& out) {
  return map({
      {"caFile", text(out.ca_file, printable(0, path_max_bytes))},
      {"requestTimeout", duration(out.request_timeout, milliseconds(1), minutes(10))},
  });
}

Read admission(Admission& out) {
  constexpr long long running_max = 100'000;
  return map({
      {"maxRunning", integer(out.max_running, 1, running_max)},
      {"maxRunningPerTenant", integer(out.max_running_per_tenant, 1, running_max)},
      {"priorityStep", duration(out.priority_step, milliseconds(1), hours(24))},
  });
}

Read results(Results& out) {
  return map({
      {"sink", text(out.sink, empty_or(check_http_url))},
      {"source", text(out.source, check_event_source)},
      {"timeout", duration(out.timeout, milliseconds(1), minutes(10))},
      {"giveUpAfter", duration(out.give_up_after, milliseconds(1'000), hours(10'000))},
      {"maxRetryDelay", duration(out.max_retry_delay, milliseconds(100), hours(1))},
  });
}

Read failure_classes(std::vector<build::FailureClass>& out) {
  return [&out](const Value& value) {
    std::vector<std::string> words;
    const auto check = [](std::string_view word) -> base::Result<void> {
      if (build::parse_failure_class(word)) return {};
      return refuse_text(word, "source, dockerfile, push, oom, timeout, infrastructure or unknown");
    };
    texts(words, 0, build::all_failure_classes.size(), check)(value);
    out.clear();
    for (const std::string& word : words) {
      if (const auto failure_class = build::parse_failure_class(word)) out.push_back(*failure_class);
    }
  };
}

Read dead_letter(DeadLetters& out) {
  constexpr std::size_t name_max_bytes = 255;  // AMQP's short string
  return map({
      {"enabled", boolean(out.enabled)},
      {"uri", text(out.uri, empty_or(check_amqp_uri))},
      {"uriFile", text(out.uri_file, printable(0, path_max_bytes))},
      {"exchange", text(out.exchange, printable(1, name_max_bytes))},
      {"routingKey", text(out.routing_key, printable(1, name_max_bytes))},
      {"queue", text(out.queue, printable(1, name_max_bytes))},
      {"classes", failure_classes(out.classes)},
  });
}

Read builds(Builds& out) {
  return map({
      {"enabled", boolean(out.enabled)},
      {"namespace", text(out.namespace_name, check_dns_label)},
      {"workers", integer(out.workers, 1, 64)},
      {"watchdog", duration(out.watchdog, milliseconds(1'000), hours(24))},
      {"admission", admission(out.admission)},
      {"results", results(out.results)},
      {"deadLetter", dead_letter(out.dead_letter)},
  });
}

Read whole(Config& config) {
  return map({
      {"http", http(config.http)},
      {"kubernetes", kubernetes(config.kubernetes)},
      {"leaderElection", leader_election(config.leader_election)},
      {"reconcile", reconcile(config.reconcile)},
      {"rabbitmq", rabbitmq(config.rabbitmq)},
      {"builds", builds(config.builds)},
      {"shutdownTimeout", duration(config.shutdown_timeout, milliseconds(1), minutes(10))},
      {"log", map({{"level", log_level(config.log_level)}})},
  });
}

// The Lease says its duration in whole seconds.
bool is_whole_seconds(milliseconds duration) {
  return duration.count() % 1000 == 0;
}

void check_together(const LeaderElection& lease, Report& report) {
  if (!is_whole_seconds(lease.lease_duration)) {
    report.contradiction({"leaderElection.leaseDuration"}, "accepted: whole seconds");
  }
  if (lease.renew_deadline >= lease.lease_duration) {
    report.contradiction({"leaderElection.renewDeadline", "leaderElection.leaseDuration"},
                         "leaderElection.renewDeadline is " + base::format_duration(lease.renew_deadline) +
                             "; accepted: less than leaderElection.leaseDuration, " +
                             base::format_duration(lease.lease_duration));
  }
  if (lease.retry_period >= lease.renew_deadline) {
    report.contradiction({"leaderElection.retryPeriod", "leaderElection.renewDeadline"},
                         "leaderElection.retryPeriod is " + base::format_duration(lease.retry_period) +
                             "; accepted: less than leaderElection.renewDeadline, " +
                             base::format_duration(lease.renew_deadline));
  }
}

void check_together(const DeadLetters& letters, Report& report) {
  if (!letters.uri.empty() && !letters.uri_file.empty()) {
    report.contradiction({"builds.deadLetter.uri", "builds.deadLetter.uriFile"},
                         "both uri and uriFile are given; accepted: one of them");
  }
  if (letters.enabled && letters.uri.empty() && letters.uri_file.empty()) {
    report.contradiction({"builds.deadLetter.enabled"},
                         "found true, but neither uri nor uriFile is given; accepted: with one of them");
  }
}

}  // namespace

tl::expected<Config, std::vector<Problem>> parse(std::string_view yaml, const std::string& file) {
  const auto document = parse_file(yaml, file);
  if (!document) return tl::unexpected(document.error());
  Config config;
  Report report(file);
  read_document(*document, whole(config), report);
  check_together(config.leader_election, report);
  check_together(config.builds.dead_letter, report);
  std::vector<Problem> problems = report.take();
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return config;
}

tl::expected<Config, std::vector<Problem>> load(const std::string& file) {
  auto config = read_file(file).and_then([&file](const std::string& yaml) { return parse(yaml, file); });
  if (!config || config->rabbitmq.ca_file.empty()) return config;
  auto ca_pem = read_file(config->rabbitmq.ca_file);
  if (!ca_pem) return tl::unexpected(std::move(ca_pem.error()));
  config->rabbitmq.ca_pem = std::move(*ca_pem);
  return config;
}

}  // namespace lambda::config
