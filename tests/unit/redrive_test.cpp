// The parts of operator/redrive that need no broker: letters, what is sent for them, counts, the rate.
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "build/attempt.h"
#include "build/dead_letter.h"
#include "cloudevents/amqp.h"
#include "redrive/letter.h"
#include "redrive/tally.h"

namespace lambda::redrive {
namespace {

using base::parse_rfc3339;
using build::DeadLetter;
using build::Stage;
using cloudevents::Event;
using ::testing::ElementsAre;
using ::testing::Pair;

Event event() {
  Event event;
  event.id = "event-1";
  event.source = "network.notifi.kaniko-jobs";
  event.type = "network.notifi.lambda.job.start";
  event.time = "2024-05-01T12:00:00Z";
  event.datacontenttype = "application/json";
  event.extensions = {{"traceparent", "00-a-b-01"}};
  event.data = R"({"third_party_id": "tenant-1", "parser_id": "parser-1", "parameters": {}})";
  return event;
}

DeadLetter envelope(Stage stage, Event original = event()) {
  DeadLetter letter;
  letter.original = std::move(original);
  letter.reason = "timeout";
  letter.error = "the build took longer than 30m";
  letter.stage = stage;
  letter.first_time = "2024-05-01T12:10:00.000Z";
  letter.last_time = "2024-05-01T12:20:00.000Z";
  letter.job_name = "kaniko-job-0";
  return letter;
}

amqp::Message of_builder(Stage stage = Stage::create) {
  return to_message(envelope(stage));
}

amqp::Message of_broker(const std::string& reason = "expired") {
  amqp::Message message = cloudevents::encode_amqp(event());
  message.headers["x-first-death-reason"] = reason;
  message.death = amqp::Death{reason, "kaniko-jobs", "2024-05-01T13:00:00.000Z"};
  return message;
}

// As Knative's dispatcher writes it: bare names, and what it adds.
amqp::Message of_dispatcher() {
  amqp::Message message;
  message.headers = {{"specversion", "1.0"},       {"id", event().id},
                     {"source", event().source},   {"type", event().type},
                     {"time", event().time},       {"content-type", "application/json"},
                     {"traceparent", "00-a-b-01"}, {"knativeerrordest", "http://builder.example"},
                     {"knativeerrorcode", "503"},  {"knativeerrordata", "eyJzdGF0dXMiOiJlcnJvciJ9"}};
  message.content_type = "application/json";
  message.body = event().data;
  return message;
}

amqp::Message raw() {
  DeadLetter letter = envelope(Stage::intake);
  letter.original = build::Undecodable{{{"a", "b"}}, "text/plain", "no event"};
  letter.reason = "unsupported";
  return to_message(letter);
}

// -- Letters
// ------------------------------------------------------------------------------------------------------

struct Read {
  const char* what;
  amqp::Message message;
  const char* reason;
  const char* died;
  bool build_failed;
  bool decodable;
};

TEST(Letter, SaysWhyAndWhenItDied) {
  amqp::Message broken = of_builder(Stage::build);
  broken.headers["x-lambda-stage"] = "elsewhere";
  amqp::Message zero_time = of_dispatcher();
  zero_time.headers["time"] = "0001-01-01T00:00:00Z";
  amqp::Message anything;
  anything.body = "anything";
  for (const Read& expected : std::vector<Read>{
           {"intake", of_builder(Stage::intake), "timeout", "2024-05-01T12:20:00Z", false, true},
           {"create", of_builder(Stage::create), "timeout", "2024-05-01T12:20:00Z", false, true},
           {"build", of_builder(Stage::build), "timeout", "2024-05-01T12:20:00Z", true, true},
           {"expired", of_broker("expired"), "expired", "2024-05-01T13:00:00Z", false, true},
           {"maxlen", of_broker("maxlen"), "maxlen", "2024-05-01T13:00:00Z", false, true},
           {"rejected", of_broker("rejected"), "rejected", "2024-05-01T13:00:00Z", false, true},
           {"delivery limit", of_broker("delivery_limit"), "delivery_limit", "2024-05-01T13:00:00Z", false,
            true},
           {"a forged death", of_broker("\xFF{}"), "unknown", "2024-05-01T13:00:00Z", false, true},
           {"dispatcher", of_dispatcher(), "undelivered", "2024-05-01T12:00:00Z", false, true},
           {"year 1", zero_time, "undelivered", nullptr, false, true},
           {"bare event", cloudevents::encode_amqp(event()), "unknown", "2024-05-01T12:00:00Z", false, true},
           {"raw", raw(), "unsupported", "2024-05-01T12:20:00Z", false, false},
           {"no event", anything, "unknown", nullptr, false, false},
           {"broken envelope", broken, "unknown", nullptr, false, false},
       }) {
    const Letter letter = read_letter(expected.message);
    EXPECT_EQ(letter.reason, expected.reason) << expected.what;
    EXPECT_EQ(letter.build_failed, expected.build_failed) << expected.what;
    EXPECT_EQ(letter.event.has_value(), expected.decodable) << expected.what;
    const auto died = expected.died == nullptr ? std::nullopt : parse_rfc3339(expected.died);
    EXPECT_EQ(letter.died, died) << expected.what;
  }
}

TEST(Letter, HoldsTheEventAsItWas) {
  for (const amqp::Message& message : {of_builder(), of_builder(Stage::build), of_broker(), of_dispatcher()})
    EXPECT_EQ(read_letter(message).event, event());
}

// -- Which are moved
// ----------------------------------------------------------------------------------------------

Filter with_reason(std::string reason) {
  Filter filter;
  filter.reason = std::move(reason);
  return filter;
}
Filter with_tenant(std::string id) {
  Filter filter;
  filter.third_party_id = std::move(id);
  return filter;
}
Filter with_parser(std::string id) {
  Filter filter;
  filter.parser_id = std::move(id);
  return filter;
}
Filter before(std::string_view time) {
  Filter filter;
  filter.before = parse_rfc3339(time);
  return filter;
}
Filter after(std::string_view time) {
  Filter filter;
  filter.after = parse_rfc3339(time);
  return filter;
}
Filter both(Filter one, const Filter& other) {
  if (!other.reason.empty()) one.reason = other.reason;
  if (other.before) one.before = other.before;
  return one;
}

struct Judged {
  const char* what;
  Filter filter;
  amqp::Message message;
  Verdict verdict;
};

TEST(Filter, TakesWhatMatchesInEverything) {
  DeadLetter told = envelope(Stage::create);
  told.third_party_id = "tenant-2";
  std::get<Event>(told.original).data = R"({"third_party_id": 7})";
  Event no_json = event();
  no_json.data = "{";
  using enum Verdict;
  for (const auto& [what, filter, message, verdict] : std::vector<Judged>{
           {"no filter", {}, of_builder(), move},
           {"no filter", {}, of_broker(), move},
           {"no filter", {}, of_dispatcher(), move},
           {"no filter, no event", {}, raw(), undecodable},
           {"reason", with_reason("timeout"), of_builder(), move},
           {"reason", with_reason("timeout"), of_broker(), filtered},
           {"reason", with_reason("expired"), of_broker(), move},
           {"reason", with_reason("undelivered"), of_dispatcher(), move},
           {"reason", with_reason("undelivered"), of_broker(), filtered},
           {"reason, no event", with_reason("unsupported"), raw(), undecodable},
           {"reason, no event", with_reason("timeout"), raw(), filtered},
           {"tenant of the data", with_tenant("tenant-1"), of_builder(), move},
           {"tenant of the data", with_tenant("tenant-1"), of_broker(), move},
           {"tenant of the data", with_tenant("tenant"), of_broker(), filtered},
           {"tenant of the letter", with_tenant("tenant-2"), to_message(told), move},
           {"tenant of the letter", with_tenant("7"), to_message(told), filtered},
           {"tenant, no event", with_tenant("tenant-1"), raw(), filtered},
           {"tenant, no JSON", with_tenant("tenant-1"), cloudevents::encode_amqp(no_json), filtered},
           {"parser", with_parser("parser-1"), of_dispatcher(), move},
           {"parser", with_parser("parser-2"), of_dispatcher(), filtered},
           {"before", before("2024-05-01T12:20:00.001Z"), of_builder(), move},
           {"before", before("2024-05-01T12:20:00Z"), of_builder(), filtered},
           {"after", after("2024-05-01T12:20:00Z"), of_builder(), move},
           {"after", after("2024-05-01T14:20:00.001+02:00"), of_builder(), filtered},
           {"broker's time", after("2024-05-01T12:59:59Z"), of_broker(), move},
           {"the event's own time", before("2024-05-01T12:00:01Z"), of_dispatcher(), move},
           {"before, no event", before("2034-05-01T12:00:01Z"), raw(), undecodable},
           {"two hold", both(with_reason("timeout"), before("2025-01-01T00:00:00Z")), of_builder(), move},
           {"one does not", both(with_reason("timeout"), before("2023-01-01T00:00:00Z")), of_builder(),
            filtered},
           {"one does not", both(with_tenant("x"), with_reason("timeout")), of_builder(), filtered},
       }) {
    Letter letter = read_letter(message);
    EXPECT_EQ(judge(filter, letter), verdict) << what << ", letter with reason " << letter.reason;
  }
  amqp::Message timeless = cloudevents::encode_amqp(event());
  timeless.headers.erase("ce-time");
  Letter letter = read_letter(timeless);
  EXPECT_EQ(judge(before("2034-05-01T12:00:01Z"), letter), filtered);
  EXPECT_EQ(judge({}, letter), move);
}

// -- What is sent
// -------------------------------------------------------------------------------------------------

amqp::Message sent_for(const amqp::Message& message) {
  Letter letter = read_letter(message);
  EXPECT_EQ(judge({}, letter), Verdict::move);
  return cloudevents::encode_amqp(letter.event.value());
}

TEST(Sent, IsTheOriginalInTheFormThatEverybodyReads) {
  amqp::Message golden;
  golden.content_type = "application/json";
  golden.message_id = "event-1";
  golden.headers = {{"ce-specversion", "1.0"},
                    {"ce-id", "event-1"},
                    {"ce-source", "network.notifi.kaniko-jobs"},
                    {"ce-type", "network.notifi.lambda.job.start"},
                    {"ce-time", "2024-05-01T12:00:00Z"},
                    {"ce-traceparent", "00-a-b-01"},
                    {"content-type", "application/json"}};
  golden.body = event().data;
  for (const amqp::Message& letter :
       {of_builder(Stage::intake), of_builder(Stage::create), of_broker(), of_dispatcher()})
    EXPECT_EQ(sent_for(letter), golden);
  EXPECT_EQ(cloudevents::decode_amqp(golden).value(), event());

  golden.headers["ce-lambdaattempt"] = "1";
  EXPECT_EQ(sent_for(of_builder(Stage::build)), golden);
}

TEST(Sent, CountsAttemptsAfterAFailedBuildOnly) {
  Event tried = event();
  tried.extensions["lambdaattempt"] = "41";
  EXPECT_EQ(sent_for(to_message(envelope(Stage::build, tried))).headers["ce-lambdaattempt"], "42");
  EXPECT_EQ(sent_for(to_message(envelope(Stage::create, tried))).headers["ce-lambdaattempt"], "41");
  EXPECT_EQ(sent_for(cloudevents::encode_amqp(tried)).headers["ce-lambdaattempt"], "41");

  // As the same event it would be a duplicate of the Job that failed, and gone.
  tried.extensions["lambdaattempt"] = "1000";
  Letter last = read_letter(to_message(envelope(Stage::build, tried)));
  EXPECT_EQ(judge({}, last), Verdict::exhausted);
  Event full = event();
  while (full.extensions.size() < cloudevents::extensions_max)
    full.extensions["x" + std::to_string(full.extensions.size())] = "";
  Letter crowded = read_letter(to_message(envelope(Stage::build, full)));
  ASSERT_TRUE(crowded.event);
  EXPECT_EQ(judge({}, crowded), Verdict::exhausted);
}

TEST(Attempt, IsAnAttributeOfTheEvent) {
  Event subject = event();
  EXPECT_EQ(build::redrive_attempt(subject).value(), 0U);
  for (const unsigned attempt : {1U, 999U, 1000U}) {
    build::set_redrive_attempt(subject, attempt);
    EXPECT_EQ(build::redrive_attempt(subject).value(), attempt);
  }
  build::set_redrive_attempt(subject, 0);
  EXPECT_EQ(subject, event());
}

// -- Counts
// -------------------------------------------------------------------------------------------------------

TEST(Tally, CountsThePassAndWhatWasMovedForGood) {
  Tally tally;
  tally.set_total(10);
  tally.begin_pass();
  tally.note("timeout", Verdict::move);
  tally.note("timeout", Verdict::filtered);
  tally.note("expired", Verdict::move);
  tally.note("expired", Verdict::move);
  tally.note("unsupported", Verdict::undecodable);
  tally.note_moved("expired");
  Counts counts = tally.counts();
  EXPECT_EQ(counts.total, 10U);
  EXPECT_EQ(counts.scanned, 5U);
  EXPECT_EQ(counts.matched, 3U);
  EXPECT_EQ(counts.moved, 1U);
  EXPECT_EQ(counts.skipped, 2U);
  EXPECT_EQ(counts.remaining, 5U);
  EXPECT_EQ(counts.gone, 0U);
  EXPECT_THAT(counts.matched_per_reason, ElementsAre(Pair("expired", 2), Pair("timeout", 1)));
  EXPECT_THAT(counts.skipped_per_cause, ElementsAre(Pair("filtered", 1), Pair("undecodable", 1)));

  // A new pass meets again what was not moved.
  tally.begin_pass();
  counts = tally.counts();
  EXPECT_EQ(counts.scanned, 1U);
  EXPECT_EQ(counts.matched, 1U);
  EXPECT_EQ(counts.moved, 1U);
  EXPECT_EQ(counts.skipped, 0U);
  EXPECT_EQ(counts.remaining, 9U);
}

TEST(Tally, SaysAtTheEndWhatWasNotThereAnyMore) {
  Tally tally({{}, 10, {{"expired", 6}}});
  tally.begin_pass();
  tally.note("expired", Verdict::move);
  tally.note_moved("expired");
  tally.note("expired", Verdict::filtered);
  tally.note_end();
  EXPECT_EQ(tally.counts().moved, 7U);
  EXPECT_EQ(tally.counts().scanned, 8U);
  EXPECT_EQ(tally.counts().remaining, 0U);
  EXPECT_EQ(tally.counts().gone, 2U);
}

TEST(Tally, NeverCountsLessThanNothing) {
  Tally tally({{}, 2, {{"expired", 2}}});
  tally.begin_pass();
  tally.note("expired", Verdict::move);
  tally.note_moved("expired");
  EXPECT_EQ(tally.counts().moved, 3U);
  EXPECT_EQ(tally.counts().remaining, 0U);
}

TEST(Checkpoint, IsReadBack) {
  const Checkpoint checkpoint{
      parse_rfc3339("2024-05-01T12:00:00.007Z").value(), 12, {{"expired", 3}, {"x", 1}}};
  EXPECT_EQ(parse_checkpoint(to_json(checkpoint)).value(), checkpoint);
  EXPECT_EQ(to_json(checkpoint).dump(),
            R"({"moved":{"expired":3,"x":1},"startedAt":"2024-05-01T12:00:00.007Z","total":12})");
  for (const char* bad : {"null", "[]", "{}", R"({"startedAt":"x","total":1,"moved":{}})",
                          R"({"startedAt":"2024-05-01T12:00:00Z","total":-1,"moved":{}})",
                          R"({"startedAt":"2024-05-01T12:00:00Z","total":1})",
                          R"({"startedAt":"2024-05-01T12:00:00Z","total":1,"moved":{"a":"1"}})",
                          R"({"startedAt":"2024-05-01T12:00:00Z","total":1,"moved":[]})"})
    EXPECT_FALSE(parse_checkpoint(nlohmann::json::parse(bad))) << bad;
}

}  // namespace
}  // namespace lambda::redrive
