// lib/amqp against the real RabbitMQ of the test bed, through a proxy where the network shall misbehave.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "amqp/consumer.h"
#include "amqp/publisher.h"
#include "support/rabbitmq.h"
#include "support/run.h"
#include "support/tcp_proxy.h"
#include "support/tls_front.h"

namespace lambda::amqp {
namespace {

using base::Clock;
using base::ErrorKind;
using base::milliseconds;
using base::TimePoint;
using std::chrono::hours;
using support::patience;
using testing::HasSubstr;

constexpr milliseconds short_time{300};  // for deadlines that shall pass
constexpr milliseconds short_stall{500};

ConnectionSettings connection_to(Uri uri) {
  ConnectionSettings settings;
  settings.uri = fixed_uri(std::move(uri));
  settings.name = "component test";
  settings.reconnect = {milliseconds(20), milliseconds(200)};
  return settings;
}

Message text(std::string body) {
  Message message;
  message.content_type = "text/plain";
  message.body = std::move(body);
  return message;
}

void wait_until(const std::function<bool()>& condition, const char* what) {
  const TimePoint end = Clock::now() + patience;
  while (!condition()) {
    ASSERT_LT(Clock::now(), end) << "this did not come about: " << what;
    std::this_thread::sleep_for(milliseconds(2));
  }
}

/// Collects what became of publications, each known by a number.
class Endings {
 public:
  Publisher::Done done(std::size_t number) {
    return [this, number](Confirmation confirmation) {
      const std::lock_guard lock(mutex_);
      ++count_;
      endings_[number].push_back(std::move(confirmation));
      changed_.notify_all();
    };
  }

  /// Waits until there are so many in all; each must have ended once.
  std::map<std::size_t, Confirmation> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool complete = changed_.wait_for(lock, patience, [&] { return count_ >= count; });
    EXPECT_TRUE(complete) << count_ << " of " << count << " have ended";
    std::map<std::size_t, Confirmation> result;
    for (const auto& [number, endings] : endings_) {
      EXPECT_EQ(endings.size(), 1U) << "publication " << number << " ended more than once";
      result[number] = endings.front();
    }
    return result;
  }

  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
  std::map<std::size_t, std::vector<Confirmation>> endings_;
};

class AmqpTest : public testing::Test {
 protected:
  PublisherSettings publisher_settings() const { return {connection_to(broker_.uri())}; }
  PublisherSettings publisher_settings(const support::TcpProxy& proxy) const {
    return {connection_through(proxy)};
  }

  ConnectionSettings connection_through(const support::TcpProxy& proxy) const {
    Uri uri = broker_.uri();
    uri.port = proxy.port();
    return connection_to(uri);
  }

  Confirmation publish(Publisher& publisher, const std::string& exchange, const std::string& key,
                       Message message, milliseconds time = patience) {
    Endings endings;
    publisher.publish(exchange, key, std::move(message), Clock::now() + time, endings.done(0));
    return endings.wait(1)[0];
  }

  void expect_confirmed(Publisher& publisher, const std::string& queue, const std::string& body) {
    const Confirmation confirmation = publish(publisher, "", queue, text(body));
    EXPECT_EQ(confirmation.ending, Ending::confirmed) << confirmation.error.message;
  }

  std::set<std::string> take_bodies(const std::string& queue) {
    std::set<std::string> bodies;
    for (const auto& message : broker_.take(queue)) bodies.insert(message.at("payload").get<std::string>());
    return bodies;
  }

  support::RabbitMq broker_;
  base::Log log_{base::Level::error};
};

// ---------------------------------------------------------------------------------------------------------------------
// Publisher

class PublisherTest : public AmqpTest {};

TEST_F(PublisherTest, AConfirmedMessageIsInTheQueueWithAllItsProperties) {
  const std::string queue = broker_.declare_queue();
  Publisher publisher(publisher_settings(), log_);
  Message message = text("body \xC3\xBC");
  message.content_encoding = "utf-8";
  message.message_id = "message-1";
  message.correlation_id = "correlation-1";
  message.type = "a.type";
  message.headers = {{"ce-id", "1"}, {"x-empty", ""}};
  const Confirmation confirmation = publish(publisher, "", queue, message);
  ASSERT_EQ(confirmation.ending, Ending::confirmed) << confirmation.error.message;

  const auto stored = broker_.take(queue);
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].at("payload"), "body \xC3\xBC");
  EXPECT_EQ(stored[0].at("properties"), (nlohmann::json{{"content_type", "text/plain"},
                                                        {"content_encoding", "utf-8"},
                                                        {"message_id", "message-1"},
                                                        {"correlation_id", "correlation-1"},
                                                        {"type", "a.type"},
                                                        {"delivery_mode", 2},
                                                        {"headers", {{"ce-id", "1"}, {"x-empty", ""}}}}));
}

