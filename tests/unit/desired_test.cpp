// From a JobQueue to what should exist: golden objects for each path and way of management, and the rules.
#include "desired/desired.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "desired/knative_names.h"

namespace lambda::desired {
namespace {

using nlohmann::json;
using testing::IsEmpty;
using testing::SizeIs;

json document() {
  return json::parse(R"({
    "metadata": {"name": "kaniko-jobs", "namespace": "knative-lambda-dev"},
    "spec": {"rabbitmq": {"connectionSecret": {"name": "rabbitmq-connection", "namespace": "rabbitmq-dev"}}}})");
}

api::JobQueue job_queue(const json& patch = json::object()) {
  json object = document();
  object["spec"].merge_patch(patch);
  const auto parsed = api::parse_job_queue(object);
  EXPECT_TRUE(parsed) << describe(parsed.error());
  return *parsed;
}

// Uids as the test bed gave them once.
Seen all_seen() {
  Seen seen;
  seen.broker_uid = "948e7095-c991-40b9-99c3-62971b211a2a";
  seen.trigger_uid = "caae7f1e-195c-41b7-b0a5-9c5c5a00aec7";
  seen.broker_version = "3.10.8";
  seen.broker_queue_type = api::QueueType::quorum;
  seen.dead_letters_bound = true;
  return seen;
}

json to_json(const std::vector<topology::Policy>& policies) {
  json out = json::array();
  for (const auto& policy : policies)
    out.push_back({policy.name, policy.pattern, policy.apply_to, policy.priority, policy.definition});
  return out;
}

json to_json(const topology::Topology& topology) {
  json out = {{"exchanges", json::array()}, {"queues", json::array()}, {"bindings", json::array()}};
  for (const auto& exchange : topology.exchanges) out["exchanges"].push_back({exchange.name, exchange.type});
  for (const auto& queue : topology.queues)
    out["queues"].push_back({queue.name, queue.type, queue.arguments});
  for (const auto& binding : topology.bindings)
    out["bindings"].push_back({binding.exchange, binding.queue, binding.routing_key, binding.arguments});
  out["policies"] = to_json(topology.policies);
  out["operator_policies"] = to_json(topology.operator_policies);
  return out;
}

std::vector<std::string> kinds_and_names(const std::vector<json>& objects) {
  std::vector<std::string> out;
  for (const json& object : objects)
    out.push_back(object["kind"].get<std::string>() + " " +
                  object["metadata"]["namespace"].get<std::string>() + "/" +
                  object["metadata"]["name"].get<std::string>());
  return out;
}

json object_named(const Desired& desired, const std::string& kind, const std::string& name) {
  for (const json& object : desired.objects) {
    if (object["kind"] == kind && object["metadata"]["name"] == name) return object;
  }
  ADD_FAILURE() << kind << " " << name << " is not there";
  return {};
}

topology::Policy policy_of(const std::vector<topology::Policy>& policies, const std::string& thing) {
  for (const auto& policy : policies) {
    if (policy.name == "knative-lambda." + thing) return policy;
  }
  ADD_FAILURE() << "no policy for " << thing;
  return {};
}

class Golden : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Golden, IsMade) {
  const auto& [path, management] = GetParam();
  const Desired desired = make(
      job_queue({{"path", path}, {"management", management}, {"trigger", {{"broker", {{"create", true}}}}}}),
      all_seen());
  const json made = {
      {"objects", desired.objects}, {"topology", to_json(desired.topology)}, {"own", to_json(desired.own)}};
  std::ifstream file(std::string(LAMBDA_GOLDEN_DIR "/job_queue_") + path + "_" + management + ".json");
  ASSERT_TRUE(file) << made.dump(2);
  EXPECT_EQ(made, json::parse(file)) << made.dump(2);
}

INSTANTIATE_TEST_SUITE_P(PathsAndManagements, Golden,
                         testing::Combine(testing::Values("trigger", "source", "amqp"),
                                          testing::Values("topology", "direct")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
                         });

TEST(Desired, NamesTheQueueAndTheTriggerAsPeopleLookForThem) {
  const auto names = kinds_and_names(make(job_queue(), {}).objects);
  EXPECT_THAT(names,
              testing::IsSupersetOf({"Queue rabbitmq-dev/kaniko-jobs", "Queue rabbitmq-dev/kaniko-jobs.dlq",
                                     "Trigger knative-lambda-dev/kaniko-jobs-trigger",
                                     "RabbitmqSource knative-lambda-dev/kaniko-jobs-source"}));
}

