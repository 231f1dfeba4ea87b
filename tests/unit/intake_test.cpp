#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "intake/answer.h"

namespace lambda::intake {
namespace {

using base::ErrorKind;
using nlohmann::json;

constexpr std::string_view timestamp = "2024-01-01T00:00:00.000Z";

Verdict ended(Ending ending, base::Error error = {}) {
  return {ending, std::move(error), "kaniko-job-1", "builds", "c-1", "acme"};
}

unsigned status(Ending ending, base::Error error, Flow flow = Flow::direct) {
  return answer(ended(ending, std::move(error)), flow, timestamp).status;
}

TEST(Answer, AnAcceptedEventIsToldItsJob) {
  const http::Response response = answer(ended(Ending::duplicate), Flow::direct, timestamp);
  EXPECT_EQ(response.status, 202U);
  EXPECT_EQ(json::parse(response.body), json::parse(R"({
    "status": "queued", "job_name": "kaniko-job-1", "namespace": "builds", "correlation_id": "c-1",
    "duplicate": true, "timestamp": "2024-01-01T00:00:00.000Z"})"));
}

TEST(Answer, ADirectSenderReadsWhatIsWrong) {
  EXPECT_EQ(status(Ending::refused, {ErrorKind::invalid, "m", "f"}), 400U);
  EXPECT_EQ(status(Ending::malformed, {ErrorKind::invalid, "m", "f"}), 400U);
  EXPECT_EQ(status(Ending::refused, {ErrorKind::too_large, "m", ""}), 413U);
  EXPECT_EQ(status(Ending::refused, {ErrorKind::unsupported, "m", ""}), 415U);
  EXPECT_EQ(status(Ending::refused, {ErrorKind::unsupported, "m", "data.parameters.build_type"}), 400U);
  EXPECT_EQ(status(Ending::refused, {ErrorKind::forbidden, "m", ""}), 403U);
  EXPECT_EQ(status(Ending::refused, {ErrorKind::conflict, "m", ""}), 409U);
}

TEST(Answer, ASenderThatNobodyKnowsIsAskedForItsToken) {
  const http::Response response =
      answer(ended(Ending::refused, {ErrorKind::unauthenticated, "m", ""}), Flow::direct, timestamp);
  EXPECT_EQ(response.status, 401U);
  EXPECT_EQ(http::find_header(response.headers, "WWW-Authenticate"), "Bearer");
}

// Promise 1: a Knative dispatcher takes a 4xx for a success and drops the event; 503 is what all of them send
// again.
TEST(Answer, AnEventFromTheQueueIsNeverAnsweredSoThatItsSenderDropsIt) {
  for (const ErrorKind kind : {ErrorKind::invalid, ErrorKind::too_large, ErrorKind::unsupported,
                               ErrorKind::forbidden, ErrorKind::conflict, ErrorKind::unauthenticated}) {
    for (const Ending ending : {Ending::refused, Ending::malformed, Ending::unavailable}) {
      const http::Response response = answer(ended(ending, {kind, "m", ""}), Flow::queue, timestamp);
      EXPECT_EQ(response.status, 503U);
      EXPECT_FALSE(http::find_header(response.headers, "Retry-After").empty());
    }
  }
}

TEST(Answer, ADeadLetteredEventIsSafeAndItsErrorTold) {
  const http::Response response =
      answer(ended(Ending::dead_lettered, {ErrorKind::invalid, "is required", "data.parser_id"}), Flow::queue,
             timestamp);
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(json::parse(response.body), json::parse(R"({
    "status": "dead-lettered", "correlation_id": "c-1", "timestamp": "2024-01-01T00:00:00.000Z",
    "error": {"type": "invalid", "message": "is required", "field": "data.parser_id"}})"));
}

TEST(Answer, UnavailableSaysWhenToComeBack) {
  const http::Response response =
      answer(ended(Ending::unavailable, {ErrorKind::forbidden, "quota", "", std::chrono::seconds(10)}),
             Flow::direct, timestamp);
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(http::find_header(response.headers, "Retry-After"), "10");
}

TEST(AnswerBatch, IsAcceptedOnlyIfEveryEventIsSafe) {
  const std::vector<Verdict> safe{ended(Ending::created), ended(Ending::duplicate)};
  const http::Response response = answer_batch(safe, timestamp);
  EXPECT_EQ(response.status, 202U);
  const json body = json::parse(response.body);
  EXPECT_EQ(body["status"], "queued");
  ASSERT_EQ(body["results"].size(), 2U);
  EXPECT_EQ(body["results"][1]["duplicate"], true);
}

TEST(AnswerBatch, IsToBeSentAgainIfAnyEventIs) {
  const http::Response response = answer_batch(
      {ended(Ending::created), ended(Ending::refused, {ErrorKind::invalid, "m", ""}),
       ended(Ending::unavailable, {ErrorKind::unavailable, "full", "", std::chrono::seconds(7)})},
      timestamp);
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(http::find_header(response.headers, "Retry-After"), "7");
  EXPECT_EQ(json::parse(response.body)["results"].size(), 3U);
}

TEST(AnswerBatch, ThatHoldsAnImpossibleEventSaysWhich) {
  const http::Response response = answer_batch(
      {ended(Ending::created), ended(Ending::malformed, {ErrorKind::invalid, "is required", "[1].id"})},
      timestamp);
  EXPECT_EQ(response.status, 400U);
  const json body = json::parse(response.body);
  EXPECT_EQ(body["error"]["field"], "[1].id");
  EXPECT_EQ(body["results"][0]["status"], "queued");
  EXPECT_EQ(body["results"][1]["status"], "error");
}

}  // namespace
}  // namespace lambda::intake