TEST_F(PublisherTest, AMessageWithoutAQueueIsReturned) {
  const std::string exchange = broker_.declare_exchange();
  Publisher publisher(publisher_settings(), log_);
  const Confirmation unbound = publish(publisher, exchange, "key", text("a"));
  EXPECT_EQ(unbound.ending, Ending::returned);
  EXPECT_THAT(unbound.error.message, HasSubstr(exchange));
  EXPECT_EQ(publish(publisher, "", broker_.new_name("no-such-queue"), text("b")).ending, Ending::returned);
}

TEST_F(PublisherTest, TellsTheReturnedFromTheConfirmedAmongMany) {
  const std::string queue = broker_.declare_queue();
  const std::string missing = broker_.new_name("no-such-queue");
  Publisher publisher(publisher_settings(), log_);
  Endings endings;
  constexpr std::size_t count = 400;
  for (std::size_t i = 0; i < count; ++i) {
    publisher.publish("", i % 3 == 0 ? missing : queue, text(std::to_string(i)), Clock::now() + patience,
                      endings.done(i));
  }
  for (const auto& [number, confirmation] : endings.wait(count))
    EXPECT_EQ(confirmation.ending, number % 3 == 0 ? Ending::returned : Ending::confirmed) << number;
  EXPECT_EQ(take_bodies(queue).size(), count - (count + 2) / 3);
}

TEST_F(PublisherTest, AMissingExchangeTakesNoOtherMessageWithIt) {
  const std::string queue = broker_.declare_queue();
  const std::string missing = broker_.new_name("no-such-exchange");
  Publisher publisher(publisher_settings(), log_);
  Endings endings;
  constexpr std::size_t count = 200;
  constexpr std::size_t bad = 100;
  for (std::size_t i = 0; i < count; ++i) {
    publisher.publish(i == bad ? missing : "", queue, text(std::to_string(i)), Clock::now() + patience,
                      endings.done(i));
  }
  for (const auto& [number, confirmation] : endings.wait(count)) {
    EXPECT_EQ(confirmation.ending, number == bad ? Ending::no_exchange : Ending::confirmed)
        << number << confirmation.error.message;
  }
  EXPECT_EQ(take_bodies(queue).size(), count - 1);
  EXPECT_EQ(publisher.state().connections, 1U);
}

TEST_F(PublisherTest, AQueueThatIsFullRefuses) {
  const std::string queue = broker_.declare_queue(R"({"x-max-length":1,"x-overflow":"reject-publish"})");
  Publisher publisher(publisher_settings(), log_);
  expect_confirmed(publisher, queue, "first");
  // The queue learns of its length a moment later.
  Confirmation confirmation;
  wait_until(
      [&] {
        confirmation = publish(publisher, "", queue, text("more"));
        return confirmation.ending != Ending::confirmed;
      },
      "a queue that refuses");
  EXPECT_EQ(confirmation.ending, Ending::nacked);
  EXPECT_THAT(confirmation.error.message, HasSubstr(queue));
}

TEST_F(PublisherTest, WhatACutConnectionLeavesOpenIsSentAgain) {
  const std::string queue = broker_.declare_queue();
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  Publisher publisher(publisher_settings(proxy), log_);
  Endings endings;
  constexpr std::size_t count = 500;
  for (std::size_t i = 0; i < count; ++i) {
    publisher.publish("", queue, text(std::to_string(i)), Clock::now() + patience, endings.done(i));
    if (i % 250 == 125) {
      wait_until([&] { return endings.count() > i / 2; }, "half of them");
      proxy.cut();
    }
  }
  for (const auto& [number, confirmation] : endings.wait(count))
    EXPECT_EQ(confirmation.ending, Ending::confirmed) << number << confirmation.error.message;
  EXPECT_EQ(take_bodies(queue).size(), count);
  EXPECT_GE(publisher.state().connections, 2U);
}

