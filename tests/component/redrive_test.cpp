// operator/redrive and lib/amqp's reader against the real RabbitMQ of the test bed.
#include "redrive/redrive.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amqp/publisher.h"
#include "amqp/reader.h"
#include "build/dead_letter.h"
#include "cloudevents/amqp.h"
#include "support/rabbitmq.h"
#include "support/run.h"
#include "support/tcp_proxy.h"

namespace lambda::redrive {
namespace {

using amqp::Message;
using base::Clock;
using base::ErrorKind;
using base::milliseconds;
using base::TimePoint;
using build::Stage;
using cloudevents::Event;
using nlohmann::json;
using std::chrono::seconds;
using support::patience;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr const char* quorum = R"({"x-queue-type": "quorum"})";
constexpr const char* classic = R"({"x-queue-type": "classic"})";

amqp::ConnectionSettings connection_to(amqp::Uri uri) {
  amqp::ConnectionSettings settings;
  settings.uri = amqp::fixed_uri(std::move(uri));
  settings.name = "component test";
  settings.reconnect = {milliseconds(20), milliseconds(200)};
  return settings;
}

Event event_of(std::size_t number) {
  Event event;
  event.id = std::to_string(number);
  event.source = "network.notifi.kaniko-jobs";
  event.type = "network.notifi.lambda.job.start";
  event.datacontenttype = "application/json";
  event.data = R"({"third_party_id": "tenant-)" + std::to_string(number % 3) + R"(", "parser_id": "p"})";
  return event;
}

Message letter_of(std::size_t number, Stage stage = Stage::create, const std::string& reason = "unavailable",
                  const std::string& time = "2024-01-01T00:00:00.000Z") {
  build::DeadLetter letter;
  letter.original = event_of(number);
  letter.reason = reason;
  letter.stage = stage;
  letter.first_time = letter.last_time = time;
  return to_message(letter);
}

std::vector<Message> letters(std::size_t count) {
  std::vector<Message> result;
  for (std::size_t number = 0; number < count; ++number) result.push_back(letter_of(number));
  return result;
}

std::size_t number_of(const Message& message) {
  return std::stoul(cloudevents::decode_amqp(message).value().id);
}

std::vector<std::size_t> numbers_of(const std::vector<Message>& messages) {
  std::vector<std::size_t> numbers;
  for (const Message& message : messages) numbers.push_back(number_of(message));
  return numbers;
}

std::vector<std::size_t> range(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> numbers(end - begin);
  std::iota(numbers.begin(), numbers.end(), begin);
  return numbers;
}

std::vector<std::size_t> filtered(std::vector<std::size_t> numbers, bool (*wanted)(std::size_t)) {
  std::erase_if(numbers, [wanted](std::size_t number) { return !wanted(number); });
  return numbers;
}

// What the queue has, without a list of all in a failure's text.
void expect_equal(const std::vector<std::size_t>& found, const std::vector<std::size_t>& expected) {
  EXPECT_EQ(found.size(), expected.size());
  const auto [at, wanted] = std::ranges::mismatch(found, expected);
  if (at != found.end() && wanted != expected.end())
    ADD_FAILURE() << "at " << at - found.begin() << " there is " << *at << ", not " << *wanted;
}

class RedriveTest : public testing::Test {
 protected:
  // All of them confirmed.
  void fill(const std::string& queue, const std::vector<Message>& messages) {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t confirmed = 0;
    std::size_t ended = 0;
    amqp::PublisherSettings settings{connection_to(broker_.uri()), messages.size() + 1, std::size_t{1} << 30};
    amqp::Publisher publisher(settings, log_);
    for (const Message& message : messages) {
      publisher.publish("", queue, message, Clock::now() + patience,
                        [&](const amqp::Confirmation& confirmation) {
                          const std::lock_guard lock(mutex);
                          confirmed += confirmation.ending == amqp::Ending::confirmed ? 1U : 0U;
                          ++ended;
                          changed.notify_all();
                        });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended == messages.size(); });
    ASSERT_EQ(confirmed, messages.size());
  }

