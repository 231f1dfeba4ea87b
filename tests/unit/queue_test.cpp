#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/fair_queue.h"

namespace lambda::queue {
namespace {

using base::TimePoint;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

const TimePoint start{};

using Queue = FairQueue<std::string>;

Settings bounded(std::size_t max_size, std::size_t max_per_tenant) {
  return {.max_size = max_size, .max_per_tenant = max_per_tenant, .priority_step = seconds(2)};
}

Settings weighted(std::map<std::string, double, std::less<>> weights) {
  Settings settings = bounded(100'000, 100'000);
  settings.weights = std::move(weights);
  return settings;
}

std::vector<std::string> take_all(Queue& queue, TimePoint now = start) {
  std::vector<std::string> out;
  while (auto item = queue.take(now)) out.push_back(*item);
  return out;
}

Admission admission(Queue& queue, const std::string& tenant, int priority, const std::string& item) {
  return queue.offer(tenant, priority, item, start).admission;
}

void fill(Queue& queue, const std::string& tenant, int count) {
  for (int i = 1; i <= count; ++i)
    ASSERT_EQ(admission(queue, tenant, 1, tenant + std::to_string(i)), Admission::admitted);
}

// How often each tenant is among the next `takes`.
std::map<std::string, int> shares(Queue& queue, int takes) {
  std::map<std::string, int> out;
  for (int i = 0; i < takes; ++i) ++out[queue.take(start)->substr(0, 1)];
  return out;
}

TEST(FairQueue, TenantsTakeTurnsWhateverTheyHold) {
  Queue queue(bounded(100, 100));
  fill(queue, "a", 4);
  fill(queue, "b", 1);
  fill(queue, "c", 1);
  EXPECT_THAT(take_all(queue), ElementsAre("a1", "b1", "c1", "a2", "a3", "a4"));
}

TEST(FairQueue, ATenantThatOffersOneAtATimeGetsNoMoreThanItsTurn) {
  Queue queue(bounded(100, 100));
  fill(queue, "a", 50);
  fill(queue, "b", 1);
  std::map<char, int> taken;
  for (int i = 0; i < 40; ++i) {
    const std::string item = *queue.take(start);
    ++taken[item[0]];
    if (item[0] == 'b') queue.offer("b", 1, "b", start);
  }
  EXPECT_EQ(taken['a'], 20);
  EXPECT_EQ(taken['b'], 20);
}

TEST(FairQueue, AWeightIsAShareOfTheTakes) {
  Queue queue(weighted({{"b", 3}, {"c", 0.5}}));
  for (const char* tenant : {"a", "b", "c"}) fill(queue, tenant, 400);
  EXPECT_THAT(shares(queue, 450), ElementsAre(Pair("a", 100), Pair("b", 300), Pair("c", 50)));
}

TEST(FairQueue, AWeightThatIsNoneIsBounded) {
  Queue queue(weighted({{"b", 0}, {"c", std::numeric_limits<double>::quiet_NaN()}, {"d", -1}, {"e", 1e300}}));
  for (const char* tenant : {"a", "b", "c", "d", "e"}) fill(queue, tenant, 3);
  EXPECT_EQ(take_all(queue).size(), 15U);
}

TEST(FairQueue, PriorityOrdersATenantsOwnItemsOnly) {
  Queue queue(bounded(100, 100));
  queue.offer("a", 0, "a-low", start);
  queue.offer("b", 1, "b", start);
  queue.offer("a", 9, "a-high", start);
  queue.offer("a", 9, "a-high-later", start);
  EXPECT_THAT(take_all(queue), ElementsAre("a-high", "b", "a-high-later", "a-low"));
}

TEST(FairQueue, WaitingOneStepIsWorthOnePriority) {
  Queue queue(bounded(100, 100));
  queue.offer("a", 1, "waited", start);
  queue.offer("a", 2, "almost a step later", start + milliseconds(1999));
  queue.offer("a", 2, "more than a step later", start + milliseconds(2001));
  EXPECT_THAT(take_all(queue), ElementsAre("almost a step later", "waited", "more than a step later"));
}

TEST(FairQueue, NothingStarvesBehindAStreamOfHigherPriority) {
  Queue queue(bounded(1000, 1000));
  TimePoint now = start;
  queue.offer("a", 0, "low", now);
  std::string taken;
  while (taken != "low" && now < start + seconds(60)) {
    queue.offer("a", 10, "high", now);
    queue.offer("a", 10, "high", now);
    taken = *queue.take(now);
    now += milliseconds(100);
  }
  EXPECT_EQ(taken, "low");
  // The stream's items that came within ten steps are twice as many as were taken in that time.
  EXPECT_LE(now, start + 2 * 10 * seconds(2) + seconds(1));
}

TEST(FairQueue, PrioritiesBeyondAllMeasureAreBounded) {
  Queue queue(bounded(10, 10));
  queue.offer("a", std::numeric_limits<int>::min(), "last", start);
  queue.offer("a", 0, "middle", start);
  queue.offer("a", std::numeric_limits<int>::max(), "first", start);
  EXPECT_THAT(take_all(queue), ElementsAre("first", "middle", "last"));
}

TEST(FairQueue, IsBoundedInAllAndByTenant) {
  Queue queue(bounded(3, 2));
  EXPECT_EQ(admission(queue, "a", 1, "1"), Admission::admitted);
  EXPECT_EQ(admission(queue, "b", 1, "2"), Admission::admitted);
  EXPECT_EQ(admission(queue, "b", 1, "3"), Admission::admitted);
  EXPECT_EQ(admission(queue, "b", 1, "4"), Admission::tenant_full);
  EXPECT_EQ(admission(queue, "a", 1, "5"), Admission::full);
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(*queue.take(start), "1");
  EXPECT_EQ(admission(queue, "a", 1, "6"), Admission::admitted);
}

TEST(FairQueue, AQueueOfNoSizeAdmitsNothing) {
  Queue queue(bounded(0, 1));
  EXPECT_EQ(admission(queue, "a", 1, "1"), Admission::full);
}

TEST(FairQueue, TheLargestHolderGivesWayWhenFull) {
  Queue queue(bounded(4, 4));
  queue.offer("a", 9, "a-high", start);
  queue.offer("a", 0, "a-low", start);
  queue.offer("a", 0, "a-low-last", start);
  queue.offer("a", 9, "a-high-last", start);
  const Offer<std::string> first = queue.offer("b", 1, "b1", start);
  EXPECT_EQ(first.admission, Admission::admitted);
  EXPECT_EQ(first.displaced, "a-low-last");
  EXPECT_EQ(queue.offer("b", 1, "b2", start).displaced, "a-low");
  const Offer<std::string> beyond_its_share = queue.offer("b", 1, "b3", start);
  EXPECT_EQ(beyond_its_share.admission, Admission::full);
  EXPECT_EQ(beyond_its_share.displaced, std::nullopt);
  EXPECT_EQ(queue.size(), 4U);
  EXPECT_THAT(take_all(queue), ElementsAre("a-high", "b1", "a-high-last", "b2"));
}

TEST(FairQueue, ATenantNeverGivesWayToItself) {
  Queue queue(bounded(3, 4));
  fill(queue, "a", 3);
  EXPECT_EQ(admission(queue, "a", 10, "urgent"), Admission::full);
  EXPECT_THAT(take_all(queue), ElementsAre("a1", "a2", "a3"));
}

TEST(FairQueue, WhatATenantHoldsIsMeasuredByItsWeight) {
  Settings settings = bounded(8, 8);
  settings.weights = {{"heavy", 3.0}};
  Queue queue(std::move(settings));
  fill(queue, "heavy", 6);  // 2 for its weight
  fill(queue, "b", 2);
  EXPECT_EQ(queue.offer("c", 1, "c1", start).displaced, "b2");  // of equals, the one that got there last
  EXPECT_EQ(admission(queue, "b", 1, "b3"), Admission::full);
  EXPECT_EQ(queue.offer("d", 1, "d1", start).displaced, "heavy6");
}

void take_in_turn(Queue& queue, const std::string& tenant, int count) {
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(admission(queue, tenant, 1, "one"), Admission::admitted);
    ASSERT_TRUE(queue.take(start));
  }
}

// A queue for 100, in which the flood has had its way until now.
Queue flooded() {
  Queue queue(bounded(100, 25));
  take_in_turn(queue, "flood", 1000);
  fill(queue, "flood", 25);
  return queue;
}

TEST(FairQueue, WhoTookMuchLatelyGivesWayToThoseThatComeWithAFew) {
  Queue queue = flooded();
  for (char tenant = 'A'; tenant < 'J'; ++tenant) fill(queue, std::string(1, tenant), 10);
  fill(queue, "J", 9);
  EXPECT_EQ(queue.size(), 100U);
  EXPECT_THAT(queue.deepest(100), Contains(Pair("flood", 1U)));
  EXPECT_EQ(admission(queue, "flood", 1, "more"), Admission::full);
  EXPECT_EQ(admission(queue, "J", 1, "J10"), Admission::full);
  EXPECT_EQ(shares(queue, 11)["f"], 1) << "it keeps its turn";
}

TEST(FairQueue, WhatWasTakenIsForgottenAsOthersTake) {
  Queue queue(bounded(10, 10));
  take_in_turn(queue, "a", 100);
  take_in_turn(queue, "b", 50);
  fill(queue, "a", 5);
  fill(queue, "b", 5);
  EXPECT_EQ(queue.offer("c", 1, "c1", start).displaced, "b5");
}

TEST(FairQueue, ASingleItemDoesNotGiveWayForWhatWasTaken) {
  Queue queue(bounded(2, 2));
  take_in_turn(queue, "a", 100);
  fill(queue, "a", 1);
  fill(queue, "b", 1);
  EXPECT_EQ(admission(queue, "c", 1, "c1"), Admission::full);
}

TEST(FairQueue, ARetryThatWaitsGivesWayToNobody) {
  Queue queue(bounded(2, 2));
  queue.put_back("a", 1, "retry 1", start, start + seconds(5));
  queue.put_back("a", 1, "retry 2", start, start + seconds(5));
  EXPECT_EQ(admission(queue, "b", 1, "b"), Admission::full);
  EXPECT_EQ(queue.take(start + seconds(5)), "retry 1");
  queue.put_back("a", 1, "retry 1", start, start + seconds(9));
  EXPECT_EQ(queue.offer("b", 1, "b", start + seconds(5)).displaced, "retry 2");  // it was due
}

TEST(FairQueue, ADisplacedLastItemEndsItsTenantsTurn) {
  Queue queue(bounded(2, 2));
  queue.put_back("a", 1, "retry", start, start + seconds(5));
  fill(queue, "a", 1);
  EXPECT_EQ(queue.offer("b", 1, "b", start).displaced, "a1");
  EXPECT_THAT(take_all(queue), ElementsAre("b"));
  EXPECT_THAT(take_all(queue, start + seconds(5)), ElementsAre("retry"));
  EXPECT_EQ(queue.tenants(), 0U);
}

TEST(FairQueue, ARetryIsHeldAndWaitsForItsTime) {
  Queue queue(bounded(2, 1));
  queue.put_back("a", 1, "retry", start, start + seconds(5));
  EXPECT_EQ(queue.next_due(), start + seconds(5));
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.waiting_for_retry(), 1U);
  EXPECT_EQ(admission(queue, "a", 1, "next"), Admission::tenant_full);
  EXPECT_EQ(queue.take(start + seconds(4)), std::nullopt);
  EXPECT_EQ(queue.take(start + seconds(5)), "retry");
  EXPECT_EQ(queue.next_due(), std::nullopt);
  EXPECT_EQ(admission(queue, "a", 1, "next"), Admission::admitted);
}