TEST_F(PublisherTest, OutlivesTheDeathOfTheBroker) {
  const std::string queue = broker_.declare_queue();
  Publisher publisher(publisher_settings(), log_);
  expect_confirmed(publisher, queue, "before");
  Endings endings;
  {
    const support::DeadBroker dead;
    const Confirmation meanwhile = publish(publisher, "", queue, text("hurried"), short_time);
    EXPECT_EQ(meanwhile.ending, Ending::unavailable);
    EXPECT_EQ(meanwhile.error.kind, ErrorKind::unavailable);
    EXPECT_THAT(meanwhile.error.message, HasSubstr("not connected to RabbitMQ"));
    EXPECT_FALSE(publisher.state().connected);
    publisher.publish("", queue, text("patient"), Clock::now() + hours(1), endings.done(0));
  }
  const Confirmation after = endings.wait(1)[0];
  EXPECT_EQ(after.ending, Ending::confirmed) << after.error.message;
  EXPECT_TRUE(publisher.state().connected);
  EXPECT_THAT(take_bodies(queue), testing::IsSupersetOf({"before", "patient"}));
}

TEST_F(PublisherTest, DeadlinesHoldWhileThePeerReadsNothing) {
  const std::string queue = broker_.declare_queue();
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  PublisherSettings settings = publisher_settings(proxy);
  settings.connection.stall_limit = short_stall;
  settings.max_bytes = std::size_t{256} << 20;
  Publisher publisher(settings, log_);
  expect_confirmed(publisher, queue, "before");
  proxy.freeze(true);
  Endings endings;
  constexpr std::size_t count = 32;  // MiB: more than the sockets in between hold
  const TimePoint began = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    publisher.publish("", queue, text(std::string(std::size_t{1} << 20, 'x')), began + short_time,
                      endings.done(i));
  }
  for (const auto& [number, confirmation] : endings.wait(count))
    EXPECT_EQ(confirmation.ending, Ending::unavailable);
  wait_until([&] { return !publisher.state().connected; }, "a connection that is given up");
  proxy.freeze(false);
  expect_confirmed(publisher, queue, "after");
}

TEST_F(PublisherTest, DeadlinesHoldWhileThePeerDoesNotGreet) {
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  proxy.freeze(true);
  Publisher publisher(publisher_settings(proxy), log_);
  const Confirmation confirmation = publish(publisher, "", "q", text("a"), short_time);
  EXPECT_EQ(confirmation.ending, Ending::unavailable);
  EXPECT_THAT(confirmation.error.message, HasSubstr("not connected"));
}

TEST_F(PublisherTest, WaitsForAnAlarmToPassAndSaysThatThereIsOne) {
  const std::string queue = broker_.declare_queue();
  Publisher publisher(publisher_settings(), log_);
  expect_confirmed(publisher, queue, "before");
  support::MemoryAlarm alarm;
  const Confirmation hurried = publish(publisher, "", queue, text("hurried"), milliseconds(2000));
  EXPECT_EQ(hurried.ending, Ending::unavailable);
  EXPECT_EQ(hurried.error.kind, ErrorKind::unavailable);
  EXPECT_THAT(hurried.error.message, HasSubstr("low on memory"));
  EXPECT_TRUE(publisher.state().blocked);
  EXPECT_TRUE(publisher.state().connected);
  Endings endings;
  publisher.publish("", queue, text("patient"), Clock::now() + patience, endings.done(0));
  alarm.clear();
  EXPECT_EQ(endings.wait(1)[0].ending, Ending::confirmed);
  EXPECT_FALSE(publisher.state().blocked);
  EXPECT_EQ(publisher.state().connections, 1U);
}