  // All that are ready, in the queue's order; they are not there any more then.
  std::vector<Message> take(const std::string& queue) {
    amqp::Wakeup wakeup;
    auto reader = amqp::Reader::open({connection_to(broker_.uri()), queue}, wakeup);
    if (!reader) throw std::runtime_error(reader.error().message);
    std::vector<Message> messages;
    while (true) {
      auto delivery = (*reader)->next().value();
      if (delivery) {
        EXPECT_TRUE((*reader)->ack(delivery->token));
        messages.push_back(std::move(delivery->message));
        continue;
      }
      const bool all = messages.size() >= (*reader)->ready_at_start();
      if (all && (*reader)->count_ready().value() == 0) break;
      EXPECT_TRUE((*reader)->wait(true, Clock::now() + seconds(1)));
    }
    EXPECT_TRUE((*reader)->close(Clock::now() + patience));
    return messages;
  }

  // The same, when all that it is to have are there: what was held is back a moment after its connection
  // ended.
  std::vector<Message> take(const std::string& queue, std::uint64_t count) {
    wait_for_ready(queue, count);
    return take(queue);
  }

  std::uint64_t ready(const std::string& queue) {
    return amqp::Reader::count_ready({connection_to(broker_.uri()), queue}).value();
  }

  // What a connection that has ended held is back a moment later.
  void wait_for_ready(const std::string& queue, std::uint64_t count) {
    const TimePoint end = Clock::now() + patience;
    amqp::Wakeup wakeup;
    while (ready(queue) != count) {
      ASSERT_LT(Clock::now(), end) << "the queue does not get its messages back";
      wakeup.wait(-1, Clock::now() + milliseconds(20));
    }
  }

  Plan plan(const std::string& queue, const std::string& target) {
    Plan plan;
    plan.connection = connection_to(broker_.uri());
    plan.queue = queue;
    plan.routing_key = target;
    plan.retry = {milliseconds(20), milliseconds(500)};
    return plan;
  }

  Outcome run(const Plan& plan, const OnProgress& on_progress = {}) {
    return redrive::run(plan, on_progress, stop_.get_token(), log_);
  }

  support::RabbitMq broker_;
  base::Log log_{base::Level::error};
  std::stop_source stop_;
};

// ---------------------------------------------------------------------------------------------------------------------
// The reader

class ReaderTest : public RedriveTest, public testing::WithParamInterface<const char*> {
 protected:
  // Reads so many and keeps them.
  static void read(amqp::Reader& reader, std::size_t count) {
    const TimePoint end = Clock::now() + patience;
    for (std::size_t got = 0; got < count;) {
      const auto delivery = reader.next().value();
      got += delivery ? 1 : 0;
      if (!delivery) ASSERT_TRUE(reader.wait(true, end));
      ASSERT_LT(Clock::now(), end) << "only " << got << " came";
    }
  }
  std::unique_ptr<amqp::Reader> open(const std::string& queue) {
    return amqp::Reader::open({connection_to(broker_.uri()), queue}, wakeup_).value();
  }

