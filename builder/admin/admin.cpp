#include "admin/admin.h"

#include <array>
#include <cstdlib>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace lambda::admin {
namespace {

http::Response json_response(unsigned status, const nlohmann::json& body) {
  http::Response response;
  response.status = status;
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

nlohmann::json to_json(const deadletter::Stats& stats) {
  nlohmann::json json{{"connected", stats.connected},
                      {"blocked", stats.blocked},
                      {"sent", stats.sent},
                      {"failed", stats.failed}};
  if (!stats.last_error.empty()) json["last_error"] = stats.last_error;
  return json;
}

nlohmann::json to_json(const intake::ConsumerStats& stats) {
  nlohmann::json json{{"state", stats.state},
                      {"in_hand", stats.in_hand},
                      {"held", stats.held},
                      {"received", stats.received},
                      {"acknowledged", stats.acknowledged}};
  if (!stats.last_error.empty()) json["last_error"] = stats.last_error;
  return json;
}

nlohmann::json to_json(const pool::Stats& stats, const std::string& replica) {
  nlohmann::json json{{"worker_count", stats.worker_count},
                      {"queue_size", stats.queue_size},
                      {"max_queue_size", stats.max_queue_size},
                      {"results_count", stats.created + stats.duplicates + stats.refused + stats.unavailable},
                      {"is_shutdown", stats.draining},
                      {"replica", replica},
                      {"active", stats.active},
                      {"waiting_for_retry", stats.waiting_for_retry},
                      {"created", stats.created},
                      {"duplicates", stats.duplicates},
                      {"refused", stats.refused},
                      {"unavailable", stats.unavailable},
                      {"retries", stats.retries},
                      {"jobs_per_second", stats.ended_per_second},
                      {"tenants_in_queue", stats.tenants},
                      {"breaker", stats.breaker},
                      {"version", LAMBDA_VERSION}};
  nlohmann::json& depths = json["queue_size_by_tenant"] = nlohmann::json::object();
  for (const auto& [tenant, held] : stats.deepest_tenants) depths[tenant] = held;
  if (stats.oldest_age) json["oldest_age_seconds"] = std::chrono::duration<double>(*stats.oldest_age).count();
  if (!stats.last_error.empty())
    json["last_error"] = {{"message", stats.last_error}, {"time", stats.last_error_at}};
  return json;
}

}  // namespace

void add_routes(http::Router& router, const Sources& sources, const metrics::Registry& registry,
                const std::string& replica) {
  const auto get = [&router](const char* path, std::function<http::Response(const http::Request&)> answer) {
    router.add("GET", path, http::immediate(std::move(answer)));
  };
  get("/async-jobs/stats", [sources, replica](const http::Request&) {
    nlohmann::json json = to_json(sources.pool.stats(), replica);
    if (sources.dead_letters != nullptr) json["dead_letters"] = to_json(sources.dead_letters->stats());
    if (sources.consumer != nullptr) json["amqp"] = to_json(sources.consumer->stats());
    return json_response(200, json);
  });
  get("/metrics", [&registry](const http::Request&) {
    http::Response response;
    response.content_type = metrics::Registry::content_type;
    response.body = registry.exposition();
    return response;
  });
  for (const char* path : {"/health", "/healthz"}) {
    get(path, [](const http::Request&) { return json_response(200, {{"status", "ok"}}); });
  }
  get("/readyz", [sources](const http::Request&) {
    const bool draining = sources.pool.draining();
    return json_response(draining ? 503 : 200, {{"status", draining ? "draining" : "ok"}});
  });
}

std::string replica_name() {
  if (const char* pod = std::getenv("POD_NAME"); pod != nullptr && *pod != '\0') return pod;
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("unknown");
}

}  // namespace lambda::admin
