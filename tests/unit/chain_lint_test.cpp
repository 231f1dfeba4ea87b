// What the lint finds in a chain: a row for each combination that loses messages or does not do what it says.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "api/reasons.h"
#include "desired/lint.h"

namespace lambda::desired {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Severity = Finding::Severity;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

api::JobQueue job_queue(const json& patch) {
  json object = json::parse(R"({
    "metadata": {"name": "kaniko-jobs", "namespace": "knative-lambda-dev"},
    "spec": {"rabbitmq": {"connectionSecret": {"name": "rabbitmq-connection"}}}})");
  object["spec"].merge_patch(patch);
  const auto parsed = api::parse_job_queue(object);
  EXPECT_TRUE(parsed) << describe(parsed.error());
  return *parsed;
}

// What loses nothing: the builder consumes, a full queue refuses, dead letters are kept until they are
// stored.
json safe() {
  return json::parse(R"({"path": "amqp", "queue": {"overflow": "reject-publish"},
                         "deadLetter": {"strategy": "at-least-once"}})");
}

std::vector<std::string> reasons(const json& patch) {
  std::vector<std::string> out;
  for (const Finding& finding : lint(job_queue(patch))) out.push_back(finding.reason);
  return out;
}

TEST(ChainLint, FindsNothingInAChainThatLosesNothing) {
  EXPECT_THAT(reasons(safe()), IsEmpty());
}

TEST(ChainLint, TellsWhatTheDocumentsQueueLoses) {
  EXPECT_THAT(reasons(json::object()),
              ElementsAre("EvictsOldest", "AtMostOnceDeadLetters", "TriggerAcknowledgesFirst",
                          "TriggerQueueEvictsOldest", "PrefetchOutlastsConsumerTimeout"));
}

struct Row {
  std::string name;
  json base;   // of what it is added to
  json patch;  // what is wrong
  std::string reason;
  std::string field;
  Severity severity;
};

json trigger_path() {
  return json::parse(R"({"queue": {"maxLength": 10000}, "trigger": {"parallelism": 20}})");
}

json source_path() {
  return {{"path", "source"}};
}

class ChainLintRows : public testing::TestWithParam<Row> {};

// The finding is there with the mistake, and is not there without it.
TEST_P(ChainLintRows, AreFound) {
  const Row& row = GetParam();
  const auto is_it = [&](const Finding& finding) {
    return finding.reason == row.reason && finding.field == row.field;
  };
  const auto before = lint(job_queue(row.base));
  EXPECT_EQ(std::count_if(before.begin(), before.end(), is_it), 0) << "it is found without the mistake";

  json patched = row.base;
  patched.merge_patch(row.patch);
  const auto after = lint(job_queue(patched));
  const auto found = std::find_if(after.begin(), after.end(), is_it);
  ASSERT_NE(found, after.end()) << testing::PrintToString(reasons(patched));
  EXPECT_EQ(found->severity, row.severity);
  EXPECT_THAT(found->message, testing::EndsWith("."));
  EXPECT_THAT(found->remedy, testing::EndsWith("."));
}

Row error(const char* name, json base, const char* patch, const char* field) {
  return {name, std::move(base), json::parse(patch), name, field, Severity::error};
}

Row warning(const char* name, json base, const char* patch, const char* field) {
  return {name, std::move(base), json::parse(patch), name, field, Severity::warning};
}

