#include "config/config.h"

#include <array>

#include "config/auth_section.h"
#include "config/build_section.h"
#include "config/checks.h"
#include "config/tokens_file.h"
#include "yaml/checks.h"
#include "yaml/document.h"
#include "yaml/fields.h"
#include "yaml/file.h"

namespace lambda::config {

using namespace yaml;
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr std::size_t path_max_bytes = 4096;

// AMQP 0-9-1 names are short strings.
constexpr std::size_t amqp_name_max_bytes = 255;

Read http(Http& out) {
  constexpr long long kib = 1024;
  constexpr long long mib = 1024 * kib;
  constexpr milliseconds least{1};
  constexpr milliseconds most = minutes(10);
  return map({
      {"address", text(out.address, check_ip_address)},
      {"port", integer(out.port, 0, 65535)},
      {"adminPort", integer(out.admin_port, 0, 65535)},
      {"maxBodyBytes", integer(out.max_body_bytes, kib, 64 * mib)},
      {"maxTotalBodyBytes", integer(out.max_total_body_bytes, 2 * kib, 16 * kib * mib)},
      {"maxHeaderBytes", integer(out.max_header_bytes, kib, mib)},
      {"maxConnections", integer(out.max_connections, 1, 65535)},
      {"headerTimeout", duration(out.header_timeout, least, most)},
      {"bodyTimeout", duration(out.body_timeout, least, most)},
      {"idleTimeout", duration(out.idle_timeout, least, most)},
      {"requestTimeout", duration(out.request_timeout, least, most)},
  });
}

Read kubernetes(Kubernetes& out) {
  return map({
      {"kubeconfig", text(out.kubeconfig, printable(0, path_max_bytes))},
      {"requestTimeout", duration(out.request_timeout, milliseconds(1), minutes(10))},
  });
}

Read weights(std::map<std::string, double, std::less<>>& out) {
  constexpr std::size_t tenant_max_bytes = 256;
  return entries(10'000, printable(1, tenant_max_bytes), [&out](const std::string& tenant) -> Read {
    return [&weight = out[tenant]](const Value& value) {
      weight = static_cast<double>(integer_of(value, 1, 1000).value_or(1));
    };
  });
}

