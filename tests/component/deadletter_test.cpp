// builder/deadletter against the real RabbitMQ of the test bed.
#include "deadletter/deadletter.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "build/dead_letter.h"
#include "support/rabbitmq.h"
#include "support/run.h"
#include "support/tcp_proxy.h"

namespace lambda::deadletter {
namespace {

using base::Clock;
using base::ErrorKind;
using base::milliseconds;
using base::Result;
using support::patience;
using testing::HasSubstr;

constexpr milliseconds short_time{300};  // for deadlines that shall pass

std::string text_of(const amqp::Uri& uri, std::uint16_t port) {
  return "amqp://" + uri.username + ":" + uri.password + "@" + uri.host + ":" + std::to_string(port) + "/";
}

build::DeadLetter letter(const std::string& body) {
  build::DeadLetter result;
  result.original = build::Undecodable{{{"ce-id", "1"}, {"ce-id", "2"}}, "text/plain", body};
  result.reason = "invalid";
  result.error = "ce-id: stands there twice";
  result.attempts = 2;
  return result;
}

class DeadLettersTest : public testing::Test {
 protected:
  DeadLettersTest() {
    settings_.uri = text_of(broker_.uri(), broker_.uri().port);
    settings_.exchange = broker_.new_name("dlx");
    settings_.routing_key = "dead";
    settings_.queue = broker_.new_name("dlq");
  }

  void make_exchange() { broker_.declare_exchange_named(settings_.exchange); }
  void make_queue(const std::string& arguments = "{}") {
    broker_.declare_queue_named(settings_.queue, arguments);
  }
  void bind() { broker_.bind(settings_.exchange, settings_.routing_key, settings_.queue); }

  DeadLetters dead_letters() { return {io_.get_executor(), settings_, log_, registry_}; }

  Result<void> send(DeadLetters& to, const std::string& body, milliseconds time = patience) {
    return support::run(io_, to.send(letter(body), Clock::now() + time));
  }

  std::vector<std::string> bodies() {
    std::vector<std::string> result;
    for (const auto& message : broker_.take(settings_.queue))
      result.push_back(message.at("payload").get<std::string>());
    return result;
  }

  support::RabbitMq broker_;
  base::Log log_{base::Level::error};
  metrics::Registry registry_;
  boost::asio::io_context io_{1};
  Settings settings_;
};

TEST_F(DeadLettersTest, AConfirmedLetterIsInTheQueueWhole) {
  make_exchange();
  make_queue();
  bind();
  DeadLetters to = dead_letters();
  const Result<void> sent = send(to, "bytes");
  ASSERT_TRUE(sent) << sent.error().message;

  const auto stored = broker_.take(settings_.queue);
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].at("exchange"), settings_.exchange);
  EXPECT_EQ(stored[0].at("properties").at("delivery_mode"), 2);
  amqp::Message message;
  message.content_type = stored[0].at("properties").at("content_type").get<std::string>();
  for (const auto& [name, value] : stored[0].at("properties").at("headers").items())
    message.headers[name] = value.get<std::string>();
  message.body = stored[0].at("payload").get<std::string>();
  const auto read = build::from_message(message);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->original, letter("bytes").original);
  EXPECT_EQ(read->error, letter("bytes").error);

  EXPECT_EQ(to.stats().sent, 1U);
  EXPECT_EQ(to.stats().failed, 0U);
  EXPECT_TRUE(to.stats().connected);
  EXPECT_THAT(registry_.exposition(), HasSubstr(R"(dead_letters_total{reason="invalid",stage="intake"} 1)"));
}

TEST_F(DeadLettersTest, AMissingExchangeIsGoneRound) {
  make_queue();
  DeadLetters to = dead_letters();
  for (const char* const body : {"one", "two"}) {
    const Result<void> sent = send(to, body);
    EXPECT_TRUE(sent) << sent.error().message;
  }
  EXPECT_THAT(bodies(), testing::ElementsAre("one", "two"));
}

TEST_F(DeadLettersTest, ManyAtOnceGoRoundAMissingExchange) {
  make_queue();
  DeadLetters to = dead_letters();
  constexpr std::size_t count = 100;
  std::size_t ended = 0;
  std::size_t safe = 0;
  for (std::size_t i = 0; i < count; ++i) {
    boost::asio::co_spawn(io_, to.send(letter(std::to_string(i)), Clock::now() + patience),
                          [&](const std::exception_ptr&, const Result<void>& result) {
                            ++ended;
                            safe += result ? 1 : 0;
                          });
  }
  support::run_until(io_, [&] { return ended == count; });
  EXPECT_EQ(safe, count);
  const std::vector<std::string> stored = bodies();
  EXPECT_EQ(std::set<std::string>(stored.begin(), stored.end()).size(), count);
}

