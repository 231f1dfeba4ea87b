#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "intake/answer.h"

namespace lambda::intake {
namespace {

using base::ErrorKind;

TEST(Answer, AnAcceptedEventIsToldItsJob) {
  job::Job job;
  job.name = "kaniko-job-1";
  job.namespace_name = "builds";
  const http::Response response = queued(job, "c-1", true, "2024-01-01T00:00:00.000Z");
  EXPECT_EQ(response.status, 202U);
  EXPECT_EQ(nlohmann::json::parse(response.body), nlohmann::json::parse(R"({
    "status": "queued", "job_name": "kaniko-job-1", "namespace": "builds", "correlation_id": "c-1",
    "duplicate": true, "timestamp": "2024-01-01T00:00:00.000Z"})"));
}

TEST(Answer, ADirectSenderReadsWhatIsWrong) {
  EXPECT_EQ(refused(Flow::direct, {ErrorKind::invalid, "m", "f"}).status, 400U);
  EXPECT_EQ(refused(Flow::direct, {ErrorKind::too_large, "m", ""}).status, 413U);
  EXPECT_EQ(refused(Flow::direct, {ErrorKind::unsupported, "m", ""}).status, 415U);
  EXPECT_EQ(refused(Flow::direct, {ErrorKind::unsupported, "m", "data.parameters.build_type"}).status, 400U);
  EXPECT_EQ(refused(Flow::direct, {ErrorKind::forbidden, "m", ""}).status, 403U);
  EXPECT_EQ(refused(Flow::direct, {ErrorKind::conflict, "m", ""}).status, 409U);
}

// Promise 1: a Knative dispatcher takes a 4xx for a success and drops the event; 503 is what all of them send
// again.
TEST(Answer, AnEventFromTheQueueIsNeverAnsweredSoThatItsSenderDropsIt) {
  for (const ErrorKind kind : {ErrorKind::invalid, ErrorKind::too_large, ErrorKind::unsupported,
                               ErrorKind::forbidden, ErrorKind::conflict}) {
    const http::Response response = refused(Flow::queue, {kind, "m", ""});
    EXPECT_EQ(response.status, 503U);
    EXPECT_FALSE(http::find_header(response.headers, "Retry-After").empty());
  }
}

TEST(Answer, UnavailableSaysWhenToComeBack) {
  const http::Response response =
      unavailable({ErrorKind::forbidden, "quota", "", std::chrono::seconds(10)}, "c-1");
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(http::find_header(response.headers, "Retry-After"), "10");
}

}  // namespace
}  // namespace lambda::intake