TEST(Desired, DeclaresNothingByItselfBeforeKnativeIsSeen) {
  const Desired desired = make(job_queue(), {});
  EXPECT_EQ(desired.own, topology::Topology{});
  EXPECT_THAT(desired.topology.operator_policies, IsEmpty());
}

TEST(Desired, SourceComesLastSoThatNothingFlowsBeforeThereIsSomewhereToGo) {
  EXPECT_EQ(make(job_queue(), {}).objects.back()["kind"], "RabbitmqSource");
  const auto names = kinds_and_names(make(job_queue({{"source", {{"enabled", false}}}}), {}).objects);
  EXPECT_THAT(names, testing::Not(testing::Contains(testing::StartsWith("RabbitmqSource"))));
}

TEST(Desired, EveryObjectSaysWhoseItIsUnlessItIsShared) {
  for (const json& object :
       make(job_queue({{"trigger", {{"broker", {{"create", true}}}}}}), all_seen()).objects) {
    const json& labels = object["metadata"]["labels"];
    EXPECT_EQ(labels["app.kubernetes.io/managed-by"], "knative-lambda-operator") << object;
    EXPECT_EQ(labels.contains("lambda.notifi.network/job-queue"), !is_shared(object)) << object;
    EXPECT_EQ(labels.contains("lambda.notifi.network/job-queue-namespace"), !is_shared(object)) << object;
    for (const auto& [key, value] : labels.items()) EXPECT_LE(value.get<std::string>().size(), 63U);
  }
}

TEST(Desired, ObjectsHaveNamesThatKubernetesTakesAndThatDiffer) {
  const Desired desired = make(job_queue({{"queue", {{"name", "Jobs:of/All"}}},
                                          {"rabbitmq", {{"vhost", "tenants"}}},
                                          {"routing", {{"keys", {"a.*", "b.#"}}}}}),
                               all_seen());
  std::set<std::string> names;
  for (const json& object : desired.objects) {
    const auto name = object["metadata"]["name"].get<std::string>();
    EXPECT_THAT(name, testing::MatchesRegex("[a-z0-9]([a-z0-9.-]*[a-z0-9])?"));
    EXPECT_TRUE(names.insert(object["kind"].get<std::string>() + name).second) << name;
  }
}

TEST(Desired, TheSameQueueOfTwoVhostsIsTwoObjects) {
  const auto names = [](const char* vhost) {
    const auto all =
        kinds_and_names(make(job_queue({{"rabbitmq", {{"vhost", vhost}}}, {"path", "amqp"}}), {}).objects);
    return std::set<std::string>(all.begin(), all.end());
  };
  const auto first = names("a");
  for (const std::string& name : names("b")) EXPECT_EQ(first.count(name), 0U) << name;
}