TEST_F(DeadLettersTest, AnExchangeThatRoutesNowhereIsGoneRound) {
  make_exchange();
  make_queue();
  DeadLetters to = dead_letters();
  const Result<void> sent = send(to, "one");
  EXPECT_TRUE(sent) << sent.error().message;
  EXPECT_THAT(bodies(), testing::ElementsAre("one"));
}

TEST_F(DeadLettersTest, WithoutAQueueTheLetterIsNotSafeUntilThereIsOne) {
  DeadLetters to = dead_letters();
  const Result<void> lost = send(to, "one");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(lost.error().message, HasSubstr(settings_.queue));
  EXPECT_EQ(to.stats().failed, 1U);
  EXPECT_THAT(registry_.exposition(), HasSubstr(R"(dead_letter_failures_total{reason="returned"} 1)"));
  make_queue();
  EXPECT_TRUE(send(to, "two"));
  EXPECT_THAT(bodies(), testing::ElementsAre("two"));
}

TEST_F(DeadLettersTest, AQueueThatRefusesIsUnavailable) {
  make_queue(R"({"x-max-length":0,"x-overflow":"reject-publish"})");
  DeadLetters to = dead_letters();
  const Result<void> lost = send(to, "one");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(registry_.exposition(), HasSubstr(R"(dead_letter_failures_total{reason="nacked"} 1)"));
}

TEST_F(DeadLettersTest, ABrokerThatIsAwayIsUnavailableByTheDeadlineAndMissedNoLonger) {
  make_queue();
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  proxy.refuse(true);
  settings_.uri = text_of(broker_.uri(), proxy.port());
  DeadLetters to = dead_letters();
  const Result<void> lost = send(to, "hurried", short_time);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(lost.error().message, HasSubstr("not connected"));
  EXPECT_FALSE(to.stats().connected);
  EXPECT_NE(to.stats().last_error, "");
  proxy.refuse(false);
  EXPECT_TRUE(send(to, "patient"));
  EXPECT_THAT(bodies(), testing::ElementsAre("patient"));
}

TEST_F(DeadLettersTest, ABrokerThatAnswersNothingIsATimeout) {
  make_queue();
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  settings_.uri = text_of(broker_.uri(), proxy.port());
  DeadLetters to = dead_letters();
  ASSERT_TRUE(send(to, "before"));
  proxy.freeze(true);
  const Result<void> lost = send(to, "meanwhile", short_time);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::timeout);
  proxy.freeze(false);
  EXPECT_TRUE(send(to, "after"));
}

TEST_F(DeadLettersTest, AnAlarmOfTheBrokerIsUnavailableUntilItHasPassed) {
  make_queue();
  DeadLetters to = dead_letters();
  ASSERT_TRUE(send(to, "before"));
  support::MemoryAlarm alarm;
  const Result<void> lost = send(to, "meanwhile", milliseconds(2000));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(lost.error().message, HasSubstr("low on memory"));
  EXPECT_TRUE(to.stats().blocked);
  alarm.clear();
  EXPECT_TRUE(send(to, "after"));
  EXPECT_FALSE(to.stats().blocked);
}

TEST_F(DeadLettersTest, TheUriOfAFileIsReadAgain) {
  make_queue();
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("uri-" + std::to_string(::getpid()));
  settings_.uri.clear();
  settings_.uri_file = file;
  DeadLetters to = dead_letters();
  const Result<void> lost = send(to, "one", short_time);
  ASSERT_FALSE(lost);
  EXPECT_THAT(lost.error().message, HasSubstr(file.string()));
  std::ofstream(file) << text_of(broker_.uri(), broker_.uri().port) << "\n";
  EXPECT_TRUE(send(to, "two"));
  std::filesystem::remove(file);
}

TEST_F(DeadLettersTest, WhoStillWaitsAtTheEndIsToldThatItIsNotSafe) {
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  proxy.refuse(true);
  settings_.uri = text_of(broker_.uri(), proxy.port());
  std::optional<Result<void>> ended;
  {
    DeadLetters to = dead_letters();
    boost::asio::co_spawn(io_, to.send(letter("one"), Clock::now() + std::chrono::hours(1)),
                          [&](const std::exception_ptr&, Result<void> result) { ended = std::move(result); });
    io_.poll();  // until it waits
    EXPECT_FALSE(ended);
  }
  support::run_until(io_, [&] { return ended.has_value(); });
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error().kind, ErrorKind::unavailable);
}

}  // namespace
}  // namespace lambda::deadletter