TEST(FairQueue, ADueRetryGoesBeforeWhatCameLater) {
  Queue queue(bounded(10, 10));
  queue.offer("a", 1, "earlier", start);
  queue.offer("a", 1, "same time", start + seconds(1));
  queue.put_back("a", 1, "retry", start + seconds(1), start + seconds(3));
  queue.offer("a", 1, "later", start + seconds(2));
  EXPECT_THAT(take_all(queue, start + seconds(3)), ElementsAre("earlier", "retry", "same time", "later"));
}

TEST(FairQueue, KnowsTheArrivalOfTheOldest) {
  Queue queue(bounded(10, 10));
  EXPECT_EQ(queue.oldest(), std::nullopt);
  queue.offer("a", 9, "a", start + seconds(1));
  queue.offer("b", 9, "b", start + seconds(2));
  queue.put_back("c", 0, "c", start, start + seconds(60));
  EXPECT_EQ(queue.oldest(), start);
  EXPECT_EQ(queue.take(start + seconds(60)), "a");
  EXPECT_EQ(queue.oldest(), start);
  EXPECT_EQ(take_all(queue, start + seconds(60)).size(), 2U);
  EXPECT_EQ(queue.oldest(), std::nullopt);
}

TEST(FairQueue, NamesThoseThatHoldMost) {
  Queue queue(bounded(100, 100));
  fill(queue, "b", 3);
  fill(queue, "d", 1);
  fill(queue, "a", 3);
  fill(queue, "c", 5);
  queue.put_back("d", 1, "retry", start, start + seconds(5));
  EXPECT_THAT(queue.deepest(3), ElementsAre(Pair("c", 5U), Pair("a", 3U), Pair("b", 3U)));
  EXPECT_THAT(queue.deepest(100), ElementsAre(Pair("c", 5U), Pair("a", 3U), Pair("b", 3U), Pair("d", 2U)));
  EXPECT_TRUE(queue.deepest(0).empty());
  EXPECT_EQ(queue.tenants(), 4U);
}

