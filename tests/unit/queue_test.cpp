#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "queue/fair_queue.h"

namespace lambda::queue {
namespace {

using base::TimePoint;
using std::chrono::seconds;

const TimePoint start{};

using Queue = FairQueue<std::string>;

std::vector<std::string> take_all(Queue& queue, TimePoint now = start) {
  std::vector<std::string> out;
  while (auto item = queue.take(now)) out.push_back(*item);
  return out;
}

TEST(FairQueue, TenantsTakeTurnsWhateverTheyHold) {
  Queue queue(100, 100);
  for (const char* item : {"a1", "a2", "a3", "a4"}) queue.offer("a", 1, item);
  queue.offer("b", 1, "b1");
  queue.offer("c", 1, "c1");
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"a1", "b1", "c1", "a2", "a3", "a4"}));
}

TEST(FairQueue, PriorityOrdersATenantsOwnItemsOnly) {
  Queue queue(100, 100);
  queue.offer("a", 0, "a-low");
  queue.offer("b", 1, "b");
  queue.offer("a", 9, "a-high");
  queue.offer("a", 9, "a-high-later");
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"a-high", "b", "a-high-later", "a-low"}));
}

TEST(FairQueue, IsBoundedInAllAndByTenant) {
  Queue queue(3, 2);
  EXPECT_EQ(queue.offer("a", 1, "1"), Admission::admitted);
  EXPECT_EQ(queue.offer("a", 1, "2"), Admission::admitted);
  EXPECT_EQ(queue.offer("a", 1, "3"), Admission::tenant_full);
  EXPECT_EQ(queue.offer("b", 1, "4"), Admission::admitted);
  EXPECT_EQ(queue.offer("c", 1, "5"), Admission::full);
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(*queue.take(start), "1");
  EXPECT_EQ(queue.offer("a", 1, "6"), Admission::admitted);
}

TEST(FairQueue, ARetryIsHeldAndWaitsForItsTime) {
  Queue queue(2, 1);
  queue.put_back("a", 1, "retry", start + seconds(5));
  EXPECT_EQ(queue.next_due(), start + seconds(5));
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.waiting_for_retry(), 1U);
  EXPECT_EQ(queue.offer("a", 1, "next"), Admission::tenant_full);
  EXPECT_EQ(queue.take(start + seconds(4)), std::nullopt);
  EXPECT_EQ(queue.take(start + seconds(5)), "retry");
  EXPECT_EQ(queue.next_due(), std::nullopt);
  EXPECT_EQ(queue.offer("a", 1, "next"), Admission::admitted);
}

TEST(FairQueue, ADueRetryGoesBeforeLaterItemsOfItsTenant) {
  Queue queue(10, 10);
  queue.put_back("a", 1, "retry", start);
  queue.offer("a", 1, "later");
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"retry", "later"}));
}

TEST(FairQueue, ForgetsTenantsThatHoldNothing) {
  Queue queue(2, 2);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(queue.offer("tenant" + std::to_string(i), 1, "x"), Admission::admitted);
    ASSERT_TRUE(queue.take(start));
  }
  EXPECT_EQ(queue.size(), 0U);
}

}  // namespace
}  // namespace lambda::queue
