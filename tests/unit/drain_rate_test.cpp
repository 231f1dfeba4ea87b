#include "queue/drain_rate.h"

#include <gtest/gtest.h>

namespace lambda::queue {
namespace {

using base::milliseconds;
using base::TimePoint;
using std::chrono::seconds;

const TimePoint start{std::chrono::hours(1)};

DrainRate drained_for(seconds time, int per_second) {
  DrainRate rate;
  const milliseconds step(1000 / per_second);
  for (TimePoint now = start; now < start + time; now += step) rate.drained(now);
  return rate;
}

TEST(DrainRate, KnowsNothingAtFirst) {
  const DrainRate rate;
  EXPECT_EQ(rate.per_second(start), 0);
  EXPECT_EQ(rate.retry_after(1000, start), seconds(1));
}

TEST(DrainRate, IsTheRateOfLate) {
  for (const seconds time : {seconds(3), seconds(20), seconds(300)}) {
    EXPECT_NEAR(drained_for(time, 50).per_second(start + time), 50, 1) << time.count();
  }
}

TEST(DrainRate, FadesWhenNothingIsDrained) {
  const DrainRate rate = drained_for(seconds(300), 50);
  EXPECT_NEAR(rate.per_second(start + seconds(310)), 25, 1);
  EXPECT_LT(rate.per_second(start + seconds(600)), 0.1);
}

TEST(DrainRate, SaysWhenTheQueueWillHaveBeenWorkedOff) {
  const DrainRate rate = drained_for(seconds(300), 50);
  const TimePoint now = start + seconds(300);
  EXPECT_EQ(rate.retry_after(0, now), seconds(1));
  EXPECT_EQ(rate.retry_after(480, now), seconds(10));
  EXPECT_EQ(rate.retry_after(100'000, now), seconds(30));
  EXPECT_EQ(rate.retry_after(1, now + std::chrono::hours(1000)), seconds(30)) << "as good as no rate at all";
}

}  // namespace
}  // namespace lambda::queue