// ---------------------------------------------------------------------------------------------------------------------

// Counts itself, so that nothing held, copied or moved goes unseen.
struct Counted {
  static inline long alive = 0;
  static inline long moves = 0;
  Counted() { ++alive; }
  Counted(Counted&& /*other*/) noexcept {
    ++alive;
    ++moves;
  }
  Counted& operator=(Counted&&) noexcept {
    ++moves;
    return *this;
  }
  ~Counted() { --alive; }
};

TEST(FairQueue, ManyTenantsCostNoMoreThanWhatIsHeld) {
  constexpr long tenant_count = 100'000;
  constexpr long max_size = 1000;
  constexpr long moves_per_item = 12;
  Counted::moves = 0;
  FairQueue<Counted> queue(bounded(max_size, 2));
  for (long i = 0; i < tenant_count; ++i) {
    queue.offer("tenant" + std::to_string(i), 1, Counted(), start);
    if (i >= max_size && i % 2 == 0) ASSERT_TRUE(queue.take(start));
    ASSERT_LE(queue.tenants(), static_cast<std::size_t>(max_size));
    ASSERT_LE(Counted::alive, max_size);
  }
  while (queue.take(start)) continue;
  EXPECT_EQ(queue.tenants(), 0U);
  EXPECT_EQ(Counted::alive, 0);
  EXPECT_LE(Counted::moves, tenant_count * moves_per_item);
}

