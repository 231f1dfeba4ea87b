#include "runtime/work_schedule.h"

#include <array>
#include <atomic>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/work_queue.h"

namespace lambda::runtime {
namespace {

using base::milliseconds;
using base::TimePoint;
using testing::ElementsAre;

class Schedule : public testing::Test {
 protected:
  std::vector<std::string> take_all() {
    std::vector<std::string> keys;
    while (const auto key = schedule_.take(now_)) keys.push_back(*key);
    return keys;
  }
  void pass(milliseconds time) { now_ += time; }

  double random_value_ = 0;
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  RetryLimits limits_{.backoff = {milliseconds(100), milliseconds(1'000)}, .per_second = 1, .burst = 5};
  WorkSchedule<std::string> schedule_{limits_, [this] { return random_value_; }};
};

TEST_F(Schedule, AKeyStandsInItOnceAndInOrder) {
  for (const char* const key : {"b", "a", "b", "c", "a"}) schedule_.add(key);
  EXPECT_EQ(schedule_.ready(), 3U);
  EXPECT_THAT(take_all(), ElementsAre("b", "a", "c"));
}

TEST_F(Schedule, AKeyThatIsBeingWorkedOnIsNotTakenAgainBeforeItIsDone) {
  schedule_.add("a");
  ASSERT_THAT(take_all(), ElementsAre("a"));
  schedule_.add("a");
  schedule_.add("a");
  EXPECT_THAT(take_all(), ElementsAre());
  schedule_.done("a");
  EXPECT_THAT(take_all(), ElementsAre("a"));
  schedule_.done("a");
  EXPECT_THAT(take_all(), ElementsAre());
}

TEST_F(Schedule, ALaterTimeIsWaitedForAndTheEarliestCounts) {
  schedule_.add_at("a", now_ + milliseconds(50));
  schedule_.add_at("a", now_ + milliseconds(20));
  schedule_.add_at("a", now_ + milliseconds(70));
  EXPECT_EQ(schedule_.next_due(), now_ + milliseconds(20));
  EXPECT_THAT(take_all(), ElementsAre());
  pass(milliseconds(20));
  EXPECT_THAT(take_all(), ElementsAre("a"));
  schedule_.done("a");
  EXPECT_EQ(schedule_.next_due(), std::nullopt);
}

TEST_F(Schedule, WhatIsTakenGivesUpItsLaterTime) {
  schedule_.add_at("a", now_ + milliseconds(50));
  schedule_.add("a");
  ASSERT_THAT(take_all(), ElementsAre("a"));
  schedule_.done("a");
  EXPECT_EQ(schedule_.later(), 0U);
}

TEST_F(Schedule, ALaterTimeThatWasSetDuringTheWorkHolds) {
  schedule_.add("a");
  ASSERT_THAT(take_all(), ElementsAre("a"));
  schedule_.add_at("a", now_);
  EXPECT_EQ(schedule_.next_due(), std::nullopt);  // nobody is to be woken for it
  EXPECT_THAT(take_all(), ElementsAre());
  schedule_.done("a");
  EXPECT_EQ(schedule_.next_due(), now_);
  EXPECT_THAT(take_all(), ElementsAre("a"));
}

TEST_F(Schedule, DueKeysComeInTheOrderOfTheirTimes) {
  schedule_.add_at("a", now_ + milliseconds(3));
  schedule_.add_at("b", now_ + milliseconds(1));
  schedule_.add_at("c", now_ + milliseconds(2));
  pass(milliseconds(5));
  EXPECT_THAT(take_all(), ElementsAre("b", "c", "a"));
}

TEST_F(Schedule, FailuresWaitLongerAndLongerUpToTheLimit) {
  const auto fail = [this] { return schedule_.add_rate_limited("a", now_); };
  EXPECT_EQ(fail(), milliseconds(50));  // half of the backoff is certain
  EXPECT_EQ(fail(), milliseconds(100));
  random_value_ = 0.5;
  EXPECT_EQ(fail(), milliseconds(300));
  EXPECT_EQ(fail(), milliseconds(600));
  EXPECT_EQ(fail(), milliseconds(750));
  EXPECT_EQ(schedule_.failures("a"), 5U);
  schedule_.forget("a");
  pass(std::chrono::seconds(5));
  EXPECT_EQ(fail(), milliseconds(75));
}

TEST_F(Schedule, AllTogetherAreNoFasterThanTheLimit) {
  std::vector<milliseconds> waits;
  for (int i = 0; i < 8; ++i) waits.push_back(schedule_.add_rate_limited(std::to_string(i), now_));
  EXPECT_THAT(waits,
              ElementsAre(milliseconds(50), milliseconds(50), milliseconds(50), milliseconds(50),
                          milliseconds(50), milliseconds(1'000), milliseconds(2'000), milliseconds(3'000)));
}

// Counts which keys are being worked on, and by whom at the same time.
class Work {
 public:
  static constexpr int keys = 20;

  void take_from(WorkQueue<int>& queue, const std::stop_token& stop) {
    while (const auto key = queue.take(stop)) {
      std::atomic<int>& workers = working_.at(static_cast<std::size_t>(*key));
      if (workers++ > 0) ++together;
      ++worked;
      --workers;
      queue.done(*key);
    }
  }

  std::atomic<int> together = 0;
  std::atomic<int> worked = 0;

 private:
  std::array<std::atomic<int>, keys> working_{};
};

TEST(WorkQueue, HandsKeysToThreadsAndNoneToTwoAtATime) {
  constexpr int rounds = 200;
  WorkQueue<int> queue;
  Work work;
  std::stop_source stop;
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 4; ++i) workers.emplace_back([&] { work.take_from(queue, stop.get_token()); });
    for (int i = 0; i < rounds * Work::keys; ++i) queue.add(i % Work::keys);
    const auto end = base::Clock::now() + std::chrono::seconds(60);
    while (queue.ready() > 0 && base::Clock::now() < end) std::this_thread::yield();
    stop.request_stop();
  }
  EXPECT_EQ(work.together, 0);
  EXPECT_GE(work.worked, Work::keys);
  EXPECT_LE(work.worked, Work::keys * rounds);
}

TEST(WorkQueue, ATimeThatComesWakesWhoWaits) {
  WorkQueue<int> queue;
  queue.add_after(1, milliseconds(1));
  EXPECT_EQ(queue.take({}), 1);
}

TEST(WorkQueue, AStopEndsTheWait) {
  WorkQueue<int> queue;
  queue.add_after(1, std::chrono::hours(1));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(queue.take(stop.get_token()), std::nullopt);
}

}  // namespace
}  // namespace lambda::runtime
