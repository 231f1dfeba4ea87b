// From what one look at a JobQueue found to its conditions; and what a Kubernetes object tells of itself.
#include "judgement/judgement.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "api/reasons.h"
#include "desired/desired.h"
#include "judgement/child.h"

namespace lambda::judgement {
namespace {

using api::Condition;
using api::ConditionStatus;
using nlohmann::json;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::Field;
using topology::Drift;
using topology::Kind;

api::JobQueue job_queue(const json& patch = json::object()) {
  json object = json::parse(R"({
    "metadata": {"name": "kaniko-jobs", "namespace": "knative-lambda-dev", "generation": 3},
    "spec": {"rabbitmq": {"connectionSecret": {"name": "rabbitmq-connection"}},
             "queue": {"name": "kaniko-jobs"},
             "deadLetter": {"exchange": "dlx", "queue": "kaniko-jobs.dlq"},
             "routing": {"exchange": "lambda.events", "keys": ["job.start"]}}})");
  if (!patch.is_null()) object["spec"].merge_patch(patch);
  const auto parsed = api::parse_job_queue(object);
  EXPECT_TRUE(parsed) << describe(parsed.error());
  return *parsed;
}

// ---------------------------------------------------------------------------------------------------------------------
// Which part something belongs to

struct ObjectRow {
  std::string name;
  std::string kind;
  json spec;
  Part part;
};

class PartOfObject : public testing::TestWithParam<ObjectRow> {};

TEST_P(PartOfObject, IsFoundByWhatItStandsFor) {
  // Nothing may depend on the object's own name: it can be a hash.
  const json object = {{"kind", GetParam().kind}, {"metadata", {{"name", "x"}}}, {"spec", GetParam().spec}};
  EXPECT_EQ(part_of(object, job_queue().spec), GetParam().part);
}

const std::vector<ObjectRow> objects = {
    {"Queue", "Queue", {{"name", "kaniko-jobs"}}, Part::queue},
    {"DeadLetterQueue", "Queue", {{"name", "kaniko-jobs.dlq"}}, Part::dead_letter},
    {"UnroutedQueue", "Queue", {{"name", "kaniko-jobs.unrouted"}}, Part::routing},
    {"Exchange", "Exchange", {{"name", "lambda.events"}}, Part::routing},
    {"DeadLetterExchange", "Exchange", {{"name", "dlx"}}, Part::dead_letter},
    {"Binding",
     "Binding",
     {{"source", "lambda.events"}, {"destination", "kaniko-jobs"}, {"routingKey", "job.start"}},
     Part::routing},
    {"DeadLetterBinding",
     "Binding",
     {{"source", "dlx"}, {"destination", "kaniko-jobs.dlq"}, {"routingKey", "kaniko-jobs.dlq"}},
     Part::dead_letter},
    {"Policy",
     "Policy",
     {{"pattern", topology::pattern_of({"kaniko-jobs"})}, {"applyTo", "queues"}},
     Part::queue},
    {"DeadLetterPolicy",
     "Policy",
     {{"pattern", topology::pattern_of({"kaniko-jobs.dlq"})}, {"applyTo", "queues"}},
     Part::dead_letter},
    {"UnroutedPolicy",
     "Policy",
     {{"pattern", topology::pattern_of({"kaniko-jobs.unrouted"})}, {"applyTo", "queues"}},
     Part::routing},
    {"PolicyOfAnExchangeWithTheQueuesName",
     "Policy",
     {{"pattern", topology::pattern_of({"kaniko-jobs"})}, {"applyTo", "exchanges"}},
     Part::routing},
    {"Source", "RabbitmqSource", json::object(), Part::source},
    {"Trigger", "Trigger", json::object(), Part::trigger},
    {"Broker", "Broker", json::object(), Part::trigger},
    {"BrokerConfig", "RabbitmqBrokerConfig", json::object(), Part::trigger},
};

INSTANTIATE_TEST_SUITE_P(Judgement, PartOfObject, testing::ValuesIn(objects),
                         [](const auto& info) { return info.param.name; });

// A row of the table above for every kind of object there is.
TEST(PartOf, EveryObjectOfAChainHasOne) {
  const api::JobQueue queue = job_queue(json::parse(R"({"trigger": {"broker": {"create": true}}})"));
  for (const json& object : desired::make(queue, {}).objects) {
    const std::string kind = object["kind"];
    EXPECT_TRUE(std::ranges::any_of(objects, [&](const ObjectRow& row) { return row.kind == kind; })) << kind;
  }
}

struct DriftRow {
  std::string name;
  Drift drift;
  json patch;
  Part part;
};

topology::Topology wanted() {
  return {.exchanges = {},
          .queues = {},
          .bindings = {{"dlx", "kaniko-jobs.dlq", "kaniko-jobs.dlq"},
                       {"lambda.events", "kaniko-jobs", "job.start"},
                       {"b.trigger.dlx", "kaniko-jobs.dlq", "", {{"x-match", "all"}}}},
          .policies = {{"of-queue", topology::pattern_of({"kaniko-jobs"})},
                       {"of-dlq", topology::pattern_of({"kaniko-jobs.dlq"})},
                       {"of-exchange", topology::pattern_of({"kaniko-jobs"}), "exchanges"},
                       {"of-unrouted", topology::pattern_of({"kaniko-jobs.unrouted"})}},
          .operator_policies = {}};
}

Drift drift(Kind kind, std::string name, Drift::What what = Drift::What::missing) {
  return {kind, what, std::move(name), {}};
}

class PartOfDrift : public testing::TestWithParam<DriftRow> {};

TEST_P(PartOfDrift, IsThatOfWhatIsNotAsItShouldBe) {
  EXPECT_EQ(part_of(GetParam().drift, wanted(), job_queue(GetParam().patch).spec), GetParam().part);
}

const json amqp = {{"path", "amqp"}};

INSTANTIATE_TEST_SUITE_P(
    Judgement, PartOfDrift,
    testing::ValuesIn(std::vector<DriftRow>{
        {"Queue", drift(Kind::queue, "kaniko-jobs"), {}, Part::queue},
        {"DeadLetterQueue", drift(Kind::queue, "kaniko-jobs.dlq"), {}, Part::dead_letter},
        {"UnroutedQueue", drift(Kind::queue, "kaniko-jobs.unrouted"), {}, Part::routing},
        {"Exchange", drift(Kind::exchange, "lambda.events"), {}, Part::routing},
        {"DeadLetterExchange", drift(Kind::exchange, "dlx"), {}, Part::dead_letter},
        {"Binding", drift(Kind::binding, name_of(wanted().bindings[1])), {}, Part::routing},
        {"DeadLetterBinding", drift(Kind::binding, name_of(wanted().bindings[0])), {}, Part::dead_letter},
        {"BindingOfTheTriggersDeadLetters",
         drift(Kind::binding, name_of(wanted().bindings[2])),
         {},
         Part::dead_letter},
        {"BindingThatNobodyWants", drift(Kind::binding, "a -> kaniko-jobs.dlq [b]"), {}, Part::routing},
        {"Policy", drift(Kind::policy, "of-queue"), {}, Part::queue},
        {"DeadLetterPolicy", drift(Kind::policy, "of-dlq"), {}, Part::dead_letter},
        {"ExchangePolicy", drift(Kind::policy, "of-exchange"), {}, Part::routing},
        {"UnroutedPolicy", drift(Kind::policy, "of-unrouted"), {}, Part::routing},
        {"ForeignPolicy", drift(Kind::policy, "of-a-stranger", Drift::What::foreign), {}, Part::queue},
        {"OperatorPolicy", drift(Kind::operator_policy, "x"), {}, Part::trigger},
        {"OperatorPolicyWithoutTrigger", drift(Kind::operator_policy, "x"), amqp, Part::queue},
    }),
    [](const auto& info) { return info.param.name; });

// ---------------------------------------------------------------------------------------------------------------------
// The conditions

const Condition& find(const std::vector<Condition>& conditions, std::string_view type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  EXPECT_NE(found, conditions.end()) << type;
  return *found;
}

auto is(std::string_view type, ConditionStatus status, std::string_view reason) {
  return AllOf(Field("type", &Condition::type, type), Field("status", &Condition::status, status),
               Field("reason", &Condition::reason, reason));
}

// What a part's condition and its Ready come to, of several rules the first that holds.
struct PartRow {
  std::string name;
  Part part;
  std::function<void(Observation&)> change;
  ConditionStatus status;
  std::string reason;
  std::string message;
};

Observation everything_at_once() {
  Observation observation;
  observation.all = {api::reason::claimed, "the queue is another's"};
  observation.broker = {api::reason::rabbitmq_unreachable, "no answer"};
  for (const Part part : {Part::queue, Part::dead_letter, Part::routing, Part::source, Part::trigger}) {
    observation.troubles.push_back({part, {api::reason::different, "is classic"}});
    observation.waits.push_back({part, {api::reason::progressing, "not yet"}});
    observation.repaired.push_back({part, "queue", "queue \"q\" is missing"});
  }
  observation.adopted = {"queue kaniko-jobs: x-max-length=10000"};
  return observation;
}

// Takes away, one after another, what comes first.
void drop_all(Observation& observation) {
  observation.all.reset();
}
void drop_troubles(Observation& observation) {
  drop_all(observation);
  observation.troubles.clear();
}
void drop_broker(Observation& observation) {
  drop_troubles(observation);
  observation.broker.reset();
}
void drop_waits(Observation& observation) {
  drop_broker(observation);
  observation.waits.clear();
}
void drop_repaired(Observation& observation) {
  drop_waits(observation);
  observation.repaired.clear();
}
void drop_everything(Observation& observation) {
  observation = {};
}

std::string_view condition_of(Part part) {
  constexpr std::array types{api::condition::queue_ready, api::condition::dead_letter_ready,
                             api::condition::routing_ready, api::condition::source_ready,
                             api::condition::trigger_ready};
  return types.at(static_cast<std::size_t>(part));
}

class OnePart : public testing::TestWithParam<PartRow> {};

TEST_P(OnePart, IsToldByTheFirstRuleThatHolds) {
  const PartRow& row = GetParam();
  Observation observation = everything_at_once();
  row.change(observation);
  const auto conditions = judge(job_queue(), observation);
  const Condition& condition = find(conditions, condition_of(row.part));
  EXPECT_THAT(condition, is(condition_of(row.part), row.status, row.reason));
  EXPECT_EQ(condition.message, row.message);
}

constexpr auto yes = ConditionStatus::yes;
constexpr auto no = ConditionStatus::no;
constexpr auto unknown = ConditionStatus::unknown;

INSTANTIATE_TEST_SUITE_P(
    Judgement, OnePart,
    testing::ValuesIn(std::vector<PartRow>{
        {"WhatIsInTheWayOfEverything", Part::queue, [](Observation&) {}, no, "ClaimedByOther",
         "the queue is another's"},
        {"TroubleBeforeAnUnknownBroker", Part::queue, drop_all, no, "Different", "is classic"},
        {"UnknownBrokerBeforeWaits", Part::queue, drop_troubles, unknown, "RabbitmqUnreachable", "no answer"},
        {"UnknownBrokerOfDeadLetters", Part::dead_letter, drop_troubles, unknown, "RabbitmqUnreachable",
         "no answer"},
        {"UnknownBrokerOfRouting", Part::routing, drop_troubles, unknown, "RabbitmqUnreachable", "no answer"},
        {"ASourceIsNotInTheBroker", Part::source, drop_troubles, unknown, "Progressing", "not yet"},
        {"ATriggerIsNotInTheBroker", Part::trigger, drop_troubles, unknown, "Progressing", "not yet"},
        {"WaitsBeforeRepairs", Part::queue, drop_broker, unknown, "Progressing", "not yet"},
        {"RepairsBeforeAdoption", Part::queue, drop_waits, yes, "Repaired",
         "found and repaired: queue \"q\" is missing"},
        {"Adoption", Part::queue, drop_repaired, yes, "Adopted",
         "was there before, and fits: queue kaniko-jobs: x-max-length=10000"},
        {"OnlyTheQueueTellsOfAdoption", Part::dead_letter, drop_repaired, yes, "AsSpecified", "as specified"},
        {"NothingAtAll", Part::queue, drop_everything, yes, "AsSpecified", "as specified"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(Judge, TellsAllSevenInTheOrderOfTheDocuments) {
  const auto conditions = judge(job_queue(), {});
  std::vector<std::string> types;
  for (const Condition& condition : conditions) types.push_back(condition.type);
  EXPECT_THAT(types, ElementsAre("QueueReady", "DeadLetterReady", "RoutingReady", "SourceReady",
                                 "TriggerReady", "DeliveryGuaranteed", "Ready"));
  EXPECT_THAT(conditions, Each(Field("observed_generation", &Condition::observed_generation, 3)));
  EXPECT_THAT(conditions, Each(Field("last_transition_time", &Condition::last_transition_time, "")));
}

TEST(Judge, WhatIsInTheWayOfEverythingIsToldByEachPart) {
  Observation observation;
  observation.all = {api::reason::invalid, "spec.path: is no path"};
  const auto conditions = judge(job_queue(amqp), observation);
  for (const Condition& condition : conditions) {
    if (condition.type == api::condition::delivery_guaranteed) continue;
    EXPECT_THAT(condition, is(condition.type, no, "InvalidSpec"));
  }
}

struct NeedRow {
  std::string name;
  json patch;
  bool source;
  bool trigger;
};

class Needed : public testing::TestWithParam<NeedRow> {};

// A part that the path does not have is as it should be, whatever was found.
TEST_P(Needed, IsWhatThePathHas) {
  Observation observation;
  observation.troubles = {{Part::source, {api::reason::crd_missing, "no RabbitmqSource"}},
                          {Part::trigger, {api::reason::crd_missing, "no Trigger"}}};
  const auto conditions = judge(job_queue(GetParam().patch), observation);
  const auto expect = [&](std::string_view type, bool needed) {
    EXPECT_THAT(find(conditions, type), needed ? is(type, no, "CrdMissing") : is(type, yes, "NotNeeded"));
  };
  expect(api::condition::source_ready, GetParam().source);
  expect(api::condition::trigger_ready, GetParam().trigger);
  const bool any = GetParam().source || GetParam().trigger;
  EXPECT_EQ(find(conditions, api::condition::ready).status, any ? no : yes);
}

INSTANTIATE_TEST_SUITE_P(
    Judgement, Needed,
    testing::ValuesIn(std::vector<NeedRow>{
        {"Trigger", {{"path", "trigger"}}, true, true},
        {"Source", {{"path", "source"}}, true, false},
        {"Amqp", {{"path", "amqp"}}, false, false},
        {"TriggerWithoutSource", {{"path", "trigger"}, {"source", {{"enabled", false}}}}, false, true},
    }),
    [](const auto& info) { return info.param.name; });

TEST(Judge, TroublesOfOnePartAreJoinedUnderTheReasonOfTheFirst) {
  Observation observation;
  observation.troubles = {{Part::queue, {api::reason::policy_shadowed, "policy p is in the way"}},
                          {Part::routing, {api::reason::different, "exchange e is a fanout"}},
                          {Part::queue, {api::reason::different, "queue q is classic"}}};
  const auto conditions = judge(job_queue(), observation);
  const Condition& queue = find(conditions, api::condition::queue_ready);
  EXPECT_EQ(queue.reason, "PolicyShadowed");
  EXPECT_EQ(queue.message, "policy p is in the way; queue q is classic");
  EXPECT_EQ(find(conditions, api::condition::routing_ready).message, "exchange e is a fanout");
}

TEST(Judge, RepairsOfOnePartAreJoined) {
  Observation observation;
  observation.repaired = {{Part::routing, "binding", "binding a is missing"},
                          {Part::queue, "queue", "queue q is missing"},
                          {Part::routing, "binding", "binding b is missing"}};
  const auto conditions = judge(job_queue(), observation);
  EXPECT_EQ(find(conditions, api::condition::routing_ready).message,
            "found and repaired: binding a is missing; binding b is missing");
  EXPECT_THAT(find(conditions, api::condition::ready), is("Ready", yes, "AsSpecified"));
}

// The API server takes 32 KiB of a message, an Event far less.
TEST(Judge, LongMessagesAreCut) {
  Observation observation;
  for (int i = 0; i < 300; ++i) {
    observation.troubles.push_back({Part::queue, {api::reason::different, "queue q is classic"}});
  }
  const auto conditions = judge(job_queue(), observation);
  for (const std::string_view type : {api::condition::queue_ready, api::condition::ready}) {
    const std::string& message = find(conditions, type).message;
    EXPECT_LE(message.size(), 2048U);
    EXPECT_GT(message.size(), 2000U);
    EXPECT_THAT(message, EndsWith("…"));
  }
}

TEST(Judge, ReadySumsUpTheFirstOfTheWorst) {
  Observation observation;
  observation.waits = {{Part::queue, {api::reason::progressing, "not yet"}}};
  const auto ready = [&] { return find(judge(job_queue(), observation), api::condition::ready); };
  EXPECT_THAT(ready(), is("Ready", unknown, "Progressing"));
  EXPECT_EQ(ready().message, "QueueReady: not yet");
  observation.troubles = {{Part::trigger, {api::reason::broker_missing, "no Broker"}},
                          {Part::routing, {api::reason::different, "is a fanout"}}};
  EXPECT_THAT(ready(), is("Ready", no, "Different"));
  EXPECT_EQ(ready().message, "RoutingReady: is a fanout");
}

TEST(Judge, WhatIsNewIsNotReadyYet) {
  Observation observation;
  observation.is_new = true;
  const auto conditions = judge(job_queue(), observation);
  EXPECT_THAT(find(conditions, api::condition::ready), is("Ready", unknown, "Progressing"));
  EXPECT_THAT(find(conditions, api::condition::queue_ready), is("QueueReady", yes, "AsSpecified"));
}

TEST(Judge, WhatIsNewAndInTroubleIsInTrouble) {
  Observation observation;
  observation.is_new = true;
  observation.troubles = {{Part::queue, {api::reason::different, "is classic"}}};
  EXPECT_THAT(find(judge(job_queue(), observation), api::condition::ready), is("Ready", no, "Different"));
}

desired::Finding finding(std::string reason, std::string field) {
  return {desired::Finding::Severity::warning, std::move(reason), std::move(field), "it loses", "do this"};
}

TEST(Judge, FindingsAreToldByDeliveryGuaranteedAndLeaveReadyAlone) {
  Observation observation;
  observation.findings = {finding("EvictsOldest", "spec.queue.overflow"),
                          finding("ClassicQueue", "spec.queue.type")};
  const auto conditions = judge(job_queue(), observation);
  const Condition& delivery = find(conditions, api::condition::delivery_guaranteed);
  EXPECT_THAT(delivery, is("DeliveryGuaranteed", no, "EvictsOldest"));
  EXPECT_EQ(delivery.message,
            "spec.queue.overflow: it loses (EvictsOldest). Remedy: do this; "
            "spec.queue.type: it loses (ClassicQueue). Remedy: do this");
  EXPECT_THAT(find(conditions, api::condition::ready), is("Ready", yes, "AsSpecified"));
}

TEST(Judge, WithoutFindingsDeliveryIsGuaranteed) {
  EXPECT_THAT(find(judge(job_queue(), {}), api::condition::delivery_guaranteed),
              is("DeliveryGuaranteed", yes, "Guaranteed"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Objects

json object_with(const json& patch) {
  json object = {{"apiVersion", "eventing.knative.dev/v1"},
                 {"kind", "Trigger"},
                 {"metadata", {{"namespace", "knative-lambda-dev"}, {"name", "kaniko-jobs-trigger"}}}};
  object.merge_patch(patch);
  return object;
}

TEST(Child, IsNamedByKindAndKey) {
  const json object = object_with(json::object());
  EXPECT_EQ(key_of(object), (api::ObjectKey{"knative-lambda-dev", "kaniko-jobs-trigger"}));
  EXPECT_EQ(shown(object), "Trigger knative-lambda-dev/kaniko-jobs-trigger");
}

struct ReadinessRow {
  std::string name;
  json conditions;  // null: no status
  Readiness readiness;
  std::string message;
};

class ReadinessOf : public testing::TestWithParam<ReadinessRow> {};

TEST_P(ReadinessOf, IsWhatItsControllerSays) {
  const json status = GetParam().conditions.is_null() ? json() : json{{"conditions", GetParam().conditions}};
  const ReadinessSaid said = readiness_of(object_with({{"status", status}}));
  EXPECT_EQ(said.readiness, GetParam().readiness);
  EXPECT_EQ(said.message, GetParam().message);
}

const std::string silent = "its controller has not said anything yet";

json condition_of(std::string_view type, std::string_view status) {
  return {{"type", type}, {"status", status}, {"reason", "Because"}, {"message", "of that"}};
}

INSTANTIATE_TEST_SUITE_P(
    Judgement, ReadinessOf,
    testing::ValuesIn(std::vector<ReadinessRow>{
        {"NoStatus", nullptr, Readiness::waiting, silent},
        {"NoConditions", json::array(), Readiness::waiting, silent},
        {"OnlyOtherConditions", json::array({condition_of("BrokerReady", "False")}), Readiness::waiting,
         silent},
        {"Ready", json::array({condition_of("BrokerReady", "False"), condition_of("Ready", "True")}),
         Readiness::ready, ""},
        {"Failed", json::array({condition_of("Ready", "False")}), Readiness::failed, "Because of that"},
        {"Waiting", json::array({condition_of("Ready", "Unknown")}), Readiness::waiting, "Because of that"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(Child, ABrokersConfigurationHasNoControllerToWaitFor) {
  EXPECT_EQ(readiness_of(object_with({{"kind", "RabbitmqBrokerConfig"}})).readiness, Readiness::ready);
}

json labels(const json& labels) {
  return {{"metadata", {{"labels", labels}}}};
}

json applied_by(std::string_view manager, std::string_view operation = "Apply",
                std::string_view subresource = "") {
  json entry = {{"manager", manager}, {"operation", operation}};
  if (!subresource.empty()) entry["subresource"] = subresource;
  const json strangers = {{"manager", "kubectl-edit"}, {"operation", "Update"}};
  return {{"metadata", {{"managedFields", {strangers, entry}}}}};
}

struct OwnershipRow {
  std::string name;
  json patch;
  Ownership ownership;
};

class OwnershipOf : public testing::TestWithParam<OwnershipRow> {};

TEST_P(OwnershipOf, IsToldByLabelsAndManagers) {
  const json wanted = object_with(labels(desired::labels_of(job_queue())));
  EXPECT_EQ(ownership_of(object_with(GetParam().patch), wanted), GetParam().ownership);
}

const json ours = {{"app.kubernetes.io/managed-by", "knative-lambda-operator"}};

json labels_with(const json& patch) {
  json all = desired::labels_of(job_queue());
  all.merge_patch(patch);
  return labels(all);
}

INSTANTIATE_TEST_SUITE_P(
    Judgement, OwnershipOf,
    testing::ValuesIn(std::vector<OwnershipRow>{
        {"AsItWasMade", labels_with(json::object()), Ownership::ours},
        {"HandedOverByTheLabel", labels(ours), Ownership::ours},
        {"OfAnotherJobQueue", labels_with({{"lambda.notifi.network/job-queue", "other"}}),
         Ownership::other_job_queues},
        {"OfAnotherNamespace", labels_with({{"lambda.notifi.network/job-queue-namespace", "other"}}),
         Ownership::other_job_queues},
        {"WithoutTheJobQueuesLabel", labels_with({{"lambda.notifi.network/job-queue", nullptr}}),
         Ownership::ours},
        {"WithoutAnyLabel", applied_by("knative-lambda-operator"), Ownership::ours},
        {"Strangers", json::object(), Ownership::foreign},
        {"OfAnotherManager", labels({{"app.kubernetes.io/managed-by", "Helm"}}), Ownership::foreign},
        {"AppliedByAnother", applied_by("kubectl"), Ownership::foreign},
        {"OnlyPatchedByUs", applied_by("knative-lambda-operator", "Update"), Ownership::foreign},
        {"OnlyItsStatusByUs", applied_by("knative-lambda-operator", "Apply", "status"), Ownership::foreign},
    }),
    [](const auto& info) { return info.param.name; });

// What several JobQueues use together is no one's.
TEST(Child, ASharedObjectBelongsToAllJobQueues) {
  json wanted = object_with(labels(ours));
  wanted["kind"] = "Exchange";
  json found = object_with(labels_with({{"lambda.notifi.network/job-queue", "other"}}));
  found["kind"] = "Exchange";
  EXPECT_EQ(ownership_of(found, wanted), Ownership::ours);
  EXPECT_EQ(ownership_of(object_with({{"kind", "Exchange"}}), wanted), Ownership::foreign);
}

TEST(Child, ItsLabelsNameItsJobQueue) {
  EXPECT_EQ(job_queue_of(object_with(labels_with(json::object()))),
            (api::ObjectKey{"knative-lambda-dev", "kaniko-jobs"}));
  EXPECT_EQ(job_queue_of(object_with(labels(ours))), api::ObjectKey());
  EXPECT_EQ(job_queue_of(json()), api::ObjectKey());
}

}  // namespace
}  // namespace lambda::judgement
