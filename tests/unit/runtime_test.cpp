// The pure parts of the operator's runtime.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kube/answer.h"
#include "runtime/course.h"
#include "runtime/event_correlator.h"
#include "runtime/lease.h"
#include "runtime/line_buffer.h"
#include "runtime/list_page.h"
#include "runtime/object_store.h"
#include "runtime/watch_event.h"

namespace lambda::runtime {
namespace {

using api::ObjectKey;
using base::ErrorKind;
using base::milliseconds;
using base::TimePoint;
using nlohmann::json;
using testing::ElementsAre;
using What = Course::What;

base::Error answered(unsigned status) {
  return kube::to_error(kube::Answer{.status = status, .body = "", .retry_after = std::nullopt});
}

class ACourse : public testing::Test {
 protected:
  Course course_{{milliseconds(100), milliseconds(1'000)}, [] { return 0.5; }};
  const base::Error broken_{.kind = ErrorKind::unavailable, .message = "the connection broke", .field = {}};
};

TEST_F(ACourse, ListsAtOnceThenWatchesFromThere) {
  EXPECT_EQ(course_.next().what, What::list);
  EXPECT_EQ(course_.next().wait, milliseconds(0));
  course_.listed("7");
  EXPECT_EQ(course_.next().what, What::watch);
  EXPECT_EQ(course_.next().resource_version, "7");
  EXPECT_EQ(course_.next().wait, milliseconds(0));
}

TEST_F(ACourse, ResumesAnEndedWatchFromWhatItSawLast) {
  course_.listed("7");
  course_.seen("9");
  course_.seen("");  // an event without one is no step back
  course_.watch_ended(true, std::nullopt);
  EXPECT_EQ(course_.next().what, What::watch);
  EXPECT_EQ(course_.next().resource_version, "9");
  EXPECT_EQ(course_.next().wait, milliseconds(0));
}

TEST_F(ACourse, ABrokenWatchIsResumedAfterAWaitThatGrows) {
  course_.listed("7");
  std::vector<milliseconds> waits;
  for (int i = 0; i < 5; ++i) {
    course_.watch_ended(false, broken_);
    waits.push_back(course_.next().wait);
    EXPECT_EQ(course_.next().what, What::watch);
    EXPECT_EQ(course_.next().resource_version, "7");
  }
  EXPECT_THAT(waits, ElementsAre(milliseconds(50), milliseconds(100), milliseconds(200), milliseconds(400),
                                 milliseconds(500)));
  course_.watch_ended(true, broken_);
  EXPECT_EQ(course_.next().wait, milliseconds(50));
}

TEST_F(ACourse, AWatchThatEndsAtOnceIsNotRepeatedWithoutAWait) {
  course_.listed("7");
  course_.watch_ended(false, std::nullopt);
  EXPECT_EQ(course_.next().wait, milliseconds(50));
  course_.watch_ended(false, std::nullopt);
  EXPECT_EQ(course_.next().wait, milliseconds(100));
}

TEST_F(ACourse, AnExpiredVersionIsListedAnew) {
  course_.listed("7");
  course_.watch_ended(true, answered(410));
  EXPECT_EQ(course_.next().what, What::list);
  EXPECT_EQ(course_.next().wait, milliseconds(50));
}

TEST_F(ACourse, AListBeforeEachFailingWatchBecomesRare) {
  std::vector<milliseconds> waits;
  for (int i = 0; i < 4; ++i) {
    course_.listed("7");
    course_.watch_ended(false, answered(410));
    waits.push_back(course_.next().wait);
  }
  EXPECT_THAT(waits, ElementsAre(milliseconds(50), milliseconds(100), milliseconds(200), milliseconds(400)));
}

TEST_F(ACourse, AVersionThatIsRefusedForeverIsGivenUp) {
  course_.listed("7");
  int refusals = 0;
  while (course_.next().what == What::watch && refusals < 100) {
    course_.watch_ended(false, answered(500));
    ++refusals;
  }
  EXPECT_LT(refusals, 10);
  course_.listed("8");
  for (int i = 0; i < 100; ++i)
    course_.watch_ended(false, broken_);  // nobody said anything about the version
  EXPECT_EQ(course_.next().what, What::watch);
}

TEST_F(ACourse, WaitsForSomebodyToInstallTheKindOrGiveTheRight) {
  for (const unsigned status : {401U, 403U, 404U}) {
    course_.list_failed(answered(status));
    EXPECT_EQ(course_.next().what, What::list);
    EXPECT_EQ(course_.next().wait, milliseconds(45'000)) << status;
  }
}

TEST_F(ACourse, HonoursARetryAfterWithinReason) {
  base::Error busy = answered(429);
  busy.retry_after = std::chrono::seconds(7);
  course_.list_failed(busy);
  EXPECT_EQ(course_.next().wait, milliseconds(7'000));
  busy.retry_after = std::chrono::seconds(1'000'000'000'000);
  course_.list_failed(busy);
  EXPECT_EQ(course_.next().wait, milliseconds(60'000));
}

// ---------------------------------------------------------------------------------------------------------------------

std::vector<std::string> lines_of(const std::vector<std::string>& pieces) {
  LineBuffer buffer(100);
  std::vector<std::string> lines;
  for (const std::string& piece : pieces) {
    buffer.feed(piece, [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
  }
  return lines;
}

TEST(LineBuffer, PiecesMayEndAnywhere) {
  EXPECT_THAT(lines_of({"one\ntw", "o", "\n", "\nthree\nrest"}), ElementsAre("one", "two", "", "three"));
}

TEST(LineBuffer, ALineIsBounded) {
  LineBuffer buffer(5);
  const auto all = [](std::string_view) { return true; };
  EXPECT_TRUE(buffer.feed("12345\n123", all));
  EXPECT_FALSE(buffer.too_long());
  EXPECT_FALSE(buffer.feed("456", all));
  EXPECT_TRUE(buffer.too_long());
}

TEST(LineBuffer, EndsWhenTheReaderHasEnough) {
  LineBuffer buffer(10);
  int lines = 0;
  EXPECT_FALSE(buffer.feed("a\nb\nc\n", [&](std::string_view) { return ++lines < 2; }));
  EXPECT_EQ(lines, 2);
}

TEST(ListPage, HandsOverEachItemWhole) {
  std::vector<json> items;
  const auto end = read_list_page(
      R"({"kind": "JobList", "metadata": {"resourceVersion": "12", "continue": "c", "items": [{"no": 1}],
          "x": {"items": {}}},
          "items": [{"metadata": {"name": "a", "items": [{}]}}, {"metadata": {"name": "b"}, "spec": {"x": [1, {}]}}]})",
      [&](json&& item) { items.push_back(std::move(item)); });
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->resource_version, "12");
  EXPECT_EQ(end->continue_token, "c");
  EXPECT_THAT(items, ElementsAre(json::parse(R"({"metadata": {"name": "a", "items": [{}]}})"),
                                 json::parse(R"({"metadata": {"name": "b"}, "spec": {"x": [1, {}]}})")));
}

TEST(ListPage, WhatIsNoListIsAnError) {
  for (const char* const body : {"", "[]", "<html>", R"({"items": [{}]})", R"({"metadata": {}})",
                                 R"({"items": [{"metadata": {"name": "a"}}], "metadata": {"resourceVer)"}) {
    EXPECT_EQ(read_list_page(body, [](json&&) {}).error().kind, ErrorKind::unavailable) << body;
  }
}

TEST(WatchEvent, IsWhatTheLineSays) {
  const auto changed =
      parse_watch_event(R"({"type": "MODIFIED", "object": {"metadata": {"name": "a", "namespace": "n",
                                             "resourceVersion": "5"}}})");
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->type, WatchEvent::Type::changed);
  EXPECT_EQ(key_of(changed->object), (ObjectKey{"n", "a"}));
  EXPECT_EQ(resource_version_of(changed->object), "5");
  EXPECT_EQ(parse_watch_event(R"({"type": "DELETED", "object": {}})")->type, WatchEvent::Type::deleted);
  EXPECT_EQ(parse_watch_event(R"({"type": "BOOKMARK", "object": {}})")->type, WatchEvent::Type::bookmark);
}

TEST(WatchEvent, AnErrorInItIsTheAnswerOfTheApi) {
  const auto error = parse_watch_event(R"({"type": "ERROR", "object": {"kind": "Status", "code": 410}})");
  EXPECT_TRUE(kube::is_expired(error.error()));
  for (const char* const line :
       {"", "{}", R"({"type": "MODIFIED"})", R"({"type": "MODIFIED", "object": 1})",
        R"({"type": "MODIFIED", "object": {"metadata": {"na)", R"({"type": 1, "object": {}})"}) {
    EXPECT_EQ(parse_watch_event(line).error().kind, ErrorKind::unavailable) << line;
  }
}

// ---------------------------------------------------------------------------------------------------------------------

class AStore : public testing::Test {
 protected:
  void put(const char* name, const char* version, int value) {
    store_.upsert({"n", name}, version, json{{"value", value}});
  }
  std::vector<std::string> told() { return std::exchange(told_, {}); }

  static std::string text(const ObjectStore<int>::Pointer& value) {
    return value ? std::to_string(*value) : "none";
  }

  std::vector<std::string> told_;
  ObjectStore<int> store_{[](json&& object) -> std::optional<int> {
                            const int value = object["value"];
                            return value < 0 ? std::nullopt : std::optional(value);
                          },
                          [this](const ObjectKey& key, const auto& before, const auto& after) {
                            told_.push_back(key.name + ": " + text(before) + " -> " + text(after));
                          }};
};

TEST_F(AStore, TellsWhatWasAndWhatIs) {
  put("a", "1", 10);
  put("a", "2", 11);
  store_.erase({"n", "a"});
  EXPECT_THAT(told(), ElementsAre("a: none -> 10", "a: 10 -> 11", "a: 11 -> none"));
  EXPECT_EQ(store_.find({"n", "a"}), nullptr);
}

TEST_F(AStore, WhatIsTheSameIsNotTold) {
  put("a", "1", 10);
  put("a", "1", 10);
  put("a", "2", 10);  // what differs is not kept
  store_.erase({"n", "b"});
  EXPECT_THAT(told(), ElementsAre("a: none -> 10"));
}

TEST_F(AStore, WhatKeepRefusesIsNotThere) {
  put("a", "1", -1);
  put("b", "1", 1);
  put("b", "2", -1);
  EXPECT_THAT(told(), ElementsAre("b: none -> 1", "b: 1 -> none"));
  EXPECT_EQ(store_.size(), 0U);
}

TEST_F(AStore, WhatVanishedBetweenTwoListsIsToldAsGone) {
  put("a", "1", 1);
  put("b", "2", 2);
  put("c", "3", 3);
  told();
  store_.begin_list();
  put("a", "1", 1);
  put("c", "4", 4);
  put("d", "5", 5);
  store_.end_list();
  EXPECT_THAT(told(), ElementsAre("c: 3 -> 4", "d: none -> 5", "b: 2 -> none"));
}

TEST_F(AStore, AListThatBrokeOffTakesNothingAway) {
  store_.begin_list();
  put("a", "1", 1);
  put("b", "2", 2);
  store_.end_list();
  store_.begin_list();
  put("b", "2", 2);
  store_.begin_list();
  put("a", "1", 1);
  put("b", "2", 2);
  store_.end_list();
  EXPECT_EQ(store_.size(), 2U);
}

// ---------------------------------------------------------------------------------------------------------------------

const Lease held{.key = {"n", "l"},
                 .resource_version = "3",
                 .holder = "other",
                 .duration_seconds = 15,
                 .acquire_time = "t1",
                 .renew_time = "t2",
                 .transitions = 4};

TEST(Lease, IsWrittenAsItWasRead) {
  EXPECT_EQ(parse_lease(to_json(held)), held);
  EXPECT_FALSE(parse_lease(json::object()));
  EXPECT_FALSE(to_json(Lease{.key = {"n", "l"}})["metadata"].contains("resourceVersion"));
}

TEST(Lease, AChangeOfHolderIsATransition) {
  const Lease mine = taken(held, "me", 10, "now");
  EXPECT_EQ(mine.holder, "me");
  EXPECT_EQ(mine.transitions, 5);
  EXPECT_EQ(mine.acquire_time, "now");
  EXPECT_EQ(taken(mine, "me", 10, "later").transitions, 5);
  EXPECT_EQ(taken(Lease{.key = {"n", "l"}}, "me", 10, "now").transitions, 0);
  EXPECT_EQ(renewed(mine, "later").acquire_time, "now");
  EXPECT_EQ(renewed(mine, "later").renew_time, "later");
  EXPECT_EQ(released(mine, "later").holder, "");
}

TEST(LeaseObservation, ALeaseIsFreeWhenItWasSeenUnchangedForItsWholeDuration) {
  LeaseObservation observation;
  TimePoint now{};
  EXPECT_FALSE(observation.is_free(now));  // nobody knows yet
  observation.see(held, now);
  now += std::chrono::seconds(14);
  observation.see(held, now);
  EXPECT_FALSE(observation.is_free(now));
  EXPECT_TRUE(observation.is_free(now + std::chrono::seconds(1)));
  Lease again = renewed(held, "t3");
  again.resource_version = "4";
  observation.see(again, now);
  EXPECT_FALSE(observation.is_free(now + std::chrono::seconds(14)));
  observation.see(released(again, "t4"), now);
  EXPECT_TRUE(observation.is_free(now));
}

// ---------------------------------------------------------------------------------------------------------------------

class Events : public testing::Test {
 protected:
  static EventNote note(const char* message, const char* object = "q") {
    return {.regarding = {"v1", "X", {"n", object}, "uid"}, .reason = "R", .action = "A", .message = message};
  }
  std::optional<EventCorrelator::Send> admit(const EventNote& what) {
    return correlator_.admit(what, now_, "u");
  }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  EventCorrelator correlator_{EventSettings{.instance = "i",
                                            .burst_per_object = 3,
                                            .per_second_per_object = 0.1,
                                            .remembered_max = 4,
                                            .count_up_every = milliseconds(1'000)}};
};

TEST_F(Events, TheSameNoteIsCountedUpNowAndThen) {
  const auto first = admit(note("a"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name, "q.u");
  EXPECT_EQ(first->count, 1);
  EXPECT_FALSE(admit(note("a")));
  EXPECT_FALSE(admit(note("a")));
  now_ += milliseconds(1'000);
  const auto later = admit(note("a"));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->name, "q.u");
  EXPECT_EQ(later->count, 4);
}

TEST_F(Events, AnObjectWithTooManyGetsNoMoreForAWhile) {
  for (const char* const message : {"a", "b", "c"}) EXPECT_TRUE(admit(note(message))) << message;
  EXPECT_FALSE(admit(note("d")));
  EXPECT_TRUE(admit(note("d", "another")));
  now_ += std::chrono::seconds(10);
  EXPECT_TRUE(admit(note("d")));
}

TEST_F(Events, WhatWasForgottenIsMadeAnew) {
  EXPECT_EQ(admit(note("a"))->count, 1);
  correlator_.forget(note("a"));
  EXPECT_EQ(admit(note("a"))->count, 1);
}

TEST(Remembered, KeepsTheOnesThatWereUsedLast) {
  Remembered<int, int> remembered(2);
  remembered.insert(1, 10);
  remembered.insert(2, 20);
  EXPECT_NE(remembered.find(1), nullptr);
  remembered.insert(3, 30);
  EXPECT_EQ(remembered.find(2), nullptr);
  EXPECT_EQ(*remembered.find(1), 10);
  EXPECT_EQ(remembered.size(), 2U);
  remembered.insert(1, 11);
  EXPECT_EQ(remembered.size(), 2U);
  EXPECT_EQ(*remembered.find(1), 11);
}

}  // namespace
}  // namespace lambda::runtime
