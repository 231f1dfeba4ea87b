#include "intake/consumer.h"

#include <algorithm>
#include <array>
#include <list>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "amqp/consumer.h"
#include "auth/authenticator.h"
#include "base/backoff.h"
#include "cloudevents/amqp.h"

namespace lambda::intake {
namespace {

namespace asio = boost::asio;
using base::Clock;
using base::TimePoint;

// Between two tries of a delivery that is held.
const base::Backoff hold_backoff{base::milliseconds(1'000), base::milliseconds(30'000)};

// Beyond the prefetch, of their texts.
constexpr std::size_t max_held_bytes = std::size_t{16} << 20;

std::size_t size_of(const amqp::Message& message) {
  std::size_t bytes = message.body.size();
  for (const auto& [name, value] : message.headers) bytes += name.size() + value.size();
  return bytes;
}

using Timers = std::list<asio::steady_timer*>;

void wake(const Timers& timers) {
  for (asio::steady_timer* timer : timers) timer->cancel();
}

// The message as a dead letter keeps it, where it is no event. Properties that a dead letter has no place for
// stand among the headers, by their names in AMQP.
build::Undecodable undecodable(const amqp::Message& message) {
  build::Undecodable out;
  out.headers.assign(message.headers.begin(), message.headers.end());
  const std::array<std::pair<const char*, const std::string&>, 4> properties{
      {{"content-encoding", message.content_encoding},
       {"correlation-id", message.correlation_id},
       {"message-id", message.message_id},
       {"type", message.type}}};
  for (const auto& [name, value] : properties) {
    if (!value.empty()) out.headers.emplace_back(name, value);
  }
  out.content_type = message.content_type;
  out.body = message.body;
  return out;
}

auth::Principal everybody() {
  static const auto all = std::make_shared<const auth::Tenants>(auth::Tenants{true, {}});
  return {"", all};
}

amqp::ConsumerSettings settings_of(const config::Config& config) {
  amqp::ConsumerSettings settings;
  const config::RabbitMq& rabbitmq = config.rabbitmq;
  settings.connection.uri = amqp::uri_from(rabbitmq.uri, rabbitmq.uri_file);
  settings.connection.name = "knative-lambda-builder consumer";
  settings.queue = rabbitmq.queue;
  // What is in hand has to fit into the queue: more would only be held.
  const std::size_t capacity = config.async_job_creator.max_queue_size;
  settings.prefetch =
      static_cast<std::uint16_t>(std::min<std::size_t>(config.intake.amqp.prefetch, capacity));
  return settings;
}

}  // namespace

class Consumer::Impl : public std::enable_shared_from_this<Consumer::Impl> {
 public:
  Impl(asio::any_io_executor executor, const config::Config& config, pool::Pool& pool, Reception& reception,
       base::Log& log)
      : executor_(std::move(executor)),
        config_(config),
        pool_(pool),
        reception_(reception),
        log_(log),
        changed_(executor_, TimePoint::max()) {}

  void start() {
    amqp::ConsumerHandlers handlers;
    handlers.on_delivery = [self = weak_from_this(), executor = executor_](amqp::Delivery delivery) {
      asio::post(executor, [self, delivery = std::move(delivery)]() mutable {
        if (const auto alive = self.lock()) alive->begin(std::move(delivery));
      });
    };
    handlers.on_state = [self = weak_from_this(), executor = executor_](amqp::ConsumerState state,
                                                                        const std::string& detail) {
      asio::post(executor, [self, state, detail] {
        if (const auto alive = self.lock()) alive->note_state(state, detail);
      });
    };
    pool_.on_recovery([self = weak_from_this()] {
      if (const auto alive = self.lock()) alive->follow_the_api();
    });
    client_ = std::make_unique<amqp::Consumer>(settings_of(config_), std::move(handlers), log_);
  }

  void stop() {
    stopped_ = true;
    client_.reset();
  }