// Were any step linear in what is held, this would take thousands of times as long, and the test run ends it.
TEST(FairQueue, HoldsManyTenantsAtOnce) {
  constexpr std::size_t tenant_count = 25'000;
  Queue queue(bounded(2 * tenant_count, 10));
  for (std::size_t i = 0; i < tenant_count; ++i) {
    queue.put_back(std::to_string(i), 1, "retry", start, start);
    queue.offer(std::to_string(i), 1, "new", start);
  }
  ASSERT_EQ(queue.size(), 2 * tenant_count);
  for (std::size_t i = 0; i < tenant_count; ++i)
    ASSERT_TRUE(queue.offer("n" + std::to_string(i), 1, "x", start).displaced);
  EXPECT_EQ(take_all(queue).size(), 2 * tenant_count);
  EXPECT_EQ(queue.tenants(), 0U);
}

// ---------------------------------------------------------------------------------------------------------------------

// What the queue promises, as plainly as it can be said: one list, searched from end to end each time.
class Model {
 public:
  explicit Model(Settings settings) : settings_(std::move(settings)) {}

  Offer<std::string> offer(const std::string& tenant, int priority, std::string item, TimePoint now) {
    if (held(tenant) >= settings_.max_per_tenant) return {Admission::tenant_full, std::nullopt};
    Offer<std::string> out;
    if (items_.size() >= settings_.max_size) {
      out.displaced = displace(share(tenant, 1));
      if (!out.displaced) return {Admission::full, std::nullopt};
    }
    add({tenant, priority, now, std::move(item), false, false, TimePoint::max(), ++step_});
    become_ready(items_.back());
    return out;
  }

