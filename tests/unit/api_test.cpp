// The custom resources as types: what is read, what is defaulted, what is refused, what is written.
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "api/iso_duration.h"
#include "api/job_queue.h"
#include "api/names.h"
#include "api/reasons.h"
#include "api/redrive.h"

namespace lambda::api {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

json minimal() {
  return json::parse(R"({
    "apiVersion": "lambda.notifi.network/v1alpha1", "kind": "JobQueue",
    "metadata": {"name": "kaniko-jobs", "namespace": "knative-lambda-dev"},
    "spec": {"rabbitmq": {"connectionSecret": {"name": "rabbitmq-connection"}}}})");
}

json with(const std::string& pointer, json value) {
  json object = minimal();
  object["spec"][json::json_pointer(pointer)] = std::move(value);
  return object;
}

std::vector<std::string> problem_fields(const json& object) {
  std::vector<std::string> fields;
  for (const auto& problem : read_job_queue(object).problems) fields.push_back(problem.field);
  return fields;
}

TEST(JobQueue, HasTheDocumentsQueueByDefault) {
  const auto parsed = parse_job_queue(minimal());
  ASSERT_TRUE(parsed) << describe(parsed.error());
  const JobQueueSpec& spec = parsed->spec;
  EXPECT_EQ(spec.rabbitmq, (Rabbitmq{"", "rabbitmq-connection", "knative-lambda-dev", "/"}));
  EXPECT_EQ(spec.path, Path::trigger);
  EXPECT_EQ(spec.management, Management::topology);
  EXPECT_EQ(spec.queue,
            (QueueSettings{"kaniko-jobs", QueueType::quorum, 24h, 10'000, Overflow::drop_head, 20}));
  EXPECT_EQ(spec.dead_letter.exchange, "dlx");
  EXPECT_EQ(spec.dead_letter.routing_key, "kaniko-jobs.dlq");
  EXPECT_EQ(spec.dead_letter.queue, "kaniko-jobs.dlq");
  EXPECT_FALSE(spec.dead_letter.message_ttl || spec.dead_letter.max_length ||
               spec.dead_letter.delivery_limit);
  EXPECT_THAT(spec.routing.keys, ElementsAre("network.notifi.lambda.job.start"));
  EXPECT_EQ(spec.trigger.name, "kaniko-jobs-trigger");
  EXPECT_EQ(spec.trigger.broker, "default");
  EXPECT_EQ(spec.trigger.broker_namespace, "knative-lambda-dev");
  EXPECT_EQ(spec.trigger.subscriber,
            (Destination{"v1", "Service", "knative-lambda-builder", "knative-lambda-dev", ""}));
  EXPECT_EQ(spec.trigger.delivery, (Delivery{5, BackoffPolicy::exponential, 500ms, 30s}));
  EXPECT_EQ(spec.deletion_policy, DeletionPolicy::retain);
  EXPECT_EQ(spec.drift_interval, 30s);
}

TEST(JobQueue, DerivesNamesFromTheQueues) {
  const auto parsed = parse_job_queue(with("/queue", {{"name", "other"}}));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->spec.dead_letter.queue, "other.dlq");
  EXPECT_EQ(parsed->spec.dead_letter.routing_key, "other.dlq");
  const auto named = parse_job_queue(with("/deadLetter", {{"queue", "dead"}}));
  EXPECT_EQ(named->spec.dead_letter.routing_key, "dead");
}

TEST(JobQueue, ZeroIsNoBound) {
  const auto parsed =
      parse_job_queue(with("/queue", {{"messageTtl", "0s"}, {"maxLength", 0}, {"deliveryLimit", 0}}));
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->spec.queue.message_ttl || parsed->spec.queue.max_length ||
               parsed->spec.queue.delivery_limit);
}

TEST(JobQueue, PassesOverWhatItDoesNotKnowAndWhatIsNull) {
  json object = with("/queue", {{"colour", "red"}, {"maxLength", nullptr}});
  object["spec"]["newer"] = {{"field", 1}};
  const auto parsed = parse_job_queue(object);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->spec, parse_job_queue(minimal())->spec);
}

TEST(JobQueue, TellsEveryProblemByItsField) {
  json object = with("/queue", {{"messageTtl", "soon"}, {"maxLength", -1}, {"overflow", "explode"}});
  object["spec"]["path"] = 7;
  object["spec"]["trigger"]["delivery"] = {{"timeout", "30s"}};
  EXPECT_THAT(problem_fields(object),
              ElementsAre("spec.path", "spec.queue.messageTtl", "spec.queue.maxLength", "spec.queue.overflow",
                          "spec.trigger.delivery.timeout"));
}