Read async_job_creator(AsyncJobCreator& out) {
  return map({
      {"workerCount", integer(out.worker_count, 1, 256)},
      {"maxRetries", integer(out.max_retries, 0, 20)},
      {"retryDelay", duration(out.retry_delay, milliseconds(1), minutes(1))},
      {"maxQueueSize", integer(out.max_queue_size, 1, 100'000)},
      {"maxQueuePerTenant", integer(out.max_queue_per_tenant, 1, 100'000)},
      {"priorityStep", duration(out.priority_step, milliseconds(10), hours(1))},
      {"tenantWeights", weights(out.tenant_weights)},
      {"acknowledge", word({{"durable", [&out] { out.acknowledge = Acknowledge::durable; }},
                            {"immediate", [&out] { out.acknowledge = Acknowledge::immediate; }}})},
      {"shutdownTimeout", duration(out.shutdown_timeout, milliseconds(1), minutes(10))},
  });
}

Read accepted_flows(Intake& out) {
  return [&out](const Value& value) {
    out.accept_direct = out.accept_queue = false;
    const Read flow = word({{"direct", [&out] { out.accept_direct = true; }},  //
                            {"queue", [&out] { out.accept_queue = true; }}});
    list(1, 2, flow)(value);
  };
}

Read intake(Intake& out) {
  constexpr std::size_t sources_max = 64;
  return map({
      {"accept", accepted_flows(out)},
      {"queueSources", texts(out.queue_sources, 1, sources_max, check_event_source)},
      {"respondAsync", boolean(out.respond_async)},
      {"amqp", map({{"enabled", boolean(out.amqp.enabled)},  //
                    {"prefetch", integer(out.amqp.prefetch, 1, 65535)},
                    {"maxHeld", integer(out.amqp.max_held, 0, 65535)}})},
      {"auth", auth(out.auth)},
  });
}

/// What the document's block says beyond what the builder needs: checked, so that a mistake shows, and
/// forgotten.
struct ForOthers {
  std::string text;
  bool flag = false;
  long long number = 0;
};

Read rabbitmq_queue(RabbitMq& out, ForOthers& others) {
  constexpr long long year_ms = 365LL * 24 * 3600 * 1000;
  return map({
      {"name", text(out.queue, printable(1, amqp_name_max_bytes))},
      {"durable", boolean(others.flag)},
      {"autoDelete", boolean(others.flag)},
      {"messageTtl", integer(others.number, 1, year_ms)},
      {"maxLength", integer(others.number, 1, 1'000'000'000)},
      // reject-publish-dlx, RabbitMQ's third word, acts as drop-head on a quorum queue.
      {"overflow", word({{"drop-head", [] {}}, {"reject-publish", [] {}}})},
  });
}

Read rabbitmq(RabbitMq& out, ForOthers& others) {
  const Check name = printable(1, amqp_name_max_bytes);
  return map({
      {"clusterName", text(others.text, check_dns_subdomain)},
      {"namespace", text(others.text, check_dns_label)},
      {"connectionSecretName", text(others.text, check_dns_subdomain)},
      {"uri", text(out.uri, empty_or(check_amqp_uri))},
      {"uriFile", text(out.uri_file, printable(0, path_max_bytes))},
      {"queues", map({{"kanikoJobs", rabbitmq_queue(out, others)}})},
      {"deadLetter", map({{"exchange", text(out.dead_letter_exchange, name)},
                          {"routingKey", text(out.dead_letter_routing_key, name)},
                          {"queue", text(out.dead_letter_queue, name)}})},
  });
}

Read whole(Config& config, ForOthers& others) {
  return map({
      {"http", http(config.http)},
      {"kubernetes", kubernetes(config.kubernetes)},
      {"asyncJobCreator", async_job_creator(config.async_job_creator)},
      {"intake", intake(config.intake)},
      {"rabbitmq", rabbitmq(config.rabbitmq, others)},
      {"build", read_build(config.build)},
      {"log", map({{"level", log_level(config.log_level)}})},
  });
}

void check_together(const Config& config, Report& report) {
  const Http& http = config.http;
  if (http.admin_port != 0 && http.admin_port == http.port) {
    report.contradiction({"http.adminPort", "http.port"},
                         "found " + std::to_string(http.port) +
                             " for both http.port and http.adminPort; accepted: " +
                             "two ports, or 0 as adminPort to serve everything on one");
  }
  // Else one request alone could go beyond, be told to come back, and never be any smaller.
  if (http.max_total_body_bytes < 2 * (http.max_body_bytes + http.max_header_bytes)) {
    report.contradiction({"http.maxTotalBodyBytes", "http.maxBodyBytes", "http.maxHeaderBytes"},
                         "http.maxTotalBodyBytes is " + std::to_string(http.max_total_body_bytes) +
                             "; accepted: at least twice http.maxBodyBytes and http.maxHeaderBytes, " +
                             std::to_string(http.max_body_bytes) + " and " +
                             std::to_string(http.max_header_bytes));
  }
  check_build(config.build, report);
  const RabbitMq& rabbit = config.rabbitmq;
  if (!rabbit.uri.empty() && !rabbit.uri_file.empty()) {
    report.contradiction({"rabbitmq.uri", "rabbitmq.uriFile"},
                         "both rabbitmq.uri and rabbitmq.uriFile are given; accepted: one of them");
  }
  if (config.intake.amqp.enabled && !config.intake.accept_queue) {
    // Else all that it consumes would be dead-lettered.
    report.contradiction({"intake.amqp.enabled", "intake.accept"},
                         "intake.amqp.enabled is true, but intake.accept has no queue; accepted: with queue");
  }
  if (config.intake.amqp.enabled && !rabbit.configured()) {
    report.contradiction(
        {"intake.amqp.enabled"},
        "found true, but neither rabbitmq.uri nor rabbitmq.uriFile is given; accepted: with one of them");
  }
}

}  // namespace

tl::expected<Config, std::vector<Problem>> parse(std::string_view yaml, const std::string& file) {
  const auto document = parse_file(yaml, file);
  if (!document) return tl::unexpected(document.error());

  Config config;
  ForOthers others;
  Report report(file);
  read_document(*document, whole(config, others), report);
  check_together(config, report);
  std::vector<Problem> problems = report.take();
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return config;
}

tl::expected<Config, std::vector<Problem>> load(const std::string& file) {
  const auto yaml = read_file(file);
  if (!yaml) return tl::unexpected(yaml.error());
  auto config = parse(*yaml, file);
  if (!config || config->intake.auth.mode != Auth::Mode::bearer) return config;
  auto tokens = load_tokens(config->intake.auth.tokens_file);
  if (!tokens) return tl::unexpected(std::move(tokens.error()));
  return config;
}

}  // namespace lambda::config