  amqp::Wakeup wakeup_;
};

INSTANTIATE_TEST_SUITE_P(OnBothTypesOfQueue, ReaderTest, testing::Values(quorum, classic),
                         [](const auto& info) { return info.param == quorum ? "quorum" : "classic"; });

TEST_P(ReaderTest, LeavesWhatItDoesNotAcknowledgeInOrder) {
  const std::string queue = broker_.declare_queue(GetParam());
  fill(queue, letters(5000));
  for (const std::size_t kept : {3000U, 100U, 4999U, 1U, 0U, 5000U}) {
    auto reader = open(queue);
    EXPECT_EQ(reader->ready_at_start(), 5000U);
    read(*reader, kept);
    ASSERT_TRUE(reader->close(Clock::now() + patience));
    wait_for_ready(queue, 5000);
  }
  expect_equal(numbers_of(take(queue)), range(0, 5000));
}

TEST_P(ReaderTest, LeavesThemInOrderAlsoWhenItsConnectionIsCut) {
  const std::string queue = broker_.declare_queue(GetParam());
  fill(queue, letters(5000));
  {
    auto reader = open(queue);
    read(*reader, 3000);  // several windows
  }
  expect_equal(numbers_of(take(queue, 5000)), range(0, 5000));
}

TEST_P(ReaderTest, TakesOutWhatItAcknowledges) {
  const std::string queue = broker_.declare_queue(GetParam());
  fill(queue, letters(3000));
  auto reader = open(queue);
  const TimePoint end = Clock::now() + patience;
  for (std::size_t number = 0; number < 3000;) {
    const auto delivery = reader->next().value();
    if (!delivery) {
      ASSERT_TRUE(reader->wait(true, end));
      continue;
    }
    ASSERT_EQ(number_of(delivery->message), number);
    if (number % 3 == 0) ASSERT_TRUE(reader->ack(delivery->token));
    ++number;
  }
  ASSERT_TRUE(reader->close(Clock::now() + patience));
  expect_equal(numbers_of(take(queue, 2000)),
               filtered(range(0, 3000), [](std::size_t number) { return number % 3 != 0; }));
}

TEST_P(ReaderTest, DoesNotMissWhatComesLater) {
  const std::string queue = broker_.declare_queue(GetParam());
  auto reader = open(queue);
  EXPECT_EQ(reader->ready_at_start(), 0U);
  EXPECT_FALSE(reader->next().value());
  fill(queue, letters(1));
  read(*reader, 1);
  EXPECT_EQ(reader->count_ready().value(), 0U);
}

TEST_F(RedriveTest, TheReaderSaysThatThereIsNoSuchQueue) {
  amqp::Wakeup wakeup;
  const auto reader = amqp::Reader::open({connection_to(broker_.uri()), broker_.new_name("no")}, wakeup);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().kind, ErrorKind::not_found);
}

TEST_F(RedriveTest, TheReaderEndsAWaitWhenItIsWoken) {
  const std::string queue = broker_.declare_queue();
  amqp::Wakeup wakeup;
  auto reader = amqp::Reader::open({connection_to(broker_.uri()), queue}, wakeup).value();
  for (const bool for_message : {true, false}) {
    std::thread waker([&] { wakeup.signal(); });
    EXPECT_TRUE(reader->wait(for_message, Clock::now() + patience));
    waker.join();
  }
}

TEST_F(RedriveTest, TheReaderNoticesThatItsQueueOrConnectionIsGone) {
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  amqp::Uri uri = broker_.uri();
  uri.port = proxy.port();
  amqp::Wakeup wakeup;
  const auto outcome_of = [&](amqp::Reader& reader) {
    const TimePoint end = Clock::now() + patience;
    while (Clock::now() < end) {
      if (const auto next = reader.next(); !next) return next.error();
      if (const auto waited = reader.wait(true, end); !waited) return waited.error();
    }
    return base::Error{ErrorKind::internal, "it did not notice", ""};
  };
  const std::string queue = broker_.declare_queue();
  auto cut = amqp::Reader::open({connection_to(uri), queue}, wakeup).value();
  proxy.cut();
  EXPECT_EQ(outcome_of(*cut).kind, ErrorKind::unavailable);
  auto deleted = amqp::Reader::open({connection_to(uri), queue}, wakeup).value();
  broker_.delete_queue(queue);
  EXPECT_THAT(outcome_of(*deleted).message, HasSubstr("was the queue"));
}

// ---------------------------------------------------------------------------------------------------------------------
// The redrive

class RedriveOnTest : public RedriveTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(OnBothTypesOfQueue, RedriveOnTest, testing::Values(quorum, classic),
                         [](const auto& info) { return info.param == quorum ? "quorum" : "classic"; });