TEST_F(PublisherTest, TakesNoMoreThanItMayHold) {
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  proxy.refuse(true);
  PublisherSettings settings = publisher_settings(proxy);
  settings.max_messages = 3;
  settings.max_bytes = 100000;
  Endings endings;
  {
    Publisher publisher(settings, log_);
    publisher.publish("", "q", text("small"), Clock::now() + hours(1), endings.done(1));
    publisher.publish("", "q", text(std::string(100000, 'x')), Clock::now() + hours(1), endings.done(0));
    for (std::size_t i = 2; i <= 4; ++i)
      publisher.publish("", "q", text("small"), Clock::now() + hours(1), endings.done(i));
    const auto refused = endings.wait(2);
    EXPECT_THAT(refused, testing::UnorderedElementsAre(testing::Key(0), testing::Key(4)));
    for (const auto& [number, confirmation] : refused) {
      EXPECT_EQ(confirmation.ending, Ending::unavailable);
      EXPECT_THAT(confirmation.error.message, HasSubstr("too many messages"));
    }
    EXPECT_EQ(publisher.state().messages, 3U);
  }
  for (const auto& [number, confirmation] : endings.wait(5))
    EXPECT_EQ(confirmation.ending, Ending::unavailable);
}

TEST_F(PublisherTest, ASingleMessageMayBeLargerThanAllTogether) {
  const std::string queue = broker_.declare_queue();
  PublisherSettings settings = publisher_settings();
  settings.max_bytes = 100000;
  Publisher publisher(settings, log_);
  const std::string large(3000000, 'x');
  EXPECT_EQ(publish(publisher, "", queue, text(large)).ending, Ending::confirmed);
  EXPECT_THAT(take_bodies(queue), testing::ElementsAre(large));
}

TEST_F(PublisherTest, WhatAmqpCannotCarryIsRefusedAloneAndAtOnce) {
  const std::string queue = broker_.declare_queue();
  Publisher publisher(publisher_settings(), log_);
  Message long_id = text("a");
  long_id.message_id = std::string(256, 'i');
  Message large_headers = text("b");
  large_headers.headers["x"] = std::string(70000, 'x');
  for (const Message& message : {long_id, large_headers}) {
    const Confirmation confirmation = publish(publisher, "", queue, message);
    EXPECT_EQ(confirmation.ending, Ending::unavailable);
    EXPECT_EQ(confirmation.error.kind, ErrorKind::invalid);
  }
  EXPECT_EQ(publish(publisher, "", std::string(256, 'k'), text("c")).error.kind, ErrorKind::invalid);
  expect_confirmed(publisher, queue, "fine");
  EXPECT_EQ(publisher.state().connections, 1U);
}

TEST_F(PublisherTest, ManyMessagesAndLargeOnesAreConfirmed) {
  const std::string queue = broker_.declare_queue();
  PublisherSettings settings = publisher_settings();
  settings.max_messages = 20000;
  Publisher publisher(settings, log_);
  Endings endings;
  constexpr std::size_t count = 10000;
  for (std::size_t i = 0; i < count; ++i)
    publisher.publish("", queue, text(std::to_string(i)), Clock::now() + patience, endings.done(i));
  publisher.publish("", queue, text(std::string(std::size_t{4} << 20, 'x')), Clock::now() + patience,
                    endings.done(count));
  for (const auto& [number, confirmation] : endings.wait(count + 1))
    EXPECT_EQ(confirmation.ending, Ending::confirmed) << number << confirmation.error.message;
  EXPECT_EQ(take_bodies(queue).size(), count + 1);
}

TEST_F(PublisherTest, AnErrorNamesThePlaceAndNoPassword) {
  Uri uri = broker_.uri();
  uri.password = "wrong-secret";
  Publisher publisher({connection_to(uri)}, log_);
  const Confirmation confirmation = publish(publisher, "", "q", text("a"), milliseconds(2000));
  EXPECT_EQ(confirmation.ending, Ending::unavailable);
  EXPECT_THAT(confirmation.error.message, HasSubstr("ACCESS_REFUSED"));
  EXPECT_THAT(confirmation.error.message, HasSubstr(uri.shown()));
  EXPECT_THAT(confirmation.error.message, testing::Not(HasSubstr("wrong-secret")));
  EXPECT_EQ(publisher.state().last_error.find("wrong-secret"), std::string::npos);
}

TEST_F(PublisherTest, AsksForTheUriAgainWhenItConnectsAgain) {
  const std::string queue = broker_.declare_queue();
  std::atomic<bool> rotated = false;
  PublisherSettings settings = publisher_settings();
  settings.connection.uri = [&]() -> base::Result<Uri> {
    Uri uri = broker_.uri();
    if (!rotated) uri.password = "the old one";
    return uri;
  };
  Publisher publisher(settings, log_);
  EXPECT_EQ(publish(publisher, "", queue, text("a"), short_time).ending, Ending::unavailable);
  rotated = true;
  expect_confirmed(publisher, queue, "b");
}

