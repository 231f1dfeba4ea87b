// knative-lambda-builder: the table of contents.
//
//   http (bounded) or amqp -> intake (decode, check) -> pool (queue, workers) -> kube (create) -> answer
//                                  \ what can never succeed -> deadletter
//
// Everything but the log's writer, the preflight and the two connections to RabbitMQ runs on this one thread.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sched.h>
#include <sys/resource.h>

#include "admin/admin.h"
#include "auth/authenticator.h"
#include "base/log.h"
#include "commandline/commandline.h"
#include "config/config.h"
#include "deadletter/deadletter.h"
#include "http/router.h"
#include "http/server.h"
#include "intake/consumer.h"
#include "intake/reception.h"
#include "intake/sink.h"
#include "job/job.h"
#include "kube/cluster.h"
#include "kube/connection.h"
#include "metrics/registry.h"
#include "pool/pool.h"
#include "preflight/preflight.h"

namespace {

namespace asio = boost::asio;
using namespace lambda;

enum Exit { exit_ok = 0, exit_failed = 1, exit_bad_usage = 2 };

// After the pool has given up, its answers still have to reach their clients.
constexpr base::milliseconds last_answers_max{1'000};

http::Limits limits_of(const config::Http& settings) {
  return {.max_body_bytes = settings.max_body_bytes,
          .max_total_body_bytes = settings.max_total_body_bytes,
          .max_header_bytes = settings.max_header_bytes,
          .max_connections = settings.max_connections,
          .header_timeout = settings.header_timeout,
          .body_timeout = settings.body_timeout,
          .idle_timeout = settings.idle_timeout};
}

http::Handler handler_of(const http::Router& router) {
  return [&router](http::Request request) { return router.handle(std::move(request)); };
}

http::Refusal refusal_of(intake::Sink& sink) {
  return [&sink](unsigned status, const base::Error& error, const http::Headers& headers) {
    return sink.refuse_request(status, error, headers);
  };
}

base::Result<kube::Cluster> find_cluster(const config::Kubernetes& settings) {
  return settings.kubeconfig.empty() ? kube::in_cluster(std::getenv)
                                     : kube::load_kubeconfig(settings.kubeconfig);
}

// Null where the configuration names no RabbitMQ.
std::unique_ptr<deadletter::DeadLetters> make_dead_letters(const asio::any_io_executor& executor,
                                                           const config::RabbitMq& rabbitmq, base::Log& log,
                                                           metrics::Registry& registry) {
  if (!rabbitmq.configured()) return nullptr;
  deadletter::Settings settings;
  settings.uri = rabbitmq.uri;
  settings.uri_file = rabbitmq.uri_file;
  settings.exchange = rabbitmq.dead_letter_exchange;
  settings.routing_key = rabbitmq.dead_letter_routing_key;
  settings.queue = rabbitmq.dead_letter_queue;
  return std::make_unique<deadletter::DeadLetters>(executor, settings, log, registry);
}

std::unique_ptr<intake::Consumer> make_consumer(const asio::any_io_executor& executor,
                                                const config::Config& config, pool::Pool& pool,
                                                intake::Reception& reception, base::Log& log) {
  if (!config.intake.amqp.enabled) return nullptr;
  return std::make_unique<intake::Consumer>(executor, config, pool, reception, log);
}

// The program, wired. Members are in the order of the flow; what is used stands before its user.
class Builder {
 public:
  Builder(const config::Config& config, const kube::Cluster& cluster,
          const std::shared_ptr<kube::Endpoint>& endpoint, base::Log& log)
      : config_(config),
        cluster_(cluster),
        log_(log),
        pool_(io_.get_executor(), config.async_job_creator, config.kubernetes.request_timeout, endpoint,
              job::JobMaker(config.build).make_reference(), log, registry_),
        dead_letters_(make_dead_letters(io_.get_executor(), config.rabbitmq, log, registry_)),
        reception_(io_.get_executor(), config_, pool_, dead_letters_.get(), log, registry_),
        authenticator_(io_.get_executor(), config_.intake.auth, endpoint, log),
        sink_(io_.get_executor(), config_, authenticator_, reception_),
        consumer_(make_consumer(io_.get_executor(), config_, pool_, reception_, log)),
        sink_server_(io_.get_executor(), limits_of(config.http), handler_of(sink_router_), refusal_of(sink_)),
        admin_server_(io_.get_executor(), limits_of(config.http), handler_of(admin_router_)),
        signals_(io_, SIGTERM, SIGINT) {
    const auto receive = [this](http::Request request) { return sink_.receive(std::move(request)); };
    for (const char* path : {"/", "/events"}) {
      sink_router_.add("POST", path, receive);
      sink_router_.add("OPTIONS", path, http::immediate(intake::Sink::handshake));
    }
    const bool own_port = config.http.admin_port != 0;
    const admin::Sources sources{pool_, dead_letters_.get(), consumer_.get()};
    admin::add_routes(own_port ? admin_router_ : sink_router_, sources, registry_, admin::replica_name());
  }

  Exit run() {
    if (!listen()) return exit_failed;
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) shut_down("signal");
    });
    const preflight::Preflight preflight(config_, cluster_, log_, [this](const base::Error& error) {
      asio::post(io_, [this, error] {
        log_.error("the configuration makes Jobs that the Kubernetes API refuses",
                   {{"error", base::describe(error)}});
        exit_ = exit_bad_usage;
        shut_down("configuration");
      });
    });
    io_.run();
    log_.info("stopped");
    return exit_;
  }

 private:
  bool listen() {
    return listen_on(sink_server_, "listening for events", config_.http.port) &&
           (config_.http.admin_port == 0 ||
            listen_on(admin_server_, "listening for administration", config_.http.admin_port));
  }

  bool listen_on(http::Server& server, const char* what, std::uint16_t port) {
    const auto bound = server.listen(config_.http.address, port);
    if (!bound) {
      log_.error(bound.error().message);
      return false;
    }
    log_.info(what, {{"address", config_.http.address},
                     {"port", std::to_string(*bound)},
                     {"api_server", cluster_.url()}});
    return true;
  }

  void shut_down(std::string_view reason) {
    if (draining_) return;
    draining_ = true;
    log_.info("draining", {{"reason", reason}});
    asio::co_spawn(io_, drain(), asio::detached);
  }

  // The pool refuses what is new and ends what it has; the servers and the consumer hand on how it ended, so
  // they drain beside it.
  asio::awaitable<void> drain() {
    const base::milliseconds time = config_.async_job_creator.shutdown_timeout;
    const base::TimePoint end = base::Clock::now() + time;
    const base::TimePoint last_answers = end - std::min(last_answers_max, time / 2);
    asio::co_spawn(io_, pool_.drain(last_answers), asio::detached);
    asio::co_spawn(io_, drain_consumer(last_answers), asio::detached);
    co_await sink_server_.drain(end);
    boost::system::error_code ignored;
    co_await consumer_drained_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_await reception_.drain(end);
    co_await admin_server_.drain(end);
    io_.stop();
  }

  asio::awaitable<void> drain_consumer(base::TimePoint deadline) {
    if (consumer_) co_await consumer_->drain(deadline);
    consumer_drained_.expires_at(base::TimePoint::min());
  }

  const config::Config config_;
  const kube::Cluster cluster_;
  base::Log& log_;
  metrics::Registry registry_;
  asio::io_context io_{1};
  pool::Pool pool_;
  const std::unique_ptr<deadletter::DeadLetters> dead_letters_;
  intake::Reception reception_;
  auth::Authenticator authenticator_;
  intake::Sink sink_;
  const std::unique_ptr<intake::Consumer> consumer_;
  http::Router sink_router_;
  http::Router admin_router_;
  http::Server sink_server_;
  http::Server admin_server_;
  asio::signal_set signals_;
  asio::steady_timer consumer_drained_{io_, base::TimePoint::max()};  // expires when it has
  Exit exit_ = exit_ok;
  bool draining_ = false;
};