TEST_P(RedriveOnTest, MovesEachLetterOnceAndInOrder) {
  constexpr std::size_t count = 10000;
  const std::string queue = broker_.declare_queue(GetParam());
  const std::string target = broker_.declare_queue(GetParam());
  fill(queue, letters(count));
  const TimePoint began = Clock::now();
  const Outcome outcome = run(plan(queue, target));
  const std::chrono::duration<double> took = Clock::now() - began;
  std::cout << count << " letters in " << took.count() << " s: " << static_cast<double>(count) / took.count()
            << " a second\n";
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_EQ(outcome.counts.total, count);
  EXPECT_EQ(outcome.counts.scanned, count);
  EXPECT_EQ(outcome.counts.matched, count);
  EXPECT_EQ(outcome.counts.moved, count);
  EXPECT_EQ(outcome.counts.skipped, 0U);
  EXPECT_EQ(outcome.counts.remaining, 0U);
  EXPECT_EQ(outcome.counts.gone, 0U);
  EXPECT_THAT(outcome.counts.matched_per_reason, ElementsAre(Pair("unavailable", count)));
  EXPECT_EQ(ready(queue), 0U);
  const std::vector<Message> moved = take(target, count);
  expect_equal(numbers_of(moved), range(0, count));
  for (const Message& message : moved) {
    const Event event = cloudevents::decode_amqp(message).value();
    ASSERT_EQ(event, event_of(number_of(message)));
  }
}

TEST_P(RedriveOnTest, LeavesWhatDoesNotMatchInOrder) {
  constexpr std::size_t count = 3000;
  const std::string queue = broker_.declare_queue(GetParam());
  const std::string target = broker_.declare_queue(GetParam());
  fill(queue, letters(count));
  Plan some = plan(queue, target);
  some.filter.third_party_id = "tenant-1";
  const auto matches = [](std::size_t number) { return number % 3 == 1; };
  const auto others = [](std::size_t number) { return number % 3 != 1; };

  // Three runs, so that what went back is read and goes back again.
  some.limit = 10;
  for (const std::size_t moved : {10U, 20U}) {
    wait_for_ready(queue, count - moved + 10);
    const Outcome limited = run(some);
    EXPECT_EQ(limited.ending, Ending::limited) << limited.error.message;
    EXPECT_EQ(limited.counts.moved, 10U);
    EXPECT_EQ(limited.counts.remaining, limited.counts.total - limited.counts.scanned);
    EXPECT_EQ(limited.counts.total, count - moved + 10);
  }
  some.limit.reset();
  wait_for_ready(queue, count - 20);
  const Outcome outcome = run(some);
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_EQ(outcome.counts.matched, count / 3 - 20);
  EXPECT_EQ(outcome.counts.moved, count / 3 - 20);
  EXPECT_EQ(outcome.counts.skipped, 2 * count / 3);
  EXPECT_EQ(outcome.counts.scanned, count - 20);
  EXPECT_THAT(outcome.counts.skipped_per_cause, ElementsAre(Pair("filtered", 2 * count / 3)));
  expect_equal(numbers_of(take(target, count / 3)), filtered(range(0, count), matches));
  expect_equal(numbers_of(take(queue, 2 * count / 3)), filtered(range(0, count), others));
}

TEST_P(RedriveOnTest, ADryRunCountsAndMovesNothing) {
  const std::string queue = broker_.declare_queue(GetParam());
  const std::string target = broker_.declare_queue(GetParam());
  fill(queue, letters(1000));
  Plan dry = plan(queue, target);
  dry.dry_run = true;
  dry.filter.third_party_id = "tenant-0";
  const Outcome all = run(dry);
  EXPECT_EQ(all.ending, Ending::completed) << all.error.message;
  EXPECT_EQ(all.counts.matched, 334U);
  EXPECT_EQ(all.counts.skipped, 666U);
  EXPECT_EQ(all.counts.moved, 0U);
  EXPECT_EQ(all.counts.remaining, 0U);
  dry.limit = 7;
  wait_for_ready(queue, 1000);
  const Outcome limited = run(dry);
  EXPECT_EQ(limited.ending, Ending::limited);
  EXPECT_EQ(limited.counts.matched, 7U);
  EXPECT_EQ(ready(target), 0U);
  expect_equal(numbers_of(take(queue, 1000)), range(0, 1000));
}