struct Refused {
  const char* pointer;
  json value;
  const char* field;
};

class JobQueueRefuses : public testing::TestWithParam<Refused> {};

TEST_P(JobQueueRefuses, IsToldByItsField) {
  const auto parsed = parse_job_queue(with(GetParam().pointer, GetParam().value));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().kind, base::ErrorKind::invalid);
  EXPECT_EQ(parsed.error().field, GetParam().field);
  EXPECT_FALSE(parsed.error().message.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Values, JobQueueRefuses,
    testing::Values(
        Refused{"/rabbitmq", {{"vhost", "/"}}, "spec.rabbitmq.clusterReference"},
        Refused{"/rabbitmq/clusterReference", {{"name", "both"}}, "spec.rabbitmq.clusterReference"},
        Refused{"/rabbitmq/connectionSecret", json::object(), "spec.rabbitmq.connectionSecret.name"},
        Refused{"/rabbitmq/connectionSecret/name", "No Name", "spec.rabbitmq.connectionSecret.name"},
        Refused{"/rabbitmq/connectionSecret/namespace", "a.b", "spec.rabbitmq.connectionSecret.namespace"},
        Refused{"/rabbitmq/vhost", "a\nb", "spec.rabbitmq.vhost"}, Refused{"/path", "Trigger", "spec.path"},
        Refused{"/management", "manual", "spec.management"},
        Refused{"/queue/name", "amq.mine", "spec.queue.name"},
        Refused{"/queue/name", std::string(241, 'q'), "spec.queue.name"},
        Refused{"/queue/name", "with space", "spec.queue.name"},
        Refused{"/queue/type", "stream", "spec.queue.type"},
        Refused{"/queue/messageTtl", "1001h", "spec.queue.messageTtl"},
        Refused{"/queue/messageTtl", 5, "spec.queue.messageTtl"},
        Refused{"/queue/maxLength", 1.5, "spec.queue.maxLength"},
        Refused{"/queue/maxLength", 3'000'000'000, "spec.queue.maxLength"},
        Refused{"/queue/maxLength", "many", "spec.queue.maxLength"},
        Refused{"/queue/deliveryLimit", -1, "spec.queue.deliveryLimit"},
        Refused{"/deadLetter/exchangeType", "headers", "spec.deadLetter.exchangeType"},
        Refused{"/deadLetter/strategy", "always", "spec.deadLetter.strategy"},
        Refused{"/routing/keys", json::array(), "spec.routing.keys"},
        Refused{"/routing/keys", {"a", "a"}, "spec.routing.keys"},
        Refused{"/routing/keys", {1}, "spec.routing.keys"},
        Refused{"/routing/keys", "a", "spec.routing.keys"},
        Refused{"/routing/keys", {std::string(256, 'k')}, "spec.routing.keys"},
        Refused{"/source/enabled", "yes", "spec.source.enabled"},
        Refused{"/source/parallelism", 0, "spec.source.parallelism"},
        Refused{"/trigger/parallelism", 1001, "spec.trigger.parallelism"},
        Refused{"/trigger/filter", {{"Type", "x"}}, "spec.trigger.filter.Type"},
        Refused{"/trigger/subscriber", json::object(), "spec.trigger.subscriber.ref"},
        Refused{"/trigger/subscriber", {{"uri", "ftp://host"}}, "spec.trigger.subscriber.uri"},
        Refused{"/trigger/subscriber", {{"ref", {{"kind", "Service"}}}}, "spec.trigger.subscriber.ref.name"},
        Refused{"/trigger/delivery/backoffDelay", "PT2H", "spec.trigger.delivery.backoffDelay"},
        Refused{"/trigger/delivery/deadLetterSink", json::object(),
                "spec.trigger.delivery.deadLetterSink.ref"},
        Refused{"/deletionPolicy", "Drop", "spec.deletionPolicy"},
        Refused{"/driftInterval", "1s", "spec.driftInterval"},
        Refused{"/driftInterval", "2h", "spec.driftInterval"}));

TEST(JobQueue, RefusesANameThatOthersCantBeMadeOf) {
  json object = minimal();
  object["metadata"]["name"] = std::string(56, 'n');
  EXPECT_THAT(problem_fields(object), ElementsAre("metadata.name"));
  object["metadata"].erase("name");
  EXPECT_THAT(problem_fields(object), testing::Contains("metadata.name"));
  EXPECT_FALSE(parse_job_queue(json::array()));
  EXPECT_FALSE(parse_job_queue(nullptr));
}

TEST(JobQueue, StatusIsReadBackAsItWasWritten) {
  JobQueueStatus status;
  status.observed_generation = 3;
  status.conditions = {
      {"Ready", ConditionStatus::no, "Missing", "the queue is gone", "2026-01-01T00:00:00Z", 3}};
  status.queue = QueueStatus{"kaniko-jobs", 5, 1, 2, 0.5, 1.0};
  status.trigger_queue = QueueStatus{"ns.t.uid", std::nullopt, std::nullopt, std::nullopt, std::nullopt, {}};
  status.adopted = {"kaniko-jobs: x-message-ttl=86400000"};
  status.broker_uid = "b-uid";
  status.trigger_uid = "t-uid";
  status.rabbitmq_version = "3.10.8";
  json object = minimal();
  object["status"] = to_json(status);
  EXPECT_EQ(parse_job_queue(object)->status, status);
  object["status"] = to_json(JobQueueStatus{});
  EXPECT_EQ(parse_job_queue(object)->status, JobQueueStatus{});
}

TEST(JobQueue, AStatusThatIsBrokenIsNone) {
  json object = minimal();
  object["status"] = {{"conditions", "none"}, {"queue", 5}, {"observedGeneration", "x"}};
  EXPECT_TRUE(parse_job_queue(object));
}

TEST(Redrive, ReadsItsSpecAndItsStatusBack) {
  json object = json::parse(R"({
    "metadata": {"name": "again", "namespace": "knative-lambda-dev"},
    "spec": {"queueRef": {"name": "kaniko-jobs"}, "limit": 10, "rate": 0, "dryRun": true,
             "filter": {"reason": "forbidden", "thirdPartyId": "acme", "parserId": "p",
                        "after": "2026-01-01T00:00:00Z", "before": "2026-02-01T00:00:00Z"},
             "target": {"exchange": "lambda.events", "routingKey": "k"}, "ttlSecondsAfterFinished": 0}})");
  RedriveStatus status;
  status.phase = RedrivePhase::running;
  status.started_at = "2026-01-01T00:00:00Z";
  status.scanned = 5;
  status.matched = 4;
  status.moved = 3;
  status.skipped = 2;
  status.remaining = 1;
  status.gone = 6;
  status.per_reason = {{"forbidden", 4}};
  status.checkpoint = {{"attempt", 1}};
  object["status"] = to_json(status);
  const auto parsed = parse_redrive(object);
  ASSERT_TRUE(parsed) << describe(parsed.error());
  EXPECT_EQ(parsed->spec.queue, "kaniko-jobs");
  EXPECT_EQ(parsed->spec.filter,
            (RedriveFilter{"forbidden", "acme", "p", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"}));
  EXPECT_EQ(parsed->spec.limit, 10);
  EXPECT_EQ(parsed->spec.rate, std::nullopt);
  EXPECT_TRUE(parsed->spec.dry_run);
  EXPECT_EQ(parsed->spec.target, (RedriveTarget{"", "lambda.events", "k"}));
  EXPECT_EQ(parsed->spec.ttl_seconds_after_finished, 0);
  EXPECT_EQ(parsed->status, status);
}

TEST(Redrive, RefusesWhatItCantDo) {
  const auto fields = [](const char* spec) {
    std::vector<std::string> out;
    const json object = {{"metadata", {{"name", "a"}}}, {"spec", json::parse(spec)}};
    for (const auto& problem : read_redrive(object).problems) out.push_back(problem.field);
    return out;
  };
  EXPECT_THAT(fields("{}"), ElementsAre("spec.queueRef.name"));
  EXPECT_THAT(
      fields(R"({"queueRef": {"name": "q"}, "limit": -1, "rate": "fast", "filter": {"before": "now"}})"),
      ElementsAre("spec.filter.before", "spec.limit", "spec.rate"));
  EXPECT_THAT(fields(R"({"queueRef": {"name": "q"}, "target": {"queue": "a", "exchange": "b"}})"),
              ElementsAre("spec.target.queue"));
  EXPECT_THAT(fields(R"({"queueRef": {"name": "q"}, "target": {"routingKey": "b"}})"),
              ElementsAre("spec.target.routingKey"));
  EXPECT_THAT(fields(R"({"queueRef": {"name": "q"}})"), IsEmpty());
}

TEST(Object, ReadsItsMetadata) {
  const json object = json::parse(R"({"metadata": {
    "name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": 2,
    "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
    "finalizers": ["lambda.notifi.network/operator"], "labels": {"a": "b"}, "annotations": {"c": "d"}}})");
  const auto meta = parse_object_meta(object);
  ASSERT_TRUE(meta);
  EXPECT_EQ(to_string(meta->key), "ns/n");
  EXPECT_EQ(meta->uid, "u");
  EXPECT_EQ(meta->resource_version, "7");
  EXPECT_EQ(meta->generation, 2);
  EXPECT_TRUE(meta->deleting());
  EXPECT_TRUE(meta->has_finalizer());
  EXPECT_EQ(meta->labels.at("a"), "b");
  EXPECT_EQ(meta->annotations.at("c"), "d");
  EXPECT_FALSE(parse_object_meta(json::parse(R"({"metadata": {"name": 5}})")));
  EXPECT_FALSE(parse_object_meta(json::parse(R"({"metadata": {"name": "n", "labels": {"a": 5}}})")));
}

TEST(Conditions, KeepTheTimeOfTheirLastChange) {
  const std::vector<Condition> old = {{"Ready", ConditionStatus::no, "Missing", "gone", "before", 1},
                                      {"QueueReady", ConditionStatus::no, "Missing", "gone", "before", 1}};
  const std::vector<Condition> fresh = {{"QueueReady", ConditionStatus::yes, "AsSpecified", "", "", 2},
                                        {"Ready", ConditionStatus::no, "Different", "other", "", 2},
                                        {"SourceReady", ConditionStatus::unknown, "Progressing", "", "", 2}};
  const auto merged = merge_conditions(old, fresh, "now");
  EXPECT_THAT(merged, ElementsAre(Field(&Condition::last_transition_time, "now"),
                                  AllOf(Field(&Condition::last_transition_time, "before"),
                                        Field(&Condition::reason, "Different")),
                                  Field(&Condition::last_transition_time, "now")));
  EXPECT_EQ(parse_conditions(to_json(merged)).value(), merged);
  EXPECT_FALSE(parse_conditions(json::parse(R"([{"type": "Ready", "status": "maybe"}])")));
}

TEST(IsoDuration, IsReadAndWritten) {
  for (const auto& [text, duration] : std::vector<std::pair<std::string, base::milliseconds>>{
           {"PT0.5S", 500ms}, {"PT30S", 30s}, {"PT1H30M", 90min}, {"PT0S", 0s}, {"PT1M0.001S", 60'001ms}}) {
    EXPECT_EQ(parse_iso_duration(text), duration) << text;
    EXPECT_EQ(format_iso_duration(duration), text);
  }
  EXPECT_EQ(parse_iso_duration("PT90S"), 90s);
  EXPECT_EQ(format_iso_duration(90s), "PT1M30S");
  EXPECT_EQ(parse_iso_duration("PT0.1239S"), 123ms);
  for (const char* text : {"", "P", "PT", "T1S", "PT1", "PTS", "PT-1S", "PT1.S", "PT.5S", "PT1.5M", "PT1S1M",
                           "PT1S1S", "P1D", "P1Y", "30s", "PT1s", "PT99999999999S", "PT20000H", "PT1S "}) {
    EXPECT_EQ(parse_iso_duration(text), std::nullopt) << text;
  }
}

TEST(Names, AreThoseThatTheSystemsTake) {
  for (const char* name : {"a", "a-b", "a.b-c.9"}) EXPECT_TRUE(is_dns_subdomain(name)) << name;
  for (const char* name : {"", ".", "a.", ".a", "a..b", "-a", "a-", "A", "a_b"})
    EXPECT_FALSE(is_dns_subdomain(name)) << name;
  EXPECT_FALSE(is_dns_subdomain(std::string(254, 'a')));
  EXPECT_TRUE(is_amqp_name("kaniko-jobs.dlq"));
  EXPECT_TRUE(is_amqp_name(std::string(255, 'a')));
  for (const std::string& name :
       {std::string(), std::string("amq.x"), std::string("a b"), std::string(256, 'a')})
    EXPECT_FALSE(is_amqp_name(name)) << name;
  EXPECT_TRUE(is_amqp_text("ä#.*"));
  EXPECT_FALSE(is_amqp_text("\xff"));
  EXPECT_TRUE(is_attribute_name("type"));
  EXPECT_FALSE(is_attribute_name("content-type"));
}

// Whoever meets a reason in a condition, an Event or an alert finds it there.
TEST(Reasons, AreAllDocumented) {
  std::ifstream file(LAMBDA_SOURCE_DIR "/docs/conditions.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  ASSERT_FALSE(page.empty());
  const auto expect_documented = [&](const auto& words) {
    for (const std::string_view word : words) EXPECT_THAT(page, HasSubstr("| `" + std::string(word) + "` |"));
  };
  expect_documented(condition::all);
  expect_documented(reason::all);
  expect_documented(finding::all);
  expect_documented(redrive_reason::all);
}

}  // namespace
}  // namespace lambda::api