TEST_F(PublisherTest, SpeaksTlsWithWhomItTrusts) {
  const std::string queue = broker_.declare_queue();
  const support::TlsFront front(broker_.uri().host, broker_.uri().port);
  Uri uri = broker_.uri();
  uri.tls = true;
  uri.host = "localhost";
  uri.port = front.port();
  PublisherSettings settings{connection_to(uri)};
  settings.connection.ca_file = front.ca_file();
  {
    Publisher publisher(settings, log_);
    expect_confirmed(publisher, queue, "secret");
  }
  settings.connection.ca_file.clear();  // the system's authorities do not know it
  {
    Publisher publisher(settings, log_);
    EXPECT_EQ(publish(publisher, "", queue, text("b"), milliseconds(1000)).ending, Ending::unavailable);
    EXPECT_FALSE(publisher.state().connected);
  }
  uri.host = "127.0.0.1";  // not the name in the certificate
  settings = {connection_to(uri)};
  settings.connection.ca_file = front.ca_file();
  Publisher publisher(settings, log_);
  EXPECT_EQ(publish(publisher, "", queue, text("c"), milliseconds(1000)).ending, Ending::unavailable);
  EXPECT_FALSE(publisher.state().connected);
}

// ---------------------------------------------------------------------------------------------------------------------
// Consumer

/// Collects deliveries and states.
class Inbox {
 public:
  ConsumerHandlers handlers() {
    return {[this](Delivery delivery) {
              const std::lock_guard lock(mutex_);
              deliveries_.push_back(std::move(delivery));
              ++count_;
              changed_.notify_all();
            },
            [this](ConsumerState state, const std::string&) {
              const std::lock_guard lock(mutex_);
              states_.push_back(state);
              changed_.notify_all();
            }};
  }

  /// The next delivery that nobody took.
  Delivery next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [&] { return !deliveries_.empty(); }))
      throw std::runtime_error("no delivery came");
    Delivery delivery = std::move(deliveries_.front());
    deliveries_.pop_front();
    return delivery;
  }

  std::vector<Delivery> next(std::size_t count) {
    std::vector<Delivery> result;
    while (result.size() < count) result.push_back(next());
    return result;
  }

  /// Waits for a state that was told after the last one that this function found.
  void wait_for(ConsumerState state) {
    std::unique_lock lock(mutex_);
    const auto find = [&] {
      const auto found = std::find(states_.begin(), states_.end(), state);
      if (found == states_.end()) return false;
      states_.erase(states_.begin(), found + 1);
      return true;
    };
    EXPECT_TRUE(changed_.wait_for(lock, patience, find)) << "never " << to_string(state);
  }

  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Delivery> deliveries_;
  std::deque<ConsumerState> states_;
  std::size_t count_ = 0;
};

class ConsumerTest : public AmqpTest {
 protected:
  ConsumerSettings settings_for(const std::string& queue, std::uint16_t prefetch = 100) const {
    return {connection_to(broker_.uri()), queue, prefetch};
  }

  void fill(const std::string& queue, std::size_t count) {
    PublisherSettings settings = publisher_settings();
    settings.max_messages = count;
    Publisher publisher(settings, log_);
    Endings endings;
    for (std::size_t i = 0; i < count; ++i)
      publisher.publish("", queue, text(std::to_string(i)), Clock::now() + patience, endings.done(i));
    for (const auto& [number, confirmation] : endings.wait(count))
      ASSERT_EQ(confirmation.ending, Ending::confirmed) << confirmation.error.message;
  }

  Inbox inbox_;
};