TEST_F(RedriveTest, CountsTheAttemptsOfFailedBuilds) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, {letter_of(0, Stage::build), letter_of(1, Stage::create)});
  ASSERT_EQ(run(plan(queue, target)).ending, Ending::completed);
  std::vector<Message> moved = take(target, 2);
  ASSERT_EQ(moved.size(), 2U);
  EXPECT_EQ(moved[0].headers["ce-lambdaattempt"], "1");
  EXPECT_FALSE(moved[1].headers.contains("ce-lambdaattempt"));

  // It fails again, and again.
  build::DeadLetter letter;
  letter.original = cloudevents::decode_amqp(moved[0]).value();
  letter.stage = Stage::build;
  fill(queue, {to_message(letter)});
  ASSERT_EQ(run(plan(queue, target)).ending, Ending::completed);
  EXPECT_EQ(take(target, 1).at(0).headers["ce-lambdaattempt"], "2");
}

TEST_F(RedriveTest, MovesWhatTheBrokerItselfDeadLettered) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  const std::string expiring = broker_.declare_queue(json{
      {"x-queue-type", "quorum"},
      {"x-message-ttl", 0},
      {"x-dead-letter-exchange", ""},
      {"x-dead-letter-routing-key", queue}}.dump());
  fill(expiring, {cloudevents::encode_amqp(event_of(0))});
  wait_for_ready(queue, 1);
  fill(queue, {letter_of(1)});
  Plan expired = plan(queue, target);
  expired.filter.reason = "expired";
  expired.filter.after = std::chrono::floor<milliseconds>(std::chrono::system_clock::now()) - seconds(60);
  const Outcome outcome = run(expired);
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_THAT(outcome.counts.matched_per_reason, ElementsAre(Pair("expired", 1)));
  const std::vector<Message> moved = take(target, 1);
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0], cloudevents::encode_amqp(event_of(0)));
  EXPECT_THAT(numbers_of(take(queue, 1)), ElementsAre(1));
}

TEST_F(RedriveTest, LeavesWhatIsNoEventAndSaysSo) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  Message anything;
  anything.body = "anything";
  fill(queue, {anything, letter_of(0)});
  const Outcome outcome = run(plan(queue, target));
  EXPECT_EQ(outcome.ending, Ending::completed);
  EXPECT_EQ(outcome.counts.moved, 1U);
  EXPECT_THAT(outcome.counts.skipped_per_cause, ElementsAre(Pair("undecodable", 1)));
  const std::vector<Message> left = take(queue, 1);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].body, "anything");
}

TEST_F(RedriveTest, LeavesLettersThatComeWhileItRuns) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, letters(2000));
  bool came = false;
  const Outcome outcome = run(plan(queue, target), [&](const Progress& progress) {
    if (progress.counts.moved > 0 && !std::exchange(came, true))
      fill(queue, {letter_of(5000), letter_of(5001), letter_of(5002)});
    return true;
  });
  ASSERT_TRUE(came);
  EXPECT_EQ(outcome.ending, Ending::completed);
  EXPECT_EQ(outcome.counts.moved, 2000U);
  expect_equal(numbers_of(take(target, 2000)), range(0, 2000));
  EXPECT_THAT(numbers_of(take(queue, 3)), ElementsAre(5000, 5001, 5002));
}

TEST_F(RedriveTest, TellsItsProgressBeforeItMovesAnythingAndEveryFewLetters) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, letters(3000));
  std::vector<Progress> told;
  run(plan(queue, target), [&](const Progress& progress) {
    told.push_back(progress);
    return true;
  });
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().counts.moved, 0U);
  EXPECT_EQ(told.front().checkpoint.value().total, 3000U);
  for (std::size_t i = 1; i < told.size(); ++i) {
    // A hundred may be confirmed between one look and the next.
    EXPECT_LE(told[i].counts.moved, told[i - 1].counts.moved + 600);
    EXPECT_GE(told[i].counts.moved, told[i - 1].counts.moved);
    EXPECT_EQ(told[i].checkpoint.value().started_at, told.front().checkpoint.value().started_at);
  }
  EXPECT_GE(told.back().counts.moved, 2400U);
}