const Row rows[] = {
    warning("EvictsOldest", safe(), R"({"queue": {"overflow": "drop-head"}})", "spec.queue.overflow"),
    warning("AtMostOnceDeadLetters", safe(), R"({"deadLetter": {"strategy": "at-most-once"}})",
            "spec.deadLetter.strategy"),
    error("AtLeastOnceNeedsRejectPublish", safe(), R"({"queue": {"overflow": "drop-head"}})",
          "spec.deadLetter.strategy"),
    error("AtLeastOnceNeedsQuorum", safe(), R"({"queue": {"type": "classic"}})", "spec.deadLetter.strategy"),
    error("RejectPublishDlxOnQuorum", safe(), R"({"queue": {"overflow": "reject-publish-dlx"}})",
          "spec.queue.overflow"),
    error("DeadLetterLoop", safe(), R"({"deadLetter": {"queue": "kaniko-jobs"}})", "spec.deadLetter.queue"),
    error("DeadLetterLoop", safe(),
          R"({"deadLetter": {"exchange": "lambda.events", "exchangeType": "topic",
                             "routingKey": "network.notifi.lambda.job.start"}})",
          "spec.deadLetter.exchange"),
    error(
        "DeadLetterLoop", safe(),
        R"({"deadLetter": {"exchange": "lambda.events", "exchangeType": "topic"}, "routing": {"keys": ["#"]}})",
        "spec.deadLetter.exchange"),
    error("DeadLetterLoop", safe(),
          R"({"deadLetter": {"exchange": "x", "exchangeType": "fanout"},
              "routing": {"exchange": "x", "exchangeType": "fanout"}})",
          "spec.deadLetter.exchange"),
    error("ExchangeTypesDiffer", safe(), R"({"deadLetter": {"exchange": "lambda.events"}})",
          "spec.deadLetter.exchange"),
    error("NameCollision", safe(), R"({"deadLetter": {"queue": "kaniko-jobs.unrouted"}})",
          "spec.deadLetter.queue"),
    warning("DeadLettersExpire", safe(), R"({"deadLetter": {"messageTtl": "168h"}})",
            "spec.deadLetter.messageTtl"),
    warning("DeadLettersBounded", safe(), R"({"deadLetter": {"maxLength": 1000}})",
            "spec.deadLetter.maxLength"),
    warning("DeadLettersDeliveryLimit", safe(), R"({"deadLetter": {"deliveryLimit": 3}})",
            "spec.deadLetter.deliveryLimit"),
    warning("DeadLetterKeyWildcard", safe(),
            R"({"deadLetter": {"exchangeType": "topic", "routingKey": "dead.*"}})",
            "spec.deadLetter.routingKey"),
    warning("ClassicQueue", safe(), R"({"queue": {"type": "classic"}})", "spec.queue.type"),
    warning("NoDeliveryLimit", safe(), R"({"queue": {"deliveryLimit": 0}})", "spec.queue.deliveryLimit"),
    warning("DeliveryLimitLow", safe(), R"({"queue": {"deliveryLimit": 2}})", "spec.queue.deliveryLimit"),
    warning("NoLengthBound", safe(), R"({"queue": {"maxLength": 0}})", "spec.queue.maxLength"),
    warning("DeletesMessages", safe(), R"({"deletionPolicy": "Delete"})", "spec.deletionPolicy"),
    error("WildcardIsLiteral", safe(), R"({"routing": {"exchangeType": "direct", "keys": ["jobs.*"]}})",
          "spec.routing.keys"),
    warning("RoutingKeysIgnored", safe(), R"({"routing": {"exchangeType": "fanout"}})", "spec.routing.keys"),
    warning("RoutingKeysIgnored", safe(), R"({"routing": {"exchangeType": "headers"}})", "spec.routing.keys"),
    warning("RoutesEverything", safe(), R"({"routing": {"keys": ["a", "#"]}})", "spec.routing.keys"),
    warning("TriggerAcknowledgesFirst", safe(), R"({"path": "trigger"})", "spec.path"),
    warning("TriggerQueueEvictsOldest", safe(), R"({"path": "trigger"})", "spec.queue.maxLength"),
    error("SourceDisabled", trigger_path(), R"({"source": {"enabled": false}})", "spec.source.enabled"),
    error("SourceDisabled", source_path(), R"({"source": {"enabled": false}})", "spec.source.enabled"),
    error("NoRetries", trigger_path(), R"({"trigger": {"delivery": {"retry": 0}}})",
          "spec.trigger.delivery.retry"),
    error("NoRetries", trigger_path(), R"({"source": {"delivery": {"retry": 0}}})",
          "spec.source.delivery.retry"),
    error("NoRetries", source_path(), R"({"trigger": {"delivery": {"retry": 0}}})",
          "spec.trigger.delivery.retry"),
    warning("NoBackoff", trigger_path(), R"({"trigger": {"delivery": {"backoffDelay": "PT0S"}}})",
            "spec.trigger.delivery.backoffDelay"),
    warning("RetriesTooShort", trigger_path(), R"({"trigger": {"delivery": {"retry": 2}}})",
            "spec.trigger.delivery"),
    warning("RetriesTooShort", trigger_path(), R"({"trigger": {"delivery": {"backoffPolicy": "linear"}}})",
            "spec.trigger.delivery"),
    error("RetriesOutlastConsumerTimeout", trigger_path(), R"({"trigger": {"delivery": {"retry": 11}}})",
          "spec.trigger.delivery"),
    error("RetriesOutlastConsumerTimeout", trigger_path(),
          R"({"trigger": {"delivery": {"timeout": "PT10M"}}})", "spec.trigger.delivery"),
    error("RetriesOutlastConsumerTimeout", source_path(), R"({"trigger": {"delivery": {"retry": 30}}})",
          "spec.trigger.delivery"),
    warning("PrefetchOutlastsConsumerTimeout", trigger_path(), R"({"trigger": {"parallelism": 1}})",
            "spec.trigger.delivery"),
    error("TimeoutMissing", trigger_path(), R"({"trigger": {"delivery": {"timeout": "PT0S"}}})",
          "spec.trigger.delivery.timeout"),
    error("TimeoutTooShort", trigger_path(), R"({"trigger": {"delivery": {"timeout": "PT25S"}}})",
          "spec.trigger.delivery.timeout"),
    warning("ParallelismAboveBuilderQueue", trigger_path(), R"({"trigger": {"parallelism": 101}})",
            "spec.trigger.parallelism"),
    warning("ParallelismAboveBuilderQueue", source_path(), R"({"source": {"parallelism": 101}})",
            "spec.source.parallelism"),
    warning("TtlShorterThanRetries", trigger_path(), R"({"queue": {"messageTtl": "1m"}})",
            "spec.queue.messageTtl"),
    warning("FilterWithoutType", trigger_path(),
            R"({"trigger": {"filter": {"source": "network.notifi.kaniko-jobs"}}})", "spec.trigger.filter"),
    warning("FilterTypeUnknown", trigger_path(), R"({"trigger": {"filter": {"type": "other",
            "source": "network.notifi.kaniko-jobs"}}})",
            "spec.trigger.filter.type"),
    warning("FilterSourceUnknown", trigger_path(), R"({"trigger": {"filter": {"source": "mine",
            "type": "network.notifi.lambda.job.start"}}})",
            "spec.trigger.filter.source"),
    warning("FilterSourceUnknown", trigger_path(), R"({"trigger": {"filter":
            {"type": "network.notifi.lambda.job.start", "source": ""}}})",
            "spec.trigger.filter.source"),
    error("SubscriberIsBroker", trigger_path(),
          R"({"trigger": {"subscriber": {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker",
                                                 "name": "default"}}}})",
          "spec.trigger.subscriber"),
    error("DeadLetterSinkIsSubscriber", trigger_path(),
          R"({"trigger": {"delivery": {"deadLetterSink": {"ref": {"name": "knative-lambda-builder"}}}}})",
          "spec.trigger.delivery.deadLetterSink"),
    error("DeadLetterSinkIsBroker", trigger_path(),
          R"({"trigger": {"delivery": {"deadLetterSink": {"ref": {"kind": "Broker", "name": "default",
                                                                  "apiVersion": "eventing.knative.dev/v1"}}}}})",
          "spec.trigger.delivery.deadLetterSink")};