TEST_F(ConsumerTest, DeliversAMessageWithAllItsProperties) {
  const std::string queue = broker_.declare_queue();
  broker_.publish(queue, "body",
                  R"({"content_type":"application/json","content_encoding":"utf-8","message_id":"m",
      "correlation_id":"c","type":"t","headers":{"text":"ü","number":-5,"yes":true,"half":0.5,"list":[1],"table":{}}})");
  Consumer consumer(settings_for(queue), inbox_.handlers(), log_);
  const Delivery delivery = inbox_.next();
  Message expected;
  expected.content_type = "application/json";
  expected.content_encoding = "utf-8";
  expected.message_id = "m";
  expected.correlation_id = "c";
  expected.type = "t";
  expected.headers = {{"text", "ü"}, {"number", "-5"}, {"yes", "true"}, {"half", "0.5"}};
  expected.body = "body";
  EXPECT_EQ(delivery.message, expected);
  EXPECT_EQ(delivery.routing_key, queue);
  EXPECT_EQ(delivery.exchange, "");
  EXPECT_FALSE(delivery.redelivered);
}

TEST_F(ConsumerTest, WhatIsAcknowledgedIsGoneAndStopTellsItInTime) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 5);
  {
    Consumer consumer(settings_for(queue), inbox_.handlers(), log_);
    const std::vector<Delivery> deliveries = inbox_.next(5);
    for (const std::size_t i : {0U, 1U, 3U}) consumer.ack(deliveries[i].token);
    consumer.stop();
    inbox_.wait_for(ConsumerState::stopped);
    EXPECT_EQ(consumer.stats().acknowledged, 3U);
    EXPECT_EQ(consumer.stats().unsettled, 2U);
  }
  EXPECT_THAT(take_bodies(queue), testing::ElementsAre("2", "4"));
}

TEST_F(ConsumerTest, RejectsWithAndWithoutRequeue) {
  const std::string dead = broker_.declare_queue();
  const std::string queue =
      broker_.declare_queue(R"({"x-dead-letter-exchange":"","x-dead-letter-routing-key":")" + dead + R"("})");
  fill(queue, 1);
  Consumer consumer(settings_for(queue), inbox_.handlers(), log_);
  consumer.reject(inbox_.next().token, true);
  const Delivery again = inbox_.next();
  EXPECT_TRUE(again.redelivered);
  consumer.reject(again.token, false);
  wait_until([&] { return broker_.ready(dead) == 1; }, "the message in the dead-letter queue");
  consumer.stop();
  EXPECT_EQ(consumer.stats().rejected, 2U);
  EXPECT_EQ(broker_.ready(queue), 0U);
}

TEST_F(ConsumerTest, AfterALostConnectionOldTokensAreDropped) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 2);
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  ConsumerSettings settings = settings_for(queue);
  settings.connection = connection_through(proxy);
  Consumer consumer(settings, inbox_.handlers(), log_);
  const std::vector<Delivery> before = inbox_.next(2);
  proxy.cut();
  inbox_.wait_for(ConsumerState::lost);
  const std::vector<Delivery> after = inbox_.next(2);
  for (const Delivery& delivery : after) EXPECT_TRUE(delivery.redelivered);
  for (const Delivery& delivery : before) consumer.ack(delivery.token);
  wait_until([&] { return consumer.stats().stale == 2; }, "stale tokens");
  EXPECT_EQ(consumer.stats().unsettled, 2U);
  for (const Delivery& delivery : after) consumer.ack(delivery.token);
  consumer.stop();
  EXPECT_EQ(consumer.stats().acknowledged, 2U);
  EXPECT_EQ(broker_.ready(queue), 0U);
}

TEST_F(ConsumerTest, ATokenThatIsUsedTwiceHarmsNothing) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 2);
  Consumer consumer(settings_for(queue, 1), inbox_.handlers(), log_);
  const Delivery first = inbox_.next();
  consumer.ack(first.token);
  consumer.reject(first.token, true);
  consumer.ack({first.token.connection, 4711});
  consumer.ack(inbox_.next().token);
  consumer.stop();
  EXPECT_EQ(consumer.stats().stale, 2U);
  EXPECT_EQ(consumer.stats().connections, 1U);
  EXPECT_EQ(broker_.ready(queue), 0U);
}

TEST_F(ConsumerTest, NeverHoldsMoreThanThePrefetch) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 10);
  Consumer consumer(settings_for(queue, 3), inbox_.handlers(), log_);
  std::vector<Delivery> held = inbox_.next(3);
  EXPECT_EQ(broker_.ready(queue), 7U);
  consumer.ack(held[1].token);
  inbox_.next();
  EXPECT_EQ(broker_.ready(queue), 6U);
  EXPECT_EQ(inbox_.count(), 4U);
}