TEST_F(RedriveTest, GoesOnWhereItWasStopped) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, letters(3000));
  Plan going_on = plan(queue, target);
  const Outcome first = run(going_on, [](const Progress& progress) { return progress.counts.moved < 1000; });
  EXPECT_EQ(first.ending, Ending::stopped);
  EXPECT_GE(first.counts.moved, 1000U);
  EXPECT_LT(first.counts.moved, 3000U);
  const std::string later = base::format_rfc3339(std::chrono::system_clock::now() + std::chrono::hours(1));
  fill(queue, {letter_of(5000, Stage::create, "unavailable", later)});
  // What was stopped in good order is known exactly, but a restart can't know that.
  going_on.checkpoint = parse_checkpoint(json::parse(to_json(first.checkpoint.value()).dump())).value();
  const Outcome second = run(going_on);
  EXPECT_EQ(second.ending, Ending::completed) << second.error.message;
  EXPECT_EQ(second.counts.total, 3000U);
  EXPECT_EQ(second.counts.moved, 3000U);
  EXPECT_EQ(second.counts.scanned, 3000U);
  EXPECT_EQ(second.counts.gone, 0U);
  expect_equal(numbers_of(take(target, 3000)), range(0, 3000));
  EXPECT_THAT(numbers_of(take(queue, 1)), ElementsAre(5000));
}

TEST_F(RedriveTest, StopsByItsTokenAlsoWhileItWaits) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, letters(100));
  Plan slow = plan(queue, target);
  slow.rate = 1;
  std::thread stopper;
  const Outcome outcome = run(slow, [&](const Progress& progress) {
    if (progress.counts.moved > 0 && !stopper.joinable())
      stopper = std::thread([this] { stop_.request_stop(); });
    return true;
  });
  stopper.join();
  EXPECT_EQ(outcome.ending, Ending::stopped);
  EXPECT_LT(outcome.counts.moved, 100U);
  EXPECT_EQ(take(target).size(), outcome.counts.moved);
  expect_equal(numbers_of(take(queue, 100 - outcome.counts.moved)), range(outcome.counts.moved, 100));
}

TEST_F(RedriveTest, AMissingTargetIsSaidAndNothingIsAcknowledged) {
  const std::string queue = broker_.declare_queue(quorum);
  fill(queue, letters(300));
  const Outcome no_queue = run(plan(queue, broker_.new_name("no-target")));
  EXPECT_EQ(no_queue.ending, Ending::failed);
  EXPECT_EQ(no_queue.error.kind, ErrorKind::not_found);
  EXPECT_THAT(no_queue.error.message, HasSubstr("no queue for the message"));
  EXPECT_EQ(no_queue.counts.moved, 0U);
  Plan plan_without = plan(queue, "key");
  plan_without.exchange = broker_.new_name("no-exchange");
  const Outcome no_exchange = run(plan_without);
  EXPECT_EQ(no_exchange.ending, Ending::failed);
  EXPECT_EQ(no_exchange.error.kind, ErrorKind::not_found);
  EXPECT_THAT(no_exchange.error.message, HasSubstr(plan_without.exchange));
  expect_equal(numbers_of(take(queue, 300)), range(0, 300));
}

TEST_F(RedriveTest, AMissingDeadLetterQueueIsSaid) {
  const Outcome outcome = run(plan(broker_.new_name("no-queue"), "target"));
  EXPECT_EQ(outcome.ending, Ending::failed);
  EXPECT_EQ(outcome.error.kind, ErrorKind::not_found);
}

TEST_F(RedriveTest, ABrokerThatIsAwayIsWaitedForBeforeItBegins) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, letters(10));
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  proxy.refuse(true);
  amqp::Uri uri = broker_.uri();
  uri.port = proxy.port();
  Plan waiting = plan(queue, target);
  waiting.connection = connection_to(uri);
  const Outcome stopped = run(waiting, [](const Progress& progress) { return progress.trouble.empty(); });
  EXPECT_EQ(stopped.ending, Ending::stopped);
  EXPECT_FALSE(stopped.checkpoint);  // it knows nothing of the queue yet
  std::string trouble;
  const Outcome outcome = run(waiting, [&](const Progress& progress) {
    if (!progress.trouble.empty()) trouble = progress.trouble;
    EXPECT_EQ(progress.checkpoint.has_value(), progress.counts.total != 0);
    proxy.refuse(trouble.empty());
    return true;
  });
  EXPECT_FALSE(trouble.empty());
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  expect_equal(numbers_of(take(target, 10)), range(0, 10));
}