  asio::awaitable<void> drain(TimePoint deadline);
  ConsumerStats stats() const;

 private:
  void begin(amqp::Delivery delivery);
  void note_state(amqp::ConsumerState state, const std::string& detail);
  void follow_the_api();
  void consume(bool more);
  asio::awaitable<void> hold(amqp::Delivery delivery);
  bool set_aside(const amqp::Delivery& delivery, const Verdict& verdict);
  void release(const amqp::Delivery& delivery);
  base::Result<cloudevents::Event> decode(const amqp::Message& message) const;
  asio::awaitable<Verdict> take(const amqp::Message& message, Arrival arrival);
  asio::awaitable<void> pause(base::milliseconds length, Timers& among);

  asio::any_io_executor executor_;
  const config::Config& config_;
  pool::Pool& pool_;
  Reception& reception_;
  base::Log& log_;
  base::Random random_ = base::system_random();
  asio::steady_timer changed_;    // its cancel wakes drain() when a delivery has ended
  Timers pausing_;                // of deliveries that wait for their next try, and count in the prefetch
  Timers pausing_aside_;          // of those that do not
  std::uint64_t connection_ = 0;  // that the latest delivery came by; those of earlier ones come again
  std::size_t in_hand_ = 0;
  std::size_t held_ = 0;  // of them, beyond the prefetch
  std::size_t held_bytes_ = 0;
  bool draining_ = false;
  bool paused_ = false;
  bool stopped_ = false;
  std::unique_ptr<amqp::Consumer> client_;
};

void Consumer::Impl::begin(amqp::Delivery delivery) {
  if (draining_) return;  // not acknowledged: the queue gets it back
  if (delivery.token.connection > connection_) {
    connection_ = delivery.token.connection;
    wake(pausing_);
    wake(pausing_aside_);
  }
  ++in_hand_;
  follow_the_api();
  asio::co_spawn(executor_, hold(std::move(delivery)), asio::detached);
}

// Until it is safe. What came by a connection that was lost comes again, and is not held twice.
asio::awaitable<void> Consumer::Impl::hold(amqp::Delivery delivery) {
  const auto self = shared_from_this();
  const auto wanted = [this, &delivery] {
    return !stopped_ && !draining_ && delivery.token.connection == connection_;
  };
  Arrival arrival;
  arrival.first_time = std::chrono::system_clock::now();
  bool aside = false;
  for (; wanted(); ++arrival.earlier_attempts) {
    const Verdict verdict = co_await take(delivery.message, arrival);
    if (stopped_) break;
    follow_the_api();
    if (verdict.safe()) {
      client_->ack(delivery.token);
      break;
    }
    if (!wanted()) break;
    aside = aside || set_aside(delivery, verdict);
    const base::milliseconds least = verdict.error.retry_after.value_or(std::chrono::seconds(0));
    co_await pause(
        std::min(hold_backoff.limit, least) + hold_backoff.delay(arrival.earlier_attempts, random_),
        aside ? pausing_aside_ : pausing_);
  }
  if (aside) release(delivery);
  --in_hand_;
  // Somebody has to go on trying, or it would never be found out that the API server is back.
  if (paused_ && in_hand_ == 0 && !draining_ && !stopped_) consume(true);
  changed_.cancel();
}

// Whether it leaves its place in the prefetch to another.
bool Consumer::Impl::set_aside(const amqp::Delivery& delivery, const Verdict& verdict) {
  const std::size_t bytes = size_of(delivery.message);
  if (!verdict.others_pass || held_ >= config_.intake.amqp.max_held || held_bytes_ + bytes > max_held_bytes)
    return false;
  ++held_;
  held_bytes_ += bytes;
  client_->set_aside(delivery.token);
  return true;
}

void Consumer::Impl::release(const amqp::Delivery& delivery) {
  --held_;
  held_bytes_ -= size_of(delivery.message);
}

// No larger than by HTTP.
base::Result<cloudevents::Event> Consumer::Impl::decode(const amqp::Message& message) const {
  const std::size_t limit = config_.http.max_body_bytes;
  if (message.body.size() <= limit) return cloudevents::decode_amqp(message);
  return base::fail(base::ErrorKind::too_large, "the message has " + std::to_string(message.body.size()) +
                                                    " bytes; accepted: at most " + std::to_string(limit));
}

asio::awaitable<Verdict> Consumer::Impl::take(const amqp::Message& message, Arrival arrival) {
  arrival.flow = Flow::queue;
  arrival.principal = everybody();  // who may publish is RabbitMQ's to decide
  arrival.deadline = Clock::now() + config_.http.request_timeout;
  arrival.bounded = false;  // by the prefetch already
  base::Result<cloudevents::Event> event = decode(message);
  if (event) co_return co_await reception_.take(std::move(*event), std::move(arrival));
  co_return co_await reception_.take_undecodable(undecodable(message), event.error(), std::move(arrival));
}

// While no Jobs are created, what is in the queue is better off there. What is in hand goes on trying, and so
// finds out when that has passed.
void Consumer::Impl::follow_the_api() {
  if (!draining_ && !stopped_ && pool_.api_works() == paused_) consume(paused_);
}

void Consumer::Impl::consume(bool more) {
  paused_ = !more;
  log_.warning(more ? "consuming again" : "consuming no more until the Kubernetes API creates Jobs again",
               {{"queue", config_.rabbitmq.queue}, {"in_hand", std::to_string(in_hand_)}});
  if (!more) return client_->pause();
  client_->resume();
  // Some of what is held would wait for a minute, and leaves no room for as much of what is new.
  // Those beyond the prefetch were not waiting for this.
  wake(pausing_);
}

void Consumer::Impl::note_state(amqp::ConsumerState state, const std::string& detail) {
  const bool well = state == amqp::ConsumerState::consuming || state == amqp::ConsumerState::paused ||
                    state == amqp::ConsumerState::stopped;
  log_.write(well ? base::Level::info : base::Level::warning, "consumer of the queue",
             {{"queue", config_.rabbitmq.queue}, {"state", amqp::to_string(state)}, {"error", detail}});
}

asio::awaitable<void> Consumer::Impl::pause(base::milliseconds length, Timers& among) {
  asio::steady_timer timer(executor_, length);
  const auto place = among.insert(among.end(), &timer);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  among.erase(place);
}

asio::awaitable<void> Consumer::Impl::drain(TimePoint deadline) {
  const auto self = shared_from_this();
  draining_ = true;
  wake(pausing_);
  wake(pausing_aside_);
  client_->pause();
  while (in_hand_ > 0 && Clock::now() < deadline && pool_.api_works()) {
    changed_.expires_at(deadline);
    boost::system::error_code ignored;
    co_await changed_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  stop();
}

ConsumerStats Consumer::Impl::stats() const {
  ConsumerStats out;
  out.in_hand = in_hand_;
  out.held = held_;
  if (!client_) {
    out.state = "stopped";
    return out;
  }
  const amqp::ConsumerStats client = client_->stats();
  out.state = amqp::to_string(client.state);
  out.received = client.delivered;
  out.acknowledged = client.acknowledged;
  out.last_error = client.last_error;
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------

Consumer::Consumer(asio::any_io_executor executor, const config::Config& config, pool::Pool& pool,
                   Reception& reception, base::Log& log)
    : impl_(std::make_shared<Impl>(std::move(executor), config, pool, reception, log)) {
  impl_->start();
}

Consumer::~Consumer() {
  impl_->stop();
}

asio::awaitable<void> Consumer::drain(TimePoint deadline) {
  co_await impl_->drain(deadline);
}

ConsumerStats Consumer::stats() const {
  return impl_->stats();
}

}  // namespace lambda::intake