TEST_F(ConsumerTest, OneSlowDeliveryHoldsUpNoOther) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 20);
  Consumer consumer(settings_for(queue, 2), inbox_.handlers(), log_);
  const Delivery slow = inbox_.next();
  for (std::size_t i = 1; i < 20; ++i) consumer.ack(inbox_.next().token);
  consumer.ack(slow.token);
  consumer.stop();
  EXPECT_EQ(consumer.stats().acknowledged, 20U);
  EXPECT_EQ(broker_.ready(queue), 0U);
}

TEST_F(ConsumerTest, PausedItKeepsWhatItHasAndTakesNoMore) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 1);
  Consumer consumer(settings_for(queue, 2), inbox_.handlers(), log_);
  const Delivery kept = inbox_.next();
  consumer.pause();
  inbox_.wait_for(ConsumerState::paused);
  fill(queue, 3);
  EXPECT_EQ(broker_.ready(queue), 3U);
  EXPECT_EQ(inbox_.count(), 1U);
  consumer.resume();
  // The broker would let a new consumer have two more, and the kept one would be a third.
  inbox_.wait_for(ConsumerState::consuming);
  for (std::size_t i = 0; i < 3; ++i) {
    const Delivery delivery = inbox_.next();
    EXPECT_LE(consumer.stats().unsettled, 2U);
    consumer.ack(delivery.token);
  }
  consumer.ack(kept.token);
  consumer.stop();
  EXPECT_EQ(consumer.stats().acknowledged, 4U);
  EXPECT_EQ(consumer.stats().connections, 1U);
}

TEST_F(ConsumerTest, ResumedItIsHeldBackOnlyWhileItHoldsWhatItHeldBefore) {
  constexpr std::size_t prefetch = 8;
  const std::string queue = broker_.declare_queue();
  fill(queue, prefetch - 1);
  Consumer consumer(settings_for(queue, prefetch), inbox_.handlers(), log_);
  const std::vector<Delivery> before = inbox_.next(prefetch - 1);
  consumer.pause();
  inbox_.wait_for(ConsumerState::paused);
  fill(queue, 20);
  consumer.resume();
  Delivery last = inbox_.next();
  EXPECT_EQ(broker_.ready(queue), 19U);
  for (const Delivery& delivery : before) consumer.ack(delivery.token);
  // The acknowledgements may go in two parts; a consumer is replaced for more than half of the prefetch.
  inbox_.next(prefetch / 2 + 1);
  EXPECT_GE(broker_.ready(queue), 20U - prefetch);
  EXPECT_LE(consumer.stats().unsettled, prefetch);
}

TEST_F(ConsumerTest, WhatIsSetAsideLeavesItsPlaceToOthers) {
  for (const char* const arguments : {"{}", R"({"x-queue-type":"quorum"})"}) {
    Inbox inbox;
    const std::string queue = broker_.declare_queue(arguments);
    fill(queue, 50);
    Consumer consumer(settings_for(queue, 4), inbox.handlers(), log_);
    std::vector<Delivery> aside;
    for (std::size_t i = 0; i < 40; ++i) {
      aside.push_back(inbox.next());
      consumer.set_aside(aside.back().token);
    }
    wait_until([&] { return consumer.stats().set_aside == aside.size(); }, "all of them are set aside");
    // A consumer is replaced for more than half of the prefetch: so half of it may stay held back.
    const std::vector<Delivery> rest = inbox.next(2);
    EXPECT_LE(consumer.stats().unsettled, 44U);
    EXPECT_GE(broker_.ready(queue), 6U) << "the prefetch holds for the others";

    for (const Delivery& delivery : aside) consumer.ack(delivery.token);
    for (const Delivery& delivery : rest) consumer.ack(delivery.token);
    for (std::size_t i = 0; i < 8; ++i) consumer.ack(inbox.next().token);
    consumer.stop();
    EXPECT_EQ(consumer.stats().acknowledged, 50U);
    EXPECT_EQ(consumer.stats().unsettled, 0U);
    EXPECT_EQ(consumer.stats().connections, 1U);
    EXPECT_EQ(broker_.ready(queue), 0U);
  }
}