TEST_F(RedriveTest, AQueueWithADeliveryLimitIsRefused) {
  Plan limited = plan("queue", "target");
  limited.delivery_limit = 20;
  const Outcome outcome = run(limited);
  EXPECT_EQ(outcome.ending, Ending::failed);
  EXPECT_EQ(outcome.error.kind, ErrorKind::conflict);
}

TEST_F(RedriveTest, AFullTargetIsWaitedForAndThenGivenUp) {
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(R"({"x-max-length": 5, "x-overflow": "reject-publish"})");
  fill(queue, letters(10));
  Plan patient = plan(queue, target);
  std::string trouble;
  patient.patience = milliseconds(1);
  const Outcome given_up = run(patient);
  EXPECT_EQ(given_up.ending, Ending::failed);
  EXPECT_EQ(given_up.error.kind, ErrorKind::unavailable);
  wait_for_ready(queue, 10 - given_up.counts.moved);

  patient.patience = patience;
  patient.checkpoint = given_up.checkpoint;
  std::vector<Message> moved;
  const Outcome outcome = run(patient, [&](const Progress& progress) {
    if (progress.trouble.empty()) return true;
    trouble = progress.trouble;
    for (Message& message : take(target)) moved.push_back(std::move(message));
    return true;
  });
  for (Message& message : take(target)) moved.push_back(std::move(message));
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_THAT(trouble, HasSubstr("full"));
  EXPECT_EQ(outcome.counts.moved, 10U);
  std::vector<std::size_t> numbers = numbers_of(moved);
  std::ranges::sort(numbers);
  expect_equal(numbers, range(0, 10));
  EXPECT_EQ(ready(queue), 0U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Faults: nothing is lost, and what is doubled is the same event

struct Found {
  std::set<std::size_t> events;
  std::size_t doubled = 0;
};

Found found_in(const std::vector<Message>& messages) {
  Found found;
  for (const Message& message : messages) {
    const std::size_t number = number_of(message);
    EXPECT_EQ(cloudevents::decode_amqp(message).value(), event_of(number));
    found.doubled += found.events.insert(number).second ? 0U : 1U;
  }
  return found;
}

TEST_F(RedriveTest, SurvivesThatItsConnectionsAreCut) {
  constexpr std::size_t count = 5000;
  const std::string queue = broker_.declare_queue(quorum);
  const std::string target = broker_.declare_queue(quorum);
  fill(queue, letters(count));
  support::TcpProxy proxy(broker_.uri().host, broker_.uri().port);
  amqp::Uri uri = broker_.uri();
  uri.port = proxy.port();
  Plan cut = plan(queue, target);
  cut.connection = connection_to(uri);
  std::size_t cuts = 0;
  const Outcome outcome = run(cut, [&](const Progress& progress) {
    if (progress.counts.moved > 900 * (cuts + 1) && cuts < 5) {
      proxy.cut();
      ++cuts;
    }
    return true;
  });
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_GE(cuts, 3U);
  const Found found = found_in(take(target));
  EXPECT_EQ(found.events.size(), count);
  EXPECT_EQ(ready(queue), 0U);
  std::cout << cuts << " cuts doubled " << found.doubled << " of " << count << '\n';
}

TEST_P(RedriveOnTest, SurvivesTheDeathOfTheBroker) {
  constexpr std::size_t count = 10000;
  const std::string queue = broker_.declare_queue(GetParam());
  const std::string target = broker_.declare_queue(GetParam());
  fill(queue, letters(count));
  std::atomic<std::uint64_t> moved = 0;
  std::atomic<bool> killed = false;
  Plan slow = plan(queue, target);
  slow.rate = 1000;  // the broker is to be killed in the middle, however long that takes
  Outcome outcome;
  std::thread redriving([&] {
    outcome = run(slow, [&](const Progress& progress) {
      moved = progress.counts.moved;
      if (moved + 1000 >= count) killed.wait(false);
      return true;
    });
  });
  const TimePoint end = Clock::now() + patience;
  amqp::Wakeup pause;
  while (moved < 1000 && Clock::now() < end) pause.wait(-1, Clock::now() + milliseconds(10));
  std::uint64_t moved_before = 0;
  {
    const support::DeadBroker dead;
    moved_before = moved;
    killed = true;
    killed.notify_all();
  }
  redriving.join();
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_LT(moved_before, count) << "it was over before the broker died";
  const Found found = found_in(take(target));
  EXPECT_EQ(found.events.size(), count);
  EXPECT_EQ(ready(queue), 0U);
  std::cout << "killed after " << moved_before << " of " << count << ", doubled " << found.doubled
            << ", moved " << outcome.counts.moved << '\n';
}

// -- The operator is killed: a process of its own, which notes its progress in a file

constexpr const char* child_variable = "REDRIVE_CHILD";  // queue, target, file

void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint) {
  std::filesystem::path fresh = file;
  fresh += ".new";
  std::ofstream(fresh) << to_json(checkpoint).dump();
  std::filesystem::rename(fresh, file);
}

std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  return parse_checkpoint(json::parse(std::ifstream(file))).value();
}