INSTANTIATE_TEST_SUITE_P(Rows, ChainLintRows, testing::ValuesIn(rows),
                         [](const auto& info) { return info.param.name + std::to_string(info.index); });

TEST(ChainLint, ReasonsAreOfTheDocumentedList) {
  const std::set<std::string_view> known(api::finding::all.begin(), api::finding::all.end());
  for (const Row& row : rows) EXPECT_EQ(known.count(row.reason), 1U) << row.reason;
}

TEST(ChainLint, AsksNothingOfKnativeWhereThereIsNone) {
  json patch = safe();
  patch.merge_patch(
      json::parse(R"({"trigger": {"delivery": {"retry": 0, "timeout": "PT0S"}, "parallelism": 1000},
                                    "source": {"enabled": false}})"));
  EXPECT_THAT(reasons(patch), IsEmpty());
}

TEST(ChainLint, ErrorsComeFirst) {
  const auto findings = lint(job_queue(json::parse(R"({"trigger": {"delivery": {"retry": 0}}})")));
  EXPECT_EQ(findings.front().severity, Severity::error);
  EXPECT_EQ(findings.back().severity, Severity::warning);
}

TEST(ChainLint, CountsHowLongADeliveryCanTake) {
  // The delays before the retries: 1, 2, 4, 8, 16 s; the dispatcher of Knative waited so on the test bed.
  EXPECT_EQ(total_backoff({5, api::BackoffPolicy::exponential, 500ms, 30s}), 31s);
  EXPECT_EQ(total_backoff({5, api::BackoffPolicy::linear, 500ms, 30s}), 7'500ms);
  EXPECT_EQ(longest_delivery({5, api::BackoffPolicy::exponential, 500ms, 30s}), 211s);
  EXPECT_EQ(longest_delivery({1000, api::BackoffPolicy::exponential, 1h, 1h}), std::chrono::hours(24 * 365));
}

TEST(ChainLint, SaysWhichParallelismWouldDo) {
  for (const Finding& finding : lint(job_queue(json::object()))) {
    if (finding.reason != api::finding::prefetch_too_long) continue;
    EXPECT_THAT(finding.remedy, HasSubstr("parallelism to 13."));
    json enough = {{"trigger", {{"parallelism", 13}}}};
    EXPECT_THAT(reasons(enough), testing::Not(testing::Contains("PrefetchOutlastsConsumerTimeout")));
    enough["trigger"]["parallelism"] = 12;
    EXPECT_THAT(reasons(enough), testing::Contains("PrefetchOutlastsConsumerTimeout"));
  }
}

TEST(ChainLint, MakesOneCondition) {
  const auto fine = delivery_condition({}, 4);
  EXPECT_EQ(fine.status, api::ConditionStatus::yes);
  EXPECT_EQ(fine.reason, "Guaranteed");
  EXPECT_EQ(fine.observed_generation, 4);
  const auto findings = lint(job_queue(json::object()));
  const auto told = delivery_condition(findings, 4);
  EXPECT_EQ(told.status, api::ConditionStatus::no);
  EXPECT_EQ(told.reason, findings.front().reason);
  for (const Finding& finding : findings) EXPECT_THAT(told.message, HasSubstr(finding.remedy));
  EXPECT_LT(told.message.size(), 32'768U);  // what a condition may have
}

}  // namespace
}  // namespace lambda::desired