TEST_F(ConsumerTest, WhatWasSetAsideComesAgainWithTheNextConnection) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 3);
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  ConsumerSettings settings = settings_for(queue, 1);
  settings.connection = connection_through(proxy);
  Consumer consumer(settings, inbox_.handlers(), log_);
  const Delivery first = inbox_.next();
  consumer.set_aside(first.token);
  const Delivery second = inbox_.next();
  proxy.cut();
  EXPECT_TRUE(inbox_.next().redelivered);
  consumer.set_aside(first.token);
  consumer.set_aside(second.token);
  wait_until([&] { return consumer.stats().stale == 2; }, "the old tokens are dropped");
  EXPECT_EQ(consumer.stats().set_aside, 0U);
  EXPECT_EQ(consumer.stats().unsettled, 1U);
}

TEST_F(ConsumerTest, PausedItStaysSoWhenItConnectsAgain) {
  const std::string queue = broker_.declare_queue();
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  ConsumerSettings settings = settings_for(queue);
  settings.connection = connection_through(proxy);
  Consumer consumer(settings, inbox_.handlers(), log_);
  inbox_.wait_for(ConsumerState::consuming);
  consumer.pause();
  inbox_.wait_for(ConsumerState::paused);
  proxy.cut();
  inbox_.wait_for(ConsumerState::lost);
  inbox_.wait_for(ConsumerState::paused);
  fill(queue, 1);
  EXPECT_EQ(broker_.ready(queue), 1U);
  consumer.resume();
  EXPECT_EQ(inbox_.next().message.body, "0");
}

TEST_F(ConsumerTest, WaitsForAQueueThatIsMissingOrDeleted) {
  const std::string queue = broker_.new_name("late-queue");
  Consumer consumer(settings_for(queue), inbox_.handlers(), log_);
  inbox_.wait_for(ConsumerState::missing_queue);
  EXPECT_THAT(consumer.stats().last_error, HasSubstr(queue));
  broker_.declare_queue_named(queue);
  inbox_.wait_for(ConsumerState::consuming);
  broker_.delete_queue(queue);
  inbox_.wait_for(ConsumerState::cancelled);
  inbox_.wait_for(ConsumerState::missing_queue);
  broker_.declare_queue_named(queue);
  inbox_.wait_for(ConsumerState::consuming);
  fill(queue, 1);
  EXPECT_EQ(inbox_.next().message.body, "0");
}

TEST_F(ConsumerTest, OutlivesTheDeathOfTheBroker) {
  const std::string queue = broker_.declare_queue();
  fill(queue, 1);
  Consumer consumer(settings_for(queue), inbox_.handlers(), log_);
  const Delivery before = inbox_.next();
  {
    const support::DeadBroker dead;
    inbox_.wait_for(ConsumerState::lost);
    consumer.ack(before.token);
  }
  const Delivery after = inbox_.next();
  EXPECT_EQ(after.message, before.message);
  consumer.ack(after.token);
  consumer.stop();
  EXPECT_EQ(consumer.stats().acknowledged, 1U);
  EXPECT_EQ(broker_.ready(queue), 0U);
}

TEST_F(ConsumerTest, StopsAlsoWhenThePeerIsFrozen) {
  const std::string queue = broker_.declare_queue();
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  ConsumerSettings settings = settings_for(queue);
  settings.connection = connection_through(proxy);
  settings.connection.connect_timeout = std::chrono::hours(1);  // it is not that which ends it
  Consumer consumer(settings, inbox_.handlers(), log_);
  inbox_.wait_for(ConsumerState::consuming);
  proxy.freeze(true);
  consumer.stop();
  EXPECT_EQ(consumer.stats().state, ConsumerState::stopped);
}

TEST_F(ConsumerTest, TenThousandMessagesOnceEach) {
  const std::string queue = broker_.declare_queue();
  constexpr std::size_t count = 10000;
  fill(queue, count);
  Consumer consumer(settings_for(queue), inbox_.handlers(), log_);
  std::set<std::string> bodies;
  for (std::size_t i = 0; i < count; ++i) {
    const Delivery delivery = inbox_.next();
    bodies.insert(delivery.message.body);
    consumer.ack(delivery.token);
  }
  consumer.stop();
  EXPECT_EQ(bodies.size(), count);
  EXPECT_EQ(consumer.stats().acknowledged, count);
  EXPECT_EQ(broker_.ready(queue), 0U);
}

}  // namespace
}  // namespace lambda::amqp