  void put_back(const std::string& tenant, int priority, std::string item, TimePoint arrival, TimePoint due) {
    add({tenant, priority, arrival, std::move(item), true, true, due, ++step_});
  }

  std::optional<std::string> take(TimePoint now) {
    wake(now);
    if (turns_.empty()) return std::nullopt;
    const auto turn = std::min_element(turns_.begin(), turns_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::string tenant = turn->first;
    virtual_time_ = turn->second.first;
    turns_.erase(turn);
    const Entry taken = remove(own(tenant).front());
    if (!own(tenant).empty()) turns_[tenant] = {virtual_time_ + 1 / weight(tenant), ++step_};
    if (turns_.empty()) virtual_time_ = 0;
    ++lately_[tenant];
    if (++takes_ % settings_.max_size == 0)
      for (auto& [_, count] : lately_) count /= 2;
    return taken.item;
  }

  std::size_t size() const { return items_.size(); }

  std::optional<TimePoint> oldest() const {
    std::optional<TimePoint> out;
    for (const Entry& entry : items_) out = std::min(out.value_or(entry.arrival), entry.arrival);
    return out;
  }

  double share(const std::string& tenant, std::size_t more = 0) const {
    const std::size_t holds = held(tenant) + more;
    const auto lately = lately_.find(tenant);
    const bool counts = holds > 1 && lately != lately_.end();
    return static_cast<double>(counts ? holds + lately->second : holds) / weight(tenant);
  }

 private:
  struct Entry {
    std::string tenant;
    int priority;
    TimePoint arrival;
    std::string item;
    bool retried;
    bool waits;
    TimePoint due;
    int number;
  };

  double weight(const std::string& tenant) const {
    const auto found = settings_.weights.find(tenant);
    return found == settings_.weights.end() ? 1 : found->second;
  }

  std::size_t held(const std::string& tenant) const {
    return static_cast<std::size_t>(std::count_if(
        items_.begin(), items_.end(), [&](const Entry& entry) { return entry.tenant == tenant; }));
  }

  // The tenant's ready items in its order, as places in items_.
  std::vector<std::size_t> own(const std::string& tenant) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < items_.size(); ++i)
      if (items_[i].tenant == tenant && !items_[i].waits) out.push_back(i);
    const auto order = [this](std::size_t i) {
      const Entry& entry = items_[i];
      return std::tuple(entry.arrival - entry.priority * settings_.priority_step, !entry.retried,
                        entry.number);
    };
    std::sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
    return out;
  }

  void add(Entry entry) {
    changed_[entry.tenant] = ++step_;
    items_.push_back(std::move(entry));
  }

  Entry remove(std::size_t index) {
    const auto place = items_.begin() + static_cast<std::ptrdiff_t>(index);
    Entry out = *place;
    items_.erase(place);
    changed_[out.tenant] = ++step_;
    return out;
  }

  void become_ready(Entry& entry) {
    entry.waits = false;
    if (!turns_.contains(entry.tenant))
      turns_[entry.tenant] = {virtual_time_ + 1 / weight(entry.tenant), ++step_};
  }

  void wake(TimePoint now) {
    std::vector<Entry*> due;
    for (Entry& entry : items_)
      if (entry.waits && entry.due <= now) due.push_back(&entry);
    std::sort(due.begin(), due.end(), [](const Entry* a, const Entry* b) {
      return std::tie(a->due, a->number) < std::tie(b->due, b->number);
    });
    for (Entry* entry : due) become_ready(*entry);
  }

  std::optional<std::string> displace(double newcomers_share) {
    std::optional<std::pair<double, int>> most;
    std::string tenant;
    for (const Entry& entry : items_) {
      const std::pair<double, int> its{share(entry.tenant), changed_[entry.tenant]};
      if (most && its <= *most) continue;
      most = its;
      tenant = entry.tenant;
    }
    if (!most || most->first <= newcomers_share || own(tenant).empty()) return std::nullopt;
    const Entry out = remove(own(tenant).back());
    if (own(tenant).empty()) turns_.erase(tenant);
    return out.item;
  }

  const Settings settings_;
  std::vector<Entry> items_;
  std::map<std::string, std::pair<double, int>> turns_;
  std::map<std::string, int> changed_;         // when what the tenant holds changed last
  std::map<std::string, std::size_t> lately_;  // how much of it was taken
  std::size_t takes_ = 0;
  double virtual_time_ = 0;
  int step_ = 0;
};

