#include "pool/breaker.h"

#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lambda::pool {
namespace {

using base::Error;
using base::ErrorKind;
using base::TimePoint;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using State = Breaker::State;

Error error(ErrorKind kind, unsigned http_status, std::optional<seconds> retry_after = std::nullopt) {
  return {kind, "what the API server said", "", retry_after, http_status};
}

const Error no_connection = error(ErrorKind::unavailable, 0);
const Error silence = error(ErrorKind::timeout, 0);
const Error server_error = error(ErrorKind::unavailable, 500);

Error throttled(seconds retry_after) {
  return error(ErrorKind::unavailable, 429, retry_after);
}

class BreakerTest : public testing::Test {
 protected:
  void fail(const Error& why) { breaker_.failed(why, now_, now_); }
  void fail(const Error& why, unsigned times) {
    for (unsigned i = 0; i < times; ++i) fail(why);
  }
  // To the next probe, which fails.
  void fail_probe(const Error& why) {
    now_ = *breaker_.next_probe();
    ASSERT_TRUE(breaker_.may_try(now_));
    fail(why);
  }
  seconds until_probe() const { return std::chrono::duration_cast<seconds>(*breaker_.next_probe() - now_); }

  double random_ = 0.999999;  // the whole wait, but for the last millisecond
  TimePoint now_ = TimePoint() + std::chrono::hours(1);
  Breaker breaker_{Breaker::Settings(), [this] { return random_; }};
};

TEST_F(BreakerTest, ClosedItLetsEverybodyTry) {
  EXPECT_EQ(breaker_.state(), State::closed);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(breaker_.may_try(now_));
  EXPECT_EQ(breaker_.next_probe(), std::nullopt);
  EXPECT_EQ(breaker_.retry_after(now_), seconds(1));
  EXPECT_EQ(breaker_.last_failure(), std::nullopt);
}

TEST_F(BreakerTest, OpensAfterTwoTriesWithoutAnyAnswer) {
  fail(no_connection);
  EXPECT_EQ(breaker_.state(), State::closed);
  fail(silence);
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_FALSE(breaker_.may_try(now_));
  EXPECT_EQ(breaker_.consecutive_failures(), 2U);
  EXPECT_EQ(breaker_.last_failure()->kind, ErrorKind::timeout);
}

TEST_F(BreakerTest, AnAnswerBetweenIsNoSilence) {
  fail(no_connection);
  fail(server_error);
  fail(no_connection);
  EXPECT_EQ(breaker_.state(), State::closed);
}

TEST_F(BreakerTest, OpensWhenAllAreRefused) {
  const std::vector<Error> refusals = {error(ErrorKind::unauthenticated, 401),
                                       error(ErrorKind::forbidden, 403), error(ErrorKind::not_found, 404),
                                       server_error, error(ErrorKind::timeout, 504)};
  for (const Error& refusal : refusals) {
    EXPECT_EQ(breaker_.state(), State::closed);
    fail(refusal);
  }
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_EQ(breaker_.consecutive_failures(), 5U);
}

TEST_F(BreakerTest, ASuccessBetweenKeepsItClosed) {
  fail(server_error, 4);
  breaker_.succeeded();
  EXPECT_EQ(breaker_.consecutive_failures(), 0U);
  fail(server_error, 4);
  EXPECT_EQ(breaker_.state(), State::closed);
  fail(server_error);
  EXPECT_EQ(breaker_.state(), State::open);
}

TEST_F(BreakerTest, WhatOnlyThisJobIsAtFaultForProvesThatTheApiServerWorks) {
  const std::vector<Error> proofs = {
      error(ErrorKind::invalid, 422), error(ErrorKind::too_large, 413), error(ErrorKind::conflict, 409),
      error(ErrorKind::unavailable, 409)};  // the Job of that name is being deleted, say
  for (const Error& proof : proofs) {
    fail(server_error, 4);
    fail(proof);
    EXPECT_EQ(breaker_.consecutive_failures(), 0U) << base::to_string(proof.kind);
    EXPECT_EQ(breaker_.last_failure(), std::nullopt);
  }
}

TEST_F(BreakerTest, ARetryAfterOpensAtOnceAndIsHonoured) {
  fail(throttled(seconds(7)));
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_EQ(breaker_.next_probe(), now_ + seconds(7));
  EXPECT_EQ(breaker_.retry_after(now_), seconds(7));
  EXPECT_FALSE(breaker_.may_try(now_ + seconds(7) - milliseconds(1)));
  EXPECT_TRUE(breaker_.may_try(now_ + seconds(7)));
}

TEST_F(BreakerTest, ARetryAfterBeyondAllMeasureIsCut) {
  fail(throttled(seconds::max()));
  EXPECT_EQ(until_probe(), seconds(300));
}

TEST_F(BreakerTest, ARetryAfterIsNotUndoneByWhatBeganBeforeIt) {
  fail(throttled(seconds(7)));
  breaker_.succeeded();
  fail(error(ErrorKind::conflict, 409));
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_EQ(until_probe(), seconds(7));
}

TEST_F(BreakerTest, ALateSuccessOfAnOlderTryCloses) {
  fail(no_connection, 2);
  breaker_.succeeded();
  EXPECT_TRUE(breaker_.may_try(now_));
}

TEST_F(BreakerTest, OneProbeAtATime) {
  fail(no_connection, 2);
  now_ = *breaker_.next_probe();
  EXPECT_TRUE(breaker_.may_try(now_));
  EXPECT_EQ(breaker_.state(), State::probing);
  EXPECT_EQ(breaker_.next_probe(), std::nullopt);
  EXPECT_FALSE(breaker_.may_try(now_ + seconds(60)));
  breaker_.succeeded();
  EXPECT_EQ(breaker_.state(), State::closed);
  EXPECT_TRUE(breaker_.may_try(now_));
  EXPECT_TRUE(breaker_.may_try(now_));
}

TEST_F(BreakerTest, EachFailedProbeDoublesTheWaitUpToALimit) {
  fail(no_connection, 2);
  std::vector<seconds::rep> told;
  for (int i = 0; i < 7; ++i) {
    told.push_back(breaker_.retry_after(now_).count());
    fail_probe(server_error);
  }
  EXPECT_THAT(told, ElementsAre(1, 2, 4, 8, 16, 30, 30));
  EXPECT_EQ(breaker_.consecutive_failures(), 9U);
}

TEST_F(BreakerTest, AProbeThatIsThrottledWaitsLongerEachTimeToo) {
  fail(throttled(seconds(1)));
  for (int i = 0; i < 3; ++i) fail_probe(throttled(seconds(1)));
  EXPECT_EQ(breaker_.retry_after(now_), seconds(8));
}

TEST_F(BreakerTest, JitterTakesAtMostHalfAWay) {
  random_ = 0;
  fail(no_connection, 2);
  EXPECT_EQ(breaker_.next_probe(), now_ + milliseconds(500));
  for (int i = 0; i < 3; ++i) fail_probe(no_connection);
  EXPECT_EQ(breaker_.next_probe(), now_ + seconds(4));
  for (int i = 0; i < 10; ++i) fail_probe(no_connection);
  EXPECT_EQ(breaker_.next_probe(), now_ + seconds(15));
}

TEST_F(BreakerTest, AfterASuccessItStartsFromTheShortestWaitAgain) {
  fail(no_connection, 2);
  for (int i = 0; i < 4; ++i) fail_probe(no_connection);
  breaker_.succeeded();
  fail(no_connection, 2);
  EXPECT_EQ(breaker_.retry_after(now_), seconds(1));
}

TEST_F(BreakerTest, WhatBeganBeforeItOpenedDoesNotLengthenTheWait) {
  const TimePoint before = now_;
  now_ += seconds(1);
  fail(no_connection, 2);
  const auto due = breaker_.next_probe();
  breaker_.failed(throttled(seconds(60)), before, now_);
  EXPECT_EQ(breaker_.next_probe(), due);

  now_ = *due;
  ASSERT_TRUE(breaker_.may_try(now_));
  breaker_.failed(silence, before, now_);  // the probe is still on its way
  EXPECT_EQ(breaker_.state(), State::probing);
  EXPECT_EQ(breaker_.consecutive_failures(), 2U);

  breaker_.succeeded();
  for (int i = 0; i < 9; ++i) breaker_.failed(silence, before, now_);
  EXPECT_EQ(breaker_.state(), State::closed);
}

TEST_F(BreakerTest, AnAbandonedProbeGoesToTheNextCaller) {
  fail(no_connection, 2);
  now_ = *breaker_.next_probe();
  ASSERT_TRUE(breaker_.may_try(now_));
  breaker_.probe_abandoned(now_);
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_TRUE(breaker_.may_try(now_));
  EXPECT_FALSE(breaker_.may_try(now_));
  fail(error(ErrorKind::internal, 0));  // a mistake of ours, so nothing was found out
  EXPECT_TRUE(breaker_.may_try(now_));
}

TEST_F(BreakerTest, WithoutAProbeThereIsNothingToAbandon) {
  breaker_.probe_abandoned(now_);
  EXPECT_EQ(breaker_.state(), State::closed);
  fail(no_connection, 2);
  const auto due = breaker_.next_probe();
  breaker_.probe_abandoned(now_);
  EXPECT_EQ(breaker_.next_probe(), due);
}

TEST_F(BreakerTest, TellsTheTimeToTheNextProbe) {
  fail(throttled(seconds(10)));
  EXPECT_EQ(breaker_.retry_after(now_ + milliseconds(2500)), seconds(8));
  EXPECT_EQ(breaker_.retry_after(now_ + seconds(60)), seconds(1));
  ASSERT_TRUE(breaker_.may_try(now_ + seconds(60)));
  EXPECT_EQ(breaker_.retry_after(now_ + seconds(60)), seconds(10));
}

// However tries end: once it is open, at most one a wait reaches the API server until one succeeds.
TEST_F(BreakerTest, AnApiServerInTroubleIsProbedSlowerAndSlower) {
  std::mt19937 random(7);
  const std::vector<Error> failures = {no_connection, silence, server_error, throttled(seconds(2)),
                                       error(ErrorKind::forbidden, 403)};
  fail(no_connection, 2);
  int tries = 0;
  for (const TimePoint end = now_ + seconds(300); now_ < end; now_ += milliseconds(10)) {
    if (!breaker_.may_try(now_)) continue;
    ++tries;
    random_ = std::uniform_real_distribution<double>(0, 1)(random);
    fail(failures[random() % failures.size()]);
  }
  EXPECT_GE(tries, 10);
  EXPECT_LE(tries, 26);  // 6 until the wait is at its limit, then one in 15 s or more
}

}  // namespace
}  // namespace lambda::pool