TEST_F(RedriveTest, DISABLED_Child) {
  const char* const words = std::getenv(child_variable);
  ASSERT_NE(words, nullptr) << "this is the process that another test kills";
  const json settings = json::parse(words);
  const std::filesystem::path file = settings.at("file").get<std::string>();
  Plan resumed = plan(settings.at("queue"), settings.at("target"));
  resumed.checkpoint = read_checkpoint(file);
  const Outcome outcome = run(resumed, [&](const Progress& progress) {
    if (progress.checkpoint) write_checkpoint(file, *progress.checkpoint);
    return true;
  });
  EXPECT_EQ(outcome.ending, Ending::completed) << outcome.error.message;
  EXPECT_EQ(outcome.counts.remaining, 0U);
  std::cout << "moved " << outcome.counts.moved << ", gone " << outcome.counts.gone << '\n';
}

pid_t start_child(const json& settings) {
  ::setenv(child_variable, settings.dump().c_str(), 1);
  std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string filter = "--gtest_filter=RedriveTest.DISABLED_Child";
  std::string also = "--gtest_also_run_disabled_tests";
  std::string brief = "--gtest_brief=1";
  std::array<char*, 5> words{program.data(), filter.data(), also.data(), brief.data(), nullptr};
  pid_t child = -1;
  if (::posix_spawn(&child, program.c_str(), nullptr, nullptr, words.data(), environ) != 0)
    throw std::runtime_error("cannot start " + program);
  return child;
}

TEST_P(RedriveOnTest, SurvivesThatItsProcessIsKilledAgainAndAgain) {
  constexpr std::size_t count = 10000;
  constexpr int kills = 12;
  const std::string queue = broker_.declare_queue(GetParam());
  const std::string target = broker_.declare_queue(GetParam());
  fill(queue, letters(count));
  const std::filesystem::path file = std::filesystem::temp_directory_path() / (queue + ".json");
  const json settings = {{"queue", queue}, {"target", target}, {"file", file.string()}};
  std::mt19937 random(std::random_device{}());
  amqp::Wakeup pause;
  int killed = 0;
  while (true) {
    const pid_t child = start_child(settings);
    int status = 0;
    if (killed < kills) {
      const auto life = milliseconds(std::uniform_int_distribution<>(20, 250)(random));
      pause.wait(-1, Clock::now() + life);
      ::kill(child, SIGKILL);
      ++killed;
    }
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
  }
  const Found found = found_in(take(target));
  EXPECT_EQ(found.events.size(), count);
  EXPECT_EQ(ready(queue), 0U);
  std::cout << killed << " kills doubled " << found.doubled << " of " << count << '\n';
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace lambda::redrive