// Login shells often allow 1024 descriptors, which http.maxConnections alone may use up. Programs that use
// select() need so low a limit; this one does not.
void use_all_descriptors(base::Log& log) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log.warning("cannot raise the limit of file descriptors");
}

// An event that arrives does not interrupt what the processor is at: the builder is woken for several at a
// time, with its code and data once in the caches. On an idle processor nothing changes. sched(7),
// SCHED_BATCH.
void work_in_batches(base::Log& log) {
  const sched_param no_priority{};
  if (sched_setscheduler(0, SCHED_BATCH, &no_priority) != 0) log.warning("cannot work in batches");
}

Exit run(const config::Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  base::Log log(config.log_level);
  use_all_descriptors(log);
  work_in_batches(log);
  log.info("starting", {{"version", LAMBDA_VERSION}});
  const auto cluster = find_cluster(config.kubernetes);
  const auto endpoint =
      cluster.and_then([](const kube::Cluster& found) { return kube::Endpoint::make(found); });
  if (!endpoint) {
    log.error("no access to a Kubernetes API", {{"error", base::describe(endpoint.error())}});
    return exit_failed;
  }
  return Builder(config, *cluster, *endpoint, log).run();
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
    std::fprintf(stderr, "knative-lambda-builder: %s\n", options.error().message.c_str());
    return exit_bad_usage;
  }
  switch (options->action) {
    case commandline::Options::Action::help:
      std::fputs(commandline::help().c_str(), stdout);
      return exit_ok;
    case commandline::Options::Action::version:
      std::puts("knative-lambda-builder " LAMBDA_VERSION);
      return exit_ok;
    case commandline::Options::Action::check_config:
    case commandline::Options::Action::run:
      break;
  }
  return check_or_run(*options);
}
