// knative-lambda-operator: the table of contents.
//
//   lead (a Lease) -> watch (JobQueues, redrives, what was made for them) -> reconcile -> Kubernetes,
//   RabbitMQ
//                  -> follow (the builder's Jobs) -> release, watch over, tell
//
// One thread serves metrics and probes. Whoever leads has, besides, a thread for each watch, and those that
// reconcile; they are made when it begins to lead, and end with its term.

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "commandline/commandline.h"
#include "config/config.h"
#include "follow/follow.h"
#include "http/router.h"
#include "http/server.h"
#include "kube/api.h"
#include "kube/cluster.h"
#include "kube/rest_client.h"
#include "lint/lint.h"
#include "metrics/registry.h"
#include "rabbitmq/snapshots.h"
#include "reconcile/connections.h"
#include "reconcile/job_queue.h"
#include "reconcile/redrive.h"
#include "reconcile/watches.h"
#include "runtime/controller.h"
#include "runtime/event_recorder.h"
#include "runtime/leader.h"

namespace {

namespace asio = boost::asio;
using namespace lambda;

enum Exit { exit_ok = 0, exit_failed = 1, exit_bad_usage = 2 };

// So long an answer about an object that is not watched is believed.
constexpr base::milliseconds lookup_max_age{10'000};
constexpr base::milliseconds lookup_error_max_age{2'000};

constexpr base::milliseconds retry_delay{500};  // before the first retry of a JobQueue

std::string replica_name() {
  if (const char* const pod = std::getenv("POD_NAME"); pod != nullptr && *pod != '\0') return pod;
  return "operator";
}

// Unlike any other process's, one of the same pod that was restarted too.
std::string make_identity() {
  std::random_device random;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string suffix;
  for (int i = 0; i < 8; ++i) suffix += digits[random() % digits.size()];
  return replica_name() + "_" + suffix;
}

// What there is only while we lead: it begins with the term and ends with it.
void lead(const config::Config& config, const std::shared_ptr<kube::RestClient>& client,
          const base::WriteGuard& may_write, metrics::Registry& registry, base::Log& log,
          const std::stop_token& stop) {
  const kube::Api api(client, config.kubernetes.request_timeout, may_write);
  runtime::EventRecorder events({.instance = replica_name()}, api, registry, log);
  reconcile::Lookups lookups(api, lookup_max_age, lookup_error_max_age);
  reconcile::Connections connections(lookups, config.rabbitmq.ca_pem);
  rabbitmq::Snapshots snapshots(config.rabbitmq.request_timeout, may_write);

  // The watches feed the controllers, whose reconcilers read the watches.
  std::unique_ptr<reconcile::JobQueues> job_queues;
  std::unique_ptr<reconcile::Redrives> redrives;
  const runtime::RetryLimits retries{.backoff = {retry_delay, config.reconcile.max_retry_delay}};
  runtime::Controller job_queue_controller(
      {.kind = "JobQueue", .threads = config.reconcile.workers, .retries = retries},
      [&](const api::ObjectKey& key, const std::stop_token& work) {
        return job_queues->reconcile(key, work);
      },
      registry, log);
  runtime::Controller redrive_controller(
      {.kind = "DeadLetterRedrive", .threads = config.reconcile.redrives, .retries = retries},
      [&](const api::ObjectKey& key, const std::stop_token& work) { return redrives->reconcile(key, work); },
      registry, log);
  // Builds need no JobQueue, and the other way round.
  const std::jthread following([&] {
    if (!config.builds.enabled) return;
    follow::run(config.builds, config.rabbitmq.ca_file, {api, client, may_write, registry, log}, stop);
  });
  const reconcile::WatchHandlers handlers{
      .on_job_queue = [&](const api::ObjectKey& key) { job_queue_controller.queue().add(key); },
      .on_redrive = [&](const api::ObjectKey& key) { redrive_controller.queue().add(key); },
      .on_child =
          [&](const std::optional<api::ObjectKey>& job_queue) {
            if (job_queue) job_queue_controller.queue().add(*job_queue);
          }};
  const reconcile::Watches watches(config.kubernetes.watch_namespace, handlers, client, registry, log);
  const reconcile::Tools tools{api, watches, lookups, connections, snapshots, events, registry, log};
  job_queues = std::make_unique<reconcile::JobQueues>(tools);
  redrives = std::make_unique<reconcile::Redrives>(tools, config.rabbitmq.ca_file, may_write);

  if (!watches.wait_until_synced(stop)) return;
  const std::jthread redriving([&] { redrive_controller.run(stop); });
  job_queue_controller.run(stop);
}

// Term after term, until `stop`.
void take_part(const config::Config& config, const kube::Cluster& cluster, metrics::Registry& registry,
               base::Log& log, const std::stop_token& stop) {
  const auto client = std::make_shared<kube::RestClient>(cluster, [&registry](std::string_view method) {
    registry
        .counter("operator_api_requests_total", "Requests to the API server; a watch is one.",
                 {{"method", std::string(method)}})
        .Increment();
  });
  const config::LeaderElection& lease = config.leader_election;
  runtime::LeaderElector elector({.lease = {.namespace_name = lease.namespace_name, .name = lease.name},
                                  .identity = make_identity(),
                                  .duration = lease.lease_duration,
                                  .renew_every = lease.retry_period,
                                  .margin = lease.lease_duration - lease.renew_deadline},
                                 client, registry, log);
  while (const auto term = elector.wait_until_leading(stop)) {
    const base::WriteGuard may_write = [&elector, &term] { return elector.may_write(*term); };
    std::jthread leading(
        [&](const std::stop_token& term_stop) { lead(config, client, may_write, registry, log, term_stop); });
    elector.wait_until_lost(*term, stop);
    leading.request_stop();
    leading.join();
  }
}

http::Response text_response(std::string_view status) {
  http::Response response;
  response.body = "{\"status\":\"" + std::string(status) + "\"}\n";
  return response;
}

http::Router make_router(const metrics::Registry& registry) {
  http::Router router;
  router.add("GET", "/metrics", http::immediate([&registry](const http::Request&) {
               http::Response response;
               response.content_type = metrics::Registry::content_type;
               response.body = registry.exposition();
               return response;
             }));
  // A replica that waits for the Lease is as ready as the one that has it.
  for (const char* const path : {"/health", "/healthz", "/readyz"}) {
    router.add("GET", path, http::immediate([](const http::Request&) { return text_response("ok"); }));
  }
  return router;
}

// Serves until SIGTERM, while another thread takes part in the election and does the work.
Exit serve(const config::Config& config, const kube::Cluster& cluster, base::Log& log) {
  metrics::Registry registry;
  asio::io_context io(1);
  const http::Router router = make_router(registry);
  http::Server server(io.get_executor(), {},
                      [&router](http::Request request) { return router.handle(std::move(request)); });
  const auto port = server.listen(config.http.address, config.http.port);
  if (!port) {
    log.error(port.error().message);
    return exit_failed;
  }
  log.info(
      "listening for administration",
      {{"address", config.http.address}, {"port", std::to_string(*port)}, {"api_server", cluster.url()}});
  std::jthread work([&](const std::stop_token& stop) {
    take_part(config, cluster, registry, log, stop);
    asio::post(io, [&io] { io.stop(); });
  });
  asio::signal_set signals(io, SIGTERM, SIGINT);
  asio::steady_timer too_late(io);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    log.info("draining", {{"reason", "signal"}});
    work.request_stop();
    too_late.expires_after(config.shutdown_timeout);
    too_late.async_wait([&](const boost::system::error_code& cancelled) {
      if (cancelled) return;
      log.error("did not end in time");
      std::_Exit(exit_failed);  // what was under way is found again by whoever leads next
    });
  });
  io.run();
  work.join();
  log.info("stopped");
  return exit_ok;
}

Exit run(const config::Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  base::Log log(config.log_level);
  log.info("starting", {{"version", LAMBDA_VERSION}});
  const auto cluster = config.kubernetes.kubeconfig.empty()
                           ? kube::in_cluster(std::getenv)
                           : kube::load_kubeconfig(config.kubernetes.kubeconfig);
  if (!cluster) {
    log.error("no access to a Kubernetes API", {{"error", base::describe(cluster.error())}});
    return exit_failed;
  }
  return serve(config, *cluster, log);
}

Exit check_or_run(const commandline::Options& options) {
  const auto config = config::load(options.config_file);
  if (!config) {
    for (const config::Problem& problem : config.error()) {
      std::fprintf(stderr, "%s\n", config::to_string(problem).c_str());
    }
    return exit_bad_usage;
  }
  if (options.action == commandline::Options::Action::check_config) {
    std::printf("%s: ok\n", options.config_file.c_str());
    return exit_ok;
  }
  return run(*config);
}

}  // namespace

int main(int argc, char* argv[]) {
  const auto options = commandline::parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "knative-lambda-operator: %s\n", options.error().message.c_str());
    return exit_bad_usage;
  }
  using Action = commandline::Options::Action;
  switch (options->action) {
    case Action::help:
      std::fputs(commandline::help().c_str(), stdout);
      return exit_ok;
    case Action::version:
      std::puts("knative-lambda-operator " LAMBDA_VERSION);
      return exit_ok;
    case Action::lint:
      return lint::run(options->files, options->strict, std::cout, std::cerr);
    case Action::check_config:
    case Action::run:
      break;
  }
  return check_or_run(*options);
}
