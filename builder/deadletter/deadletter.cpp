#include "deadletter/deadletter.h"

#include <optional>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "amqp/publisher.h"
#include "deadletter/metrics.h"

namespace lambda::deadletter {
namespace {

namespace asio = boost::asio;
using base::ErrorKind;
using base::TimePoint;

amqp::PublisherSettings settings_of(const Settings& settings) {
  amqp::PublisherSettings out;
  out.connection.uri = amqp::uri_from(settings.uri, settings.uri_file);
  out.connection.name = "knative-lambda-builder dead letters";
  return out;
}

// A publication on its way between the two threads, held by both: either may leave first.
struct Waiting {
  explicit Waiting(const asio::any_io_executor& executor) : done(executor, TimePoint::max()) {}

  std::optional<amqp::Confirmation> confirmation;  // decides; `done` only wakes
  asio::steady_timer done;
};

}  // namespace

class DeadLetters::Impl {
 public:
  Impl(asio::any_io_executor executor, Settings settings, base::Log& log, metrics::Registry& registry)
      : executor_(std::move(executor)),
        settings_(std::move(settings)),
        metrics_(registry),
        publisher_(std::make_unique<amqp::Publisher>(settings_of(settings_), log)) {}

  // What is on its way ends as unavailable; its coroutines hear of it when the executor goes on.
  void stop() { publisher_.reset(); }

  asio::awaitable<base::Result<void>> send(build::DeadLetter letter, TimePoint deadline);
  Stats stats() const;

 private:
  asio::awaitable<amqp::Confirmation> publish(std::string exchange, std::string routing_key,
                                              amqp::Message message, TimePoint deadline);

  asio::any_io_executor executor_;
  const Settings settings_;
  Metrics metrics_;
  std::uint64_t sent_ = 0;
  std::uint64_t failed_ = 0;
  std::string last_error_;
  std::unique_ptr<amqp::Publisher> publisher_;  // none once stopped
};

asio::awaitable<amqp::Confirmation> DeadLetters::Impl::publish(std::string exchange, std::string routing_key,
                                                               amqp::Message message, TimePoint deadline) {
  if (!publisher_) {
    const amqp::Confirmation stopping{amqp::Ending::unavailable,
                                      base::Error{ErrorKind::unavailable, "shutting down", ""}};
    co_return stopping;
  }
  const auto waiting = std::make_shared<Waiting>(executor_);
  publisher_->publish(std::move(exchange), std::move(routing_key), std::move(message), deadline,
                      [waiting, executor = executor_](amqp::Confirmation confirmation) {
                        asio::post(executor, [waiting, confirmation = std::move(confirmation)]() mutable {
                          waiting->confirmation = std::move(confirmation);
                          waiting->done.cancel();
                        });
                      });
  while (!waiting->confirmation) {  // it comes, at the deadline at the latest
    boost::system::error_code ignored;
    co_await waiting->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::move(*waiting->confirmation);
}

asio::awaitable<base::Result<void>> DeadLetters::Impl::send(build::DeadLetter letter, TimePoint deadline) {
  const amqp::Message message = build::to_message(letter);
  amqp::Confirmation confirmation =
      co_await publish(settings_.exchange, settings_.routing_key, message, deadline);
  if (confirmation.ending == amqp::Ending::no_exchange || confirmation.ending == amqp::Ending::returned) {
    confirmation = co_await publish("", settings_.queue, message, deadline);  // the default exchange
  }
  if (confirmation.ending == amqp::Ending::confirmed) {
    ++sent_;
    metrics_.sent(letter.stage, letter.reason).Increment();
    co_return base::Result<void>();
  }
  ++failed_;
  last_error_ = base::describe(confirmation.error);
  metrics_.failed(confirmation.ending).Increment();
  const ErrorKind kind =
      confirmation.error.kind == ErrorKind::timeout ? ErrorKind::timeout : ErrorKind::unavailable;
  co_return base::fail(kind, "RabbitMQ has not taken it: " + last_error_);
}

Stats DeadLetters::Impl::stats() const {
  const amqp::PublisherState state = publisher_ ? publisher_->state() : amqp::PublisherState{};
  Stats out{state.connected, state.blocked, sent_, failed_, state.last_error};
  if (out.last_error.empty()) out.last_error = last_error_;
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------

DeadLetters::DeadLetters(asio::any_io_executor executor, const Settings& settings, base::Log& log,
                         metrics::Registry& registry)
    : impl_(std::make_shared<Impl>(std::move(executor), settings, log, registry)) {}

DeadLetters::~DeadLetters() {
  impl_->stop();
}

asio::awaitable<base::Result<void>> DeadLetters::send(build::DeadLetter letter, TimePoint deadline) {
  const auto impl = impl_;
  co_return co_await impl->send(std::move(letter), deadline);
}

Stats DeadLetters::stats() const {
  return impl_->stats();
}

}  // namespace lambda::deadletter