class RandomQueue : public testing::TestWithParam<unsigned> {
 protected:
  int any(int first, int last) { return std::uniform_int_distribution<int>(first, last)(random_); }
  std::string any_tenant() { return std::string(1, static_cast<char>('a' + any(0, 5))); }
  Settings any_settings() {
    Settings settings = bounded(static_cast<std::size_t>(any(1, 20)), static_cast<std::size_t>(any(1, 20)));
    settings.weights = {{"a", 4}, {"b", 0.5}, {"c", 3}};
    return settings;
  }

 private:
  std::mt19937 random_{GetParam()};
};

TEST_P(RandomQueue, DoesWhatTheModelDoes) {
  struct Known {
    std::string tenant;
    int priority;
    TimePoint arrival;
  };
  const Settings settings = any_settings();
  Queue queue(settings);
  Model model(settings);
  std::map<std::string, Known> known;
  TimePoint now = start;
  for (int step = 0; step < 600; ++step) {
    now += milliseconds(any(0, 3) * 500);
    if (any(0, 9) < 6) {
      const Known what{any_tenant(), any(0, 10), now};
      const std::string item = what.tenant + std::to_string(step);
      known[item] = what;
      const auto expected = model.offer(what.tenant, what.priority, item, now);
      const auto offer = queue.offer(what.tenant, what.priority, item, now);
      ASSERT_EQ(offer.admission, expected.admission) << step;
      ASSERT_EQ(offer.displaced, expected.displaced) << step;
    } else {
      const std::optional<std::string> item = queue.take(now);
      ASSERT_EQ(item, model.take(now)) << step;
      if (item && any(0, 2) == 0) {
        const Known& what = known[*item];
        const TimePoint due = now + milliseconds(any(0, 8) * 250);
        queue.put_back(what.tenant, what.priority, *item, what.arrival, due);
        model.put_back(what.tenant, what.priority, *item, what.arrival, due);
      }
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_EQ(queue.oldest(), model.oldest());
  }
}

// Whatever else comes and goes: between two tenants that always hold something, the takes for their weights
// never differ by more than one of each.
TEST_P(RandomQueue, TenantsThatAlwaysHoldSomethingGetTheirShares) {
  Settings settings = bounded(10'000, 10'000);
  settings.weights = {{"a", 4}, {"b", 0.5}, {"c", 3}};
  Queue queue(std::move(settings));
  fill(queue, "a", 2000);
  fill(queue, "b", 2000);
  std::vector<double> ahead{0};  // of a, by takes for the weight
  for (int step = 0; step < 2000; ++step) {
    if (any(0, 1) == 0)
      queue.offer(std::string(1, static_cast<char>('c' + any(0, 5))), any(0, 10), "x", start);
    const std::string item = *queue.take(start);
    if (item[0] == 'a') ahead.push_back(ahead.back() + 1 / 4.0);
    if (item[0] == 'b') ahead.push_back(ahead.back() - 1 / 0.5);
  }
  const auto [least, most] = std::minmax_element(ahead.begin(), ahead.end());
  EXPECT_LE(*most - *least, 1 / 4.0 + 1 / 0.5);
  EXPECT_GT(ahead.size(), 500U);
}

INSTANTIATE_TEST_SUITE_P(FairQueue, RandomQueue, testing::Range(0U, 30U));

}  // namespace
}  // namespace lambda::queue
