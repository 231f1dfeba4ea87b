#include "queue/drain_rate.h"

#include <limits>

#include <gtest/gtest.h>

namespace lambda::queue {
namespace {

using base::TimePoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

class DrainRateTest : public testing::Test {
 protected:
  // One item at the end of each interval.
  void drain(int count, milliseconds interval) {
    for (int i = 0; i < count; ++i) {
      now_ += interval;
      rate_.drained(now_);
    }
  }
  double per_second() const { return rate_.per_second(now_); }
  seconds retry_after(std::size_t queue_size) const { return rate_.retry_after(queue_size, now_); }

  TimePoint now_ = TimePoint() + std::chrono::hours(1);
  DrainRate rate_;
};

TEST_F(DrainRateTest, IsZeroBeforeAnythingLeft) {
  EXPECT_EQ(per_second(), 0);
  EXPECT_EQ(retry_after(100), seconds(1));
}

TEST_F(DrainRateTest, FindsASteadyRateSoonAndKeepsIt) {
  drain(40, milliseconds(50));
  EXPECT_NEAR(per_second(), 20, 2);
  drain(20 * 120, milliseconds(50));
  EXPECT_NEAR(per_second(), 20, 0.5);
}

TEST_F(DrainRateTest, ForgetsHalfOfAChangeInTenSeconds) {
  drain(100 * 120, milliseconds(10));
  drain(10 * 10, milliseconds(100));
  EXPECT_NEAR(per_second(), (100 + 10) / 2.0, 1);
  drain(10 * 60, milliseconds(100));
  EXPECT_NEAR(per_second(), 10, 1);
}

TEST_F(DrainRateTest, FallsWhileNothingLeavesAndIsZeroAfterAMinute) {
  drain(100 * 60, milliseconds(10));
  const double busy = per_second();
  now_ += seconds(10);
  EXPECT_NEAR(per_second(), busy / 2, 1);
  now_ += seconds(49);
  EXPECT_GT(per_second(), 0);
  now_ += seconds(1);
  EXPECT_EQ(per_second(), 0);
  EXPECT_EQ(retry_after(1000), seconds(1));
}

TEST_F(DrainRateTest, ABurstAfterAPauseCountsForItself) {
  drain(60, seconds(1));
  now_ += seconds(60);
  drain(500, milliseconds(2));
  EXPECT_NEAR(per_second(), 500, 25);
}

TEST_F(DrainRateTest, WhatLeavesAtOneInstantIsNoInfiniteRate) {
  drain(10, milliseconds(0));
  EXPECT_NEAR(per_second(), 100, 1);
}

TEST_F(DrainRateTest, ComingBackTakesAsLongAsTheQueueNeedsToEmpty) {
  drain(10 * 120, milliseconds(100));
  EXPECT_EQ(retry_after(0), seconds(1));
  EXPECT_EQ(retry_after(5), seconds(1));
  EXPECT_EQ(retry_after(95), seconds(10));
  EXPECT_EQ(retry_after(285), seconds(29));
  EXPECT_EQ(retry_after(500), seconds(30));
  EXPECT_EQ(retry_after(std::numeric_limits<std::size_t>::max()), seconds(30));
}

TEST_F(DrainRateTest, TooFewSayNothing) {
  drain(4, seconds(20));
  EXPECT_EQ(retry_after(1000), seconds(1));
  drain(1, seconds(20));
  EXPECT_EQ(retry_after(1000), seconds(30));
}

}  // namespace
}  // namespace lambda::queue
