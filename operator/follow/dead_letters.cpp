#include "follow/dead_letters.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "amqp/publisher.h"

namespace lambda::follow {
namespace {

using amqp::Confirmation;
using amqp::Ending;
using base::ErrorKind;
using base::Result;

constexpr base::milliseconds patience{10'000};

amqp::PublisherSettings settings_of(const DeadLetterSettings& settings) {
  amqp::PublisherSettings out;
  out.connection.uri = amqp::uri_from(settings.uri, settings.uri_file);
  out.connection.ca_file = settings.ca_file;
  out.connection.name = "knative-lambda-operator dead letters";
  return out;
}

// Held by the publisher's thread and by the one that waits: either may leave first.
struct Waiting {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<Confirmation> confirmation;
};

}  // namespace

class DeadLetters::Impl {
 public:
  Impl(DeadLetterSettings settings, base::WriteGuard may_write, metrics::Registry& registry, base::Log& log)
      : settings_(std::move(settings)),
        may_write_(std::move(may_write)),
        confirmed_(counter(registry, "confirmed")),
        failed_(counter(registry, "failed")),
        publisher_(settings_of(settings_), log) {}

  Result<void> send(const build::DeadLetter& letter, const std::stop_token& stop) {
    const amqp::Message message = build::to_message(letter);
    auto confirmation = publish(settings_.exchange, settings_.routing_key, message, stop);
    if (confirmation.ending == Ending::no_exchange || confirmation.ending == Ending::returned) {
      confirmation = publish("", settings_.queue, message, stop);  // the default exchange
    }
    if (confirmation.ending == Ending::confirmed) {
      confirmed_.Increment();
      return {};
    }
    failed_.Increment();
    return base::fail(ErrorKind::unavailable,
                      "RabbitMQ has not taken the dead letter: " + base::describe(confirmation.error));
  }

 private:
  static prometheus::Counter& counter(metrics::Registry& registry, const char* outcome) {
    return registry.counter("operator_build_dead_letters_total",
                            "Failed builds as dead letters, by what became of them", {{"outcome", outcome}});
  }

  Confirmation publish(const std::string& exchange, const std::string& routing_key,
                       const amqp::Message& message, const std::stop_token& stop) {
    const auto timeout = base::write_timeout(may_write_, patience);
    if (!timeout) return {Ending::unavailable, timeout.error()};
    const auto waiting = std::make_shared<Waiting>();
    publisher_.publish(exchange, routing_key, message, base::Clock::now() + *timeout,
                       [waiting](Confirmation confirmation) {
                         const std::lock_guard lock(waiting->mutex);
                         waiting->confirmation = std::move(confirmation);
                         waiting->changed.notify_all();
                       });
    std::unique_lock lock(waiting->mutex);
    if (waiting->changed.wait(lock, stop, [&] { return waiting->confirmation.has_value(); })) {
      return *waiting->confirmation;
    }
    return {Ending::unavailable, {.kind = ErrorKind::unavailable, .message = "shutting down", .field = {}}};
  }

  const DeadLetterSettings settings_;
  const base::WriteGuard may_write_;
  prometheus::Counter& confirmed_;
  prometheus::Counter& failed_;
  amqp::Publisher publisher_;
};

DeadLetters::DeadLetters(DeadLetterSettings settings, base::WriteGuard may_write, metrics::Registry& registry,
                         base::Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(may_write), registry, log)) {}
DeadLetters::~DeadLetters() = default;

Result<void> DeadLetters::send(const build::DeadLetter& letter, const std::stop_token& stop) {
  return impl_->send(letter, stop);
}

}  // namespace lambda::follow