TEST(Desired, WhatCanChangeIsAPolicyAndNoArgument) {
  const Desired desired = make(job_queue(), all_seen());
  EXPECT_FALSE(object_named(desired, "Queue", "kaniko-jobs")["spec"].contains("arguments"));
  EXPECT_EQ(policy_of(desired.topology.policies, "kaniko-jobs").definition,
            (topology::Arguments{{"message-ttl", 86'400'000},
                                 {"max-length", 10'000},
                                 {"overflow", "drop-head"},
                                 {"dead-letter-exchange", "dlx"},
                                 {"dead-letter-routing-key", "kaniko-jobs.dlq"},
                                 {"dead-letter-strategy", "at-most-once"},
                                 {"delivery-limit", 20}}));
  EXPECT_EQ(policy_of(desired.topology.policies, "kaniko-jobs.dlq").definition,
            (topology::Arguments{{"overflow", "reject-publish"}}));
}

TEST(Desired, NoBoundIsNoKey) {
  const auto definition = [](const char* version) {
    Seen seen;
    seen.broker_version = version;
    const json none = {{"queue", {{"messageTtl", "0s"}, {"maxLength", 0}, {"deliveryLimit", 0}}}};
    return policy_of(make(job_queue(none), seen).topology.policies, "kaniko-jobs").definition;
  };
  EXPECT_EQ(definition("3.10.8").count("delivery-limit"), 0U);
  EXPECT_EQ(definition("3.10.8").count("message-ttl") + definition("3.10.8").count("max-length"), 0U);
  EXPECT_EQ(definition("4.1.0").at("delivery-limit"), -1);  // which has a limit of its own
}

TEST(Desired, AClassicQueueHasNoPolicyThatItDoesNotKnow) {
  const auto definition =
      policy_of(make(job_queue({{"queue", {{"type", "classic"}}}}), {}).topology.policies, "kaniko-jobs")
          .definition;
  EXPECT_EQ(definition.count("delivery-limit") + definition.count("dead-letter-strategy"), 0U);
  EXPECT_EQ(definition.count("overflow"), 1U);
}

TEST(Desired, RepeatsTheArgumentsOfAQueueThatWasThereBefore) {
  Seen seen;
  seen.queue_arguments = {{"kaniko-jobs", {{"x-message-ttl", 86'400'000}}}};
  const Desired desired = make(job_queue(), seen);
  EXPECT_EQ(object_named(desired, "Queue", "kaniko-jobs")["spec"]["arguments"],
            json({{"x-message-ttl", 86'400'000}}));
  EXPECT_FALSE(object_named(desired, "Queue", "kaniko-jobs.dlq")["spec"].contains("arguments"));
}

TEST(Desired, RetainKeepsTheTopologyOperatorFromDroppingMessages) {
  EXPECT_EQ(object_named(make(job_queue(), {}), "Queue", "kaniko-jobs")["spec"]["deleteIfEmpty"], true);
  EXPECT_EQ(object_named(make(job_queue({{"deletionPolicy", "Delete"}}), {}), "Queue",
                         "kaniko-jobs")["spec"]["deleteIfEmpty"],
            false);
}

TEST(Desired, AnEditedKeyIsAnotherBinding) {
  const auto bindings = [](const char* key) {
    std::set<std::string> names;
    for (const json& object : make(job_queue({{"routing", {{"keys", {key}}}}}), {}).objects) {
      if (object["kind"] == "Binding" && object["spec"]["destination"] == "kaniko-jobs")
        names.insert(object["metadata"]["name"].get<std::string>());
    }
    return names;
  };
  EXPECT_THAT(bindings("a"), SizeIs(1));
  EXPECT_NE(bindings("a"), bindings("b"));
  EXPECT_EQ(bindings("a"), bindings("a"));
}

TEST(Desired, OneExchangeForBothIsDeclaredOnce) {
  const Desired desired = make(job_queue({{"routing", {{"exchange", "x"}, {"exchangeType", "direct"}}},
                                          {"deadLetter", {{"exchange", "x"}}},
                                          {"path", "amqp"}}),
                               {});
  EXPECT_THAT(desired.topology.exchanges, SizeIs(1));
}

TEST(Desired, PatternsMeanOneNameOnly) {
  const auto policy = policy_of(make(job_queue({{"queue", {{"name", "a.b"}}}}), {}).topology.policies, "a.b");
  EXPECT_EQ(policy.pattern, R"(^a\.b$)");
}

TEST(Desired, WhatATriggerGivesUpOnIsBoundToTheDeadLetterQueue) {
  const Desired desired = make(job_queue(), all_seen());
  const std::string exchange = knative::trigger_dead_letter_exchange(
      "knative-lambda-dev", "kaniko-jobs-trigger", all_seen().trigger_uid);
  EXPECT_THAT(desired.own.bindings,
              testing::Contains(topology::Binding{exchange, "kaniko-jobs.dlq", "", {{"x-match", "all"}}}));
  EXPECT_THAT(desired.own.exchanges,
              testing::Contains(topology::Exchange{exchange, "headers", true, false, {}}));
  const json delivery = object_named(desired, "Trigger", "kaniko-jobs-trigger")["spec"]["delivery"];
  EXPECT_TRUE(delivery["deadLetterSink"].contains("uri")) << "without a sink Knative makes no such exchange";
}

TEST(Desired, CopiesOfDeadLettersAreThrownAwayOnlyOnceOurQueueHasThem) {
  const std::string copies =
      knative::trigger_dead_letter_queue("knative-lambda-dev", "kaniko-jobs-trigger", all_seen().trigger_uid);
  const auto bounds = [&](const json& patch, bool bound) {
    Seen seen = all_seen();
    seen.dead_letters_bound = bound;
    for (const auto& policy : make(job_queue(patch), seen).own.operator_policies) {
      if (policy.name == "knative-lambda." + copies) return json(policy.definition);
    }
    return json();
  };
  EXPECT_EQ(bounds(json::object(), false), json());
  EXPECT_EQ(bounds(json::object(), true), json({{"max-length", 0}}));
  const json sink = {{"trigger", {{"delivery", {{"deadLetterSink", {{"uri", "http://sink"}}}}}}}};
  EXPECT_EQ(bounds(sink, true), json({{"max-length", 10'000}, {"message-ttl", 86'400'000}}));
}

TEST(Desired, TheTriggersQueueHasItsBoundsByAnOperatorPolicy) {
  const Desired desired = make(job_queue(), all_seen());
  const std::string name = trigger_queue_name(job_queue().spec, all_seen().broker_uid);
  EXPECT_EQ(name, "knative-lambda-dev.kaniko-jobs-trigger.948e7095-c991-40b9-99c3-62971b211a2a");
  EXPECT_EQ(
      policy_of(desired.own.operator_policies, name).definition,
      (topology::Arguments{{"message-ttl", 86'400'000}, {"max-length", 10'000}, {"delivery-limit", 20}}));
}

TEST(Desired, TheTriggersQueueIsRepairedOnceItsTypeIsKnown) {
  Seen seen = all_seen();
  const std::string name = trigger_queue_name(job_queue().spec, seen.broker_uid);
  const auto type_of_queue = [&](const json& patch) -> std::string {
    for (const auto& queue : make(job_queue(patch), seen).own.queues) {
      if (queue.name == name) return queue.type;
    }
    return "";
  };
  EXPECT_EQ(type_of_queue(json::object()), "quorum");
  seen.broker_queue_type = api::QueueType::classic;
  EXPECT_EQ(type_of_queue(json::object()), "classic");
  seen.broker_queue_type.reset();
  EXPECT_EQ(type_of_queue(json::object()), "");
  const json create = {{"trigger", {{"broker", {{"create", true}}}}}};
  EXPECT_EQ(type_of_queue(create), "quorum");
  seen.broker_is_foreign = true;
  EXPECT_EQ(type_of_queue(create), "");
}

TEST(Desired, WhatMatchesNoTriggerIsKept) {
  const Desired desired = make(job_queue(), all_seen());
  const std::string exchange =
      knative::broker_exchange("knative-lambda-dev", "default", all_seen().broker_uid);
  const auto policy = policy_of(desired.own.policies, exchange);
  EXPECT_EQ(policy.apply_to, "exchanges");
  const auto alternate = policy.definition.at("alternate-exchange").get<std::string>();
  EXPECT_THAT(desired.topology.exchanges,
              testing::Contains(topology::Exchange{alternate, "fanout", true, false, {}}));
  EXPECT_THAT(desired.topology.bindings,
              testing::Contains(topology::Binding{alternate, "kaniko-jobs.unrouted", "", {}}));
}

TEST(Desired, ABrokerOfSomebodyElseIsNotTouched) {
  const auto names = [](bool create, bool foreign) {
    Seen seen;
    seen.broker_is_foreign = foreign;
    return kinds_and_names(make(job_queue({{"trigger", {{"broker", {{"create", create}}}}}}), seen).objects);
  };
  const auto is_broker = testing::Contains(testing::StartsWith("Broker "));
  EXPECT_THAT(names(true, false), is_broker);
  EXPECT_THAT(names(true, true), testing::Not(is_broker));
  EXPECT_THAT(names(false, false), testing::Not(is_broker));
}

// --- names of Knative's, as its controllers made them on the test bed ---

TEST(KnativeNames, AreThoseOfTheControllers) {
  const std::string broker_uid = "948e7095-c991-40b9-99c3-62971b211a2a";
  const std::string trigger_uid = "caae7f1e-195c-41b7-b0a5-9c5c5a00aec7";
  EXPECT_EQ(knative::broker_exchange("knative-lambda-dev", "default", broker_uid),
            "b.knative-lambda-dev.default.8e638060d9f6d7bb7756a752b5491c4294");
  EXPECT_EQ(knative::trigger_queue("knative-lambda-dev", "with-sink", broker_uid),
            "knative-lambda-dev.with-sink.948e7095-c991-40b9-99c3-62971b211a2a");
  EXPECT_EQ(knative::trigger_dead_letter_exchange("knative-lambda-dev", "with-sink", trigger_uid),
            "t.knative-lambda-dev.with-sink.6f75ca4db6886114f834ba5ac763180b");
  EXPECT_EQ(knative::trigger_dead_letter_queue("knative-lambda-dev", "with-sink", trigger_uid),
            "t.knative-lambda-dev.with-sink.80b8ed6711418ef21d6c695ce483b15d");
  EXPECT_EQ(knative::trigger_policy("knative-lambda-dev", "with-sink", trigger_uid),
            "t.knative-lambda-dev.with-sink.2811352f6aa18bea9d21800f34b37edc");
  EXPECT_EQ(knative::broker_exchange("apps", "b", broker_uid), "b.apps.b." + broker_uid);
}

TEST(KnativeNames, AreHashedAsKmetaDoesIt) {
  EXPECT_EQ(knative::child_name("short-", "suffix"), "short-suffix");
  EXPECT_EQ(knative::child_name(std::string(31, 'a') + std::string(32, 'b'), ""),
            std::string(31, 'a') + std::string(32, 'b'));
  EXPECT_THAT(knative::child_name(std::string(64, 'a'), "-end"),
              testing::MatchesRegex("a{27}[0-9a-f]{32}-end"));
  EXPECT_THAT(knative::child_name("p.", std::string(62, '.')), testing::MatchesRegex("p\\.[0-9a-f]{32}"));
}

// --- what has to be done to an object that exists ---

json found(const std::string& kind) {
  for (json object : make(job_queue({{"trigger", {{"broker", {{"create", true}}}}}}), all_seen()).objects) {
    if (object["kind"] != kind) continue;
    object["metadata"]["resourceVersion"] = "7";
    object["metadata"]["labels"]["somebody"] = "else";
    object["spec"]["defaulted"] = true;
    object["status"] = {{"conditions", json::array()}};
    return object;
  }
  ADD_FAILURE() << kind;
  return {};
}

json wanted(const std::string& kind) {
  json object = found(kind);
  object["metadata"].erase("resourceVersion");
  object["metadata"]["labels"].erase("somebody");
  object["spec"].erase("defaulted");
  object.erase("status");
  return object;
}

TEST(Change, IsNoneForWhatOthersAdd) {
  for (const char* kind : {"Queue", "Exchange", "Binding", "Policy", "RabbitmqBrokerConfig", "Broker",
                           "Trigger", "RabbitmqSource"}) {
    EXPECT_EQ(change_of(found(kind), wanted(kind)), Change::none) << kind;
  }
}

TEST(Change, IsUpdateWhereAnythingOfOursIsOther) {
  struct Edit {
    const char* kind;
    const char* pointer;
    json value;
  };
  for (const Edit& edit :
       std::vector<Edit>{{"Queue", "/spec/durable", false},
                         {"Queue", "/spec/arguments", {{"x-max-length", 1}}},
                         {"Queue", "/metadata/labels/lambda.notifi.network~1job-queue", "other"},
                         {"Policy", "/spec/definition/max-length", 5},
                         {"Policy", "/spec/definition/expires", 5},
                         {"Policy", "/spec/definition", nullptr},
                         {"Trigger", "/spec/filter/attributes/subject", "more"},
                         {"Trigger", "/spec/subscriber/ref/name", "other"},
                         {"Trigger", "/metadata/annotations", json::object()},
                         {"Exchange", "/spec", json::object()}}) {
    json object = found(edit.kind);
    object[json::json_pointer(edit.pointer)] = edit.value;
    EXPECT_EQ(change_of(object, wanted(edit.kind)), Change::update) << edit.kind << edit.pointer;
  }
  EXPECT_EQ(change_of(json::object(), wanted("Queue")), Change::update);
}

TEST(Change, IsReplaceWhereAWebhookRefusesAnythingElse) {
  json source = found("RabbitmqSource");
  source["spec"]["rabbitmqResourcesConfig"]["parallelism"] = 1;
  EXPECT_EQ(change_of(source, wanted("RabbitmqSource")), Change::replace);
  source = found("RabbitmqSource");
  source["metadata"]["labels"].clear();
  EXPECT_EQ(change_of(source, wanted("RabbitmqSource")), Change::update);
}

}  // namespace
}  // namespace lambda::desired
