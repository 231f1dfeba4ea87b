// What is in a broker, compared with what should be.
#include "topology/topology.h"

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/effect.h"
#include "topology/pattern.h"

namespace lambda::topology {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = Drift::What;

constexpr std::int64_t day_ms = 86'400'000;

Exchange exchange(std::string name, std::string type) {
  return {std::move(name), std::move(type), true, false, {}};
}

Queue queue(std::string name) {
  return {std::move(name), "quorum", true, false, {}};
}

/// The document's chain, bounds set by policy.
Topology the_chain() {
  Topology chain;
  chain.exchanges = {exchange("lambda.events", "topic"), exchange("dlx", "direct")};
  chain.queues = {queue("kaniko-jobs"), queue("kaniko-jobs.dlq")};
  chain.bindings = {{"lambda.events", "kaniko-jobs", "network.notifi.lambda.job.start", {}},
                    {"dlx", "kaniko-jobs.dlq", "kaniko-jobs.dlq", {}},
                    {"b.dlx", "kaniko-jobs.dlq", "", {{"type", "start"}, {"x-match", "all"}}}};
  chain.policies = {{"jobs",
                     "^kaniko-jobs$",
                     "queues",
                     5,
                     {{"message-ttl", day_ms},
                      {"max-length", 10'000},
                      {"overflow", "drop-head"},
                      {"dead-letter-exchange", "dlx"},
                      {"dead-letter-routing-key", "kaniko-jobs.dlq"}}},
                    {"unrouted", R"(^b\.1$)", "exchanges", 5, {{"alternate-exchange", "unrouted"}}}};
  chain.operator_policies = {{"bounds", "^ns\\.trigger$", "queues", 5, {{"max-length", 10'000}}}};
  return chain;
}

/// A broker that holds all of it, and what is Knative's.
Snapshot holds(const Topology& chain) {
  Snapshot found;
  for (const Exchange& each : chain.exchanges) found.exchanges[each.name] = {each, ""};
  found.exchanges["b.1"] = {exchange("b.1", "headers"), "unrouted"};
  found.exchanges["b.dlx"] = {exchange("b.dlx", "headers"), ""};
  for (const Queue& each : chain.queues) found.queues[each.name] = {each, "", {}, "", Arguments{}, ""};
  found.queues["kaniko-jobs"].policy = "jobs";
  found.queues["ns.trigger"] = {queue("ns.trigger"), "knative", {}, "bounds", Arguments{}, ""};
  found.bindings = chain.bindings;
  for (const Policy& policy : chain.policies) found.policies[policy.name] = policy;
  for (const Policy& policy : chain.operator_policies) found.operator_policies[policy.name] = policy;
  return found;
}

struct Case {
  const char* name;
  std::function<void(Topology& wanted, Snapshot& found)> change;
  std::vector<Drift> drifts;  // `detail` is a part of what is said
};

void PrintTo(const Case& drift_case, std::ostream* out) {
  *out << drift_case.name;
}

class Compare : public testing::TestWithParam<Case> {};

TEST_P(Compare, TellsTheDrifts) {
  Topology wanted = the_chain();
  Snapshot found = holds(wanted);
  GetParam().change(wanted, found);
  const std::vector<Drift> drifts = compare(wanted, found);
  std::string all;
  for (const Drift& drift : drifts) all += describe(drift) + "\n";
  ASSERT_EQ(drifts.size(), GetParam().drifts.size()) << all;
  for (std::size_t i = 0; i < drifts.size(); ++i) {
    const Drift& expected = GetParam().drifts[i];
    EXPECT_EQ(to_string(drifts[i].kind), to_string(expected.kind));
    EXPECT_EQ(to_string(drifts[i].what), to_string(expected.what));
    EXPECT_EQ(drifts[i].name, expected.name);
    EXPECT_THAT(drifts[i].detail, HasSubstr(expected.detail));
  }
}

Queue& jobs(Snapshot& found) {
  return found.queues.at("kaniko-jobs").queue;
}

const std::vector<Case> cases = {
    // --- nothing to tell ---
    {"AllAsItShouldBe", [](Topology&, Snapshot&) {}, {}},
    {"NothingWantedOfAFullBroker", [](Topology& wanted, Snapshot&) { wanted = {}; }, {}},
    {"NumbersAreNumbers",
     [](Topology&, Snapshot& found) {
       found.policies["jobs"].definition["message-ttl"] = 86'400'000.0;
       found.operator_policies["bounds"].definition["max-length"] = 10'000U;
     },
     {}},
    {"OtherOrderOfBindings",
     [](Topology&, Snapshot& found) { std::swap(found.bindings[0], found.bindings[2]); },
     {}},
    {"MoreThanIsWanted",
     [](Topology&, Snapshot& found) {
       found.queues["another"] = {};
       found.exchanges["another"] = {};
       found.bindings.push_back({"dlx", "kaniko-jobs.dlq", "another", {}});
       found.policies["another"] = {"another", "^x", "all", 99, {{"expires", 1}}};
     },
     {}},
    {"ArgumentsOfTheDocumentAreAdopted",
     [](Topology&, Snapshot& found) {
       jobs(found).arguments = {{"x-message-ttl", day_ms},
                                {"x-max-length", 10'000},
                                {"x-overflow", "drop-head"},
                                {"x-dead-letter-exchange", "dlx"},
                                {"x-dead-letter-routing-key", "kaniko-jobs.dlq"}};
     },
     {}},
    {"ALargerLimitByArgumentIsOverruled",
     [](Topology&, Snapshot& found) { jobs(found).arguments = {{"x-max-length", 20'000}}; },
     {}},
    {"AQuorumQueuesOverflowIsItsPolicys",
     [](Topology& wanted, Snapshot& found) {
       wanted.policies[0].definition["overflow"] = "reject-publish";
       found.policies["jobs"] = wanted.policies[0];
       jobs(found).arguments = {{"x-overflow", "drop-head"}};
     },
     {}},
    {"ADefaultByArgumentIsNothing",
     [](Topology&, Snapshot& found) {
       found.queues["kaniko-jobs.dlq"].queue.arguments = {{"x-overflow", "drop-head"},
                                                          {"x-dead-letter-strategy", "at-most-once"}};
     },
     {}},
    {"ARoutingKeyToNowhereIsNothing",
     [](Topology&, Snapshot& found) {
       found.queues["kaniko-jobs.dlq"].queue.arguments = {{"x-dead-letter-routing-key", "key"}};
     },
     {}},
    {"HowItIsStoredDoesNotMatter",
     [](Topology&, Snapshot& found) {
       jobs(found).arguments = {{"x-quorum-initial-group-size", 3}, {"x-queue-leader-locator", "balanced"}};
     },
     {}},
    {"AnArgumentThatNoBrokerKnows",
     [](Topology&, Snapshot& found) { jobs(found).arguments = {{"x-team", "lambda"}}; },
     {}},
    {"WantedByArgumentFoundSo",
     [](Topology& wanted, Snapshot& found) {
       wanted.queues[1].arguments = {{"x-overflow", "reject-publish"}, {"x-single-active-consumer", true}};
       found.queues["kaniko-jobs.dlq"].queue.arguments = wanted.queues[1].arguments;
     },
     {}},
    {"AnAlternateExchangeMoreLosesNothing",
     [](Topology&, Snapshot& found) {
       found.exchanges["lambda.events"].exchange.arguments = {{"alternate-exchange", "other"}};
     },
     {}},
    {"AnAlternateByOurPolicyInPlaceOfTheArgument",
     [](Topology& wanted, Snapshot& found) {
       wanted.exchanges[0].arguments = {{"alternate-exchange", "unrouted"}};
       wanted.policies[1].pattern = "^lambda\\.events$";
       found.policies["unrouted"] = wanted.policies[1];
       found.exchanges["lambda.events"].policy = "unrouted";
     },
     {}},
    {"AnOperatorPolicyThatIsNotSeenYet",
     [](Topology&, Snapshot& found) { found.queues["ns.trigger"].operator_policy = ""; },
     {}},
    {"AQueueWithoutFigures",
     [](Topology&, Snapshot& found) {
       found.queues["ns.trigger"].operator_policy = std::nullopt;
       found.queues["ns.trigger"].effective_policy = std::nullopt;
     },
     {}},
    {"AStaleOperatorPolicyThatOursOutranks",
     [](Topology&, Snapshot& found) {
       found.operator_policies["low"] = {"low", ".*", "queues", 4, {{"max-length", 1}}};
       found.queues["ns.trigger"].operator_policy = "low";
     },
     {}},
    {"AStaleOperatorPolicyThatIsGone",
     [](Topology&, Snapshot& found) { found.queues["ns.trigger"].operator_policy = "gone"; },
     {}},
    {"AForeignPolicyThatDoesNoHarm",
     [](Topology&, Snapshot& found) {
       found.policies["lazy"] = {"lazy", ".*", "all", 1, {{"queue-mode", "lazy"}, {"overflow", "drop-head"}}};
       found.queues["kaniko-jobs.dlq"].policy = "lazy";
     },
     {}},
    {"APolicyForQuorumQueuesOnly",
     [](Topology& wanted, Snapshot& found) {
       wanted.policies[0].apply_to = "classic_queues";
       found.policies["jobs"] = wanted.policies[0];
       found.queues["kaniko-jobs"].policy = "";
     },
     {}},

    // --- missing ---
    {"QueueDeleted",
     [](Topology&, Snapshot& found) {
       found.queues.erase("kaniko-jobs");
       found.bindings.erase(found.bindings.begin());
     },
     {{Kind::queue, What::missing, "kaniko-jobs", ""},
      {Kind::binding, What::missing, "lambda.events -> kaniko-jobs [network.notifi.lambda.job.start]",
       "there is no queue \"kaniko-jobs\""}}},
    {"ExchangeDeleted",
     [](Topology&, Snapshot& found) { found.exchanges.erase("dlx"); },
     {{Kind::exchange, What::missing, "dlx", ""}}},
    {"BindingDeleted",
     [](Topology&, Snapshot& found) { found.bindings.erase(found.bindings.begin() + 1); },
     {{Kind::binding, What::missing, "dlx -> kaniko-jobs.dlq [kaniko-jobs.dlq]", ""}}},
    {"BindingToAnExchangeThatIsNotMadeYet",
     [](Topology&, Snapshot& found) {
       found.exchanges.erase("b.dlx");
       found.bindings.pop_back();
     },
     {{Kind::binding, What::missing, R"(b.dlx -> kaniko-jobs.dlq [] {"type":"start","x-match":"all"})",
       "there is no exchange \"b.dlx\""}}},
    {"HeaderBindingWithOtherArguments",
     [](Topology&, Snapshot& found) { found.bindings[2].arguments["x-match"] = "any"; },
     {{Kind::binding, What::missing, R"(b.dlx -> kaniko-jobs.dlq [] {"type":"start","x-match":"all"})", ""}}},
    {"HeaderBindingWithoutArguments",
     [](Topology&, Snapshot& found) { found.bindings[2].arguments.clear(); },
     {{Kind::binding, What::missing, R"(b.dlx -> kaniko-jobs.dlq [] {"type":"start","x-match":"all"})", ""}}},
    {"BindingWithAnotherKey",
     [](Topology&, Snapshot& found) { found.bindings[0].routing_key = "#"; },
     {{Kind::binding, What::missing, "lambda.events -> kaniko-jobs [network.notifi.lambda.job.start]", ""}}},
    {"PolicyDeleted",
     [](Topology&, Snapshot& found) {
       found.policies.erase("jobs");
       found.queues["kaniko-jobs"].policy = "";
     },
     {{Kind::policy, What::missing, "jobs", ""}}},
    {"OperatorPolicyDeleted",
     [](Topology&, Snapshot& found) { found.operator_policies.clear(); },
     {{Kind::operator_policy, What::missing, "bounds", ""}}},
    {"AnEmptyBrokerInTheOrderOfRepair",
     [](Topology& wanted, Snapshot& found) {
       found = {};
       wanted.queues.resize(1);
       wanted.exchanges.resize(1);
       wanted.bindings.resize(1);
       wanted.policies.resize(1);
     },
     {{Kind::exchange, What::missing, "lambda.events", ""},
      {Kind::queue, What::missing, "kaniko-jobs", ""},
      {Kind::policy, What::missing, "jobs", ""},
      {Kind::operator_policy, What::missing, "bounds", ""},
      {Kind::binding, What::missing, "lambda.events -> kaniko-jobs [network.notifi.lambda.job.start]",
       "there is no exchange"}}},

    // --- changed ---
    {"PolicyWithAnotherValue",
     [](Topology&, Snapshot& found) { found.policies["jobs"].definition["max-length"] = 5; },
     {{Kind::policy, What::changed, "jobs", "max-length is 5, not 10000"}}},
    {"PolicyWithAValueThatIsNoNumber",
     [](Topology&, Snapshot& found) { found.policies["jobs"].definition["max-length"] = "10000"; },
     {{Kind::policy, What::changed, "jobs", "max-length is \"10000\", not 10000"}}},
    {"PolicyWithoutAKey",
     [](Topology&, Snapshot& found) { found.policies["jobs"].definition.erase("message-ttl"); },
     {{Kind::policy, What::changed, "jobs", "message-ttl is not set, but should be 86400000"}}},
    {"PolicyWithAKeyTooMany",
     [](Topology&, Snapshot& found) { found.policies["jobs"].definition["expires"] = 1000; },
     {{Kind::policy, What::changed, "jobs", "expires is 1000 and should not be set"}}},
    {"PolicyWithAnotherPattern",
     [](Topology&, Snapshot& found) {
       found.policies["jobs"].pattern = "^x$";
       found.queues["kaniko-jobs"].policy = "";
     },
     {{Kind::policy, What::changed, "jobs", R"(pattern is "^x$", not "^kaniko-jobs$")"}}},
    {"PolicyForOthers",
     [](Topology&, Snapshot& found) { found.policies["jobs"].apply_to = "exchanges"; },
     {{Kind::policy, What::changed, "jobs", R"(apply-to is "exchanges", not "queues")"}}},
    {"PolicyWithAnotherPriority",
     [](Topology&, Snapshot& found) { found.policies["jobs"].priority = 0; },
     {{Kind::policy, What::changed, "jobs", "priority is 0, not 5"}}},
    {"OperatorPolicyChanged",
     [](Topology&, Snapshot& found) { found.operator_policies["bounds"].definition["max-length"] = 1; },
     {{Kind::operator_policy, What::changed, "bounds", "max-length is 1, not 10000"}}},

    // --- other ---
    {"QueueOfAnotherType",
     [](Topology&, Snapshot& found) { jobs(found).type = "classic"; },
     {{Kind::queue, What::other, "kaniko-jobs", R"(type is "classic", not "quorum")"}}},
    {"QueueNotDurableAndAutoDelete",
     [](Topology&, Snapshot& found) {
       jobs(found).type = "classic";
       jobs(found).durable = false;
       jobs(found).auto_delete = true;
     },
     {{Kind::queue, What::other, "kaniko-jobs",
       R"(type is "classic", not "quorum"; durable is false, not true; auto_delete is true, not false)"}}},
    {"ASmallerLimitByArgument",
     [](Topology&, Snapshot& found) { jobs(found).arguments = {{"x-max-length", 5'000}}; },
     {{Kind::queue, What::other, "kaniko-jobs", "x-max-length is 5000, not 10000"}}},
    {"DeadLetteringElsewhereByArgument",
     [](Topology&, Snapshot& found) { jobs(found).arguments = {{"x-dead-letter-exchange", ""}}; },
     {{Kind::queue, What::other, "kaniko-jobs", R"(x-dead-letter-exchange is "", not "dlx")"}}},
    {"ATimeToLiveThatNobodyWants",
     [](Topology&, Snapshot& found) {
       found.queues["kaniko-jobs.dlq"].queue.arguments = {{"x-message-ttl", 1000}};
     },
     {{Kind::queue, What::other, "kaniko-jobs.dlq", "x-message-ttl is 1000 and should not be set"}}},
    {"AClassicQueuesOverflowIsItsArguments",
     [](Topology& wanted, Snapshot& found) {
       wanted.queues[0].type = jobs(found).type = "classic";
       wanted.policies[0].definition["overflow"] = "reject-publish";
       found.policies["jobs"] = wanted.policies[0];
       jobs(found).arguments = {{"x-overflow", "drop-head"}};
     },
     {{Kind::queue, What::other, "kaniko-jobs", R"(x-overflow is not set, but should be "reject-publish")"}}},
    {"AnArgumentThatIsMissing",
     [](Topology& wanted, Snapshot&) { wanted.queues[1].arguments = {{"x-delivery-limit", 3}}; },
     {{Kind::queue, What::other, "kaniko-jobs.dlq", "x-delivery-limit is not set, but should be 3"}}},
    {"AWantedArgumentAboutStorage",
     [](Topology& wanted, Snapshot&) { wanted.queues[1].arguments = {{"x-quorum-initial-group-size", 3}}; },
     {{Kind::queue, What::other, "kaniko-jobs.dlq", "x-quorum-initial-group-size is not set"}}},
    {"AnArgumentThatNoPolicySets",
     [](Topology&, Snapshot& found) { jobs(found).arguments = {{"x-single-active-consumer", true}}; },
     {{Kind::queue, What::other, "kaniko-jobs", "x-single-active-consumer is true and should not be set"}}},
    {"ExchangeOfAnotherType",
     [](Topology&, Snapshot& found) { found.exchanges["dlx"].exchange.type = "fanout"; },
     {{Kind::exchange, What::other, "dlx", R"(type is "fanout", not "direct")"}}},
    {"ExchangeNotDurable",
     [](Topology&, Snapshot& found) { found.exchanges["dlx"].exchange.durable = false; },
     {{Kind::exchange, What::other, "dlx", "durable is false, not true"}}},
    {"ExchangeWithAnotherAlternate",
     [](Topology& wanted, Snapshot& found) {
       wanted.exchanges[0].arguments = {{"alternate-exchange", "unrouted"}};
       found.exchanges["lambda.events"].exchange.arguments = {{"alternate-exchange", "other"}};
     },
     {{Kind::exchange, What::other, "lambda.events", R"(alternate-exchange is "other", not "unrouted")"}}},

    // --- shadowed, foreign ---
    {"AForeignPolicyOfHigherPriority",
     [](Topology&, Snapshot& found) {
       found.policies["ops"] = {"ops", "kaniko", "queues", 10, {{"max-length", 1}}};
       found.queues["kaniko-jobs"].policy = "ops";
     },
     {{Kind::policy, What::shadowed, "jobs",
       R"(policy "ops" (priority 10) applies to queue "kaniko-jobs" instead)"}}},
    {"NoPolicyAppliesAtAll",
     [](Topology&, Snapshot& found) { found.queues["kaniko-jobs"].policy = ""; },
     {{Kind::policy, What::shadowed, "jobs", "no policy applies to queue \"kaniko-jobs\""}}},
    {"AForeignPolicyOnKnativesExchange",
     [](Topology&, Snapshot& found) {
       found.policies["ops"] = {"ops", "^b\\.", "exchanges", 10, {{"alternate-exchange", "x"}}};
       found.exchanges["b.1"].policy = "ops";
     },
     {{Kind::policy, What::shadowed, "unrouted", R"(applies to exchange "b.1" instead)"}}},
    {"AForeignOperatorPolicyOfHigherPriority",
     [](Topology&, Snapshot& found) {
       found.operator_policies["ops"] = {"ops", ".*", "queues", 10, {{"max-length", 1}}};
       found.queues["ns.trigger"].operator_policy = "ops";
     },
     {{Kind::operator_policy, What::shadowed, "bounds",
       R"(operator policy "ops" (priority 10) applies to queue "ns.trigger" instead)"}}},
    {"AForeignPolicyThatExpiresDeadLetters",
     [](Topology&, Snapshot& found) {
       found.policies["ops"] = {"ops", ".*", "all", 0, {{"message-ttl", 1000}, {"queue-mode", "lazy"}}};
       found.queues["kaniko-jobs.dlq"].policy = "ops";
     },
     {{Kind::policy, What::foreign, "ops",
       R"(it applies to queue "kaniko-jobs.dlq": message-ttl is 1000 and should not be set; narrow)"}}},
    {"AForeignOperatorPolicyThatShortensTheQueue",
     [](Topology&, Snapshot& found) {
       found.operator_policies["ops"] = {"ops", ".*", "queues", 0, {{"max-length", 7}, {"expires", 9}}};
       found.queues["kaniko-jobs"].operator_policy = "ops";
     },
     {{Kind::operator_policy, What::foreign, "ops",
       "expires is 9 and should not be set; max-length is 7, not 10000"}}},
};

INSTANTIATE_TEST_SUITE_P(, Compare, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Adopted, NamesTheArgumentsThatWeWouldNotHaveDeclared) {
  const Topology wanted = the_chain();
  Snapshot found = holds(wanted);
  jobs(found).arguments = {{"x-message-ttl", day_ms}, {"x-max-length", 20'000}, {"x-team", "lambda"}};
  found.exchanges["dlx"].exchange.arguments = {{"alternate-exchange", "unrouted"}};
  found.queues["kaniko-jobs.dlq"].queue.arguments = {{"x-message-ttl", 5}};  // no good: a drift
  EXPECT_THAT(
      adopted_arguments(wanted, found),
      ElementsAre("exchange dlx: alternate-exchange=\"unrouted\"",
                  "queue kaniko-jobs: x-max-length=20000, x-message-ttl=86400000, x-team=\"lambda\""));
  EXPECT_EQ(adopted(wanted, found).at({Kind::queue, "kaniko-jobs"}), jobs(found).arguments);
}

TEST(Adopted, NothingThatIsWantedSo) {
  Topology wanted = the_chain();
  wanted.queues[0].arguments = {{"x-max-length", 5}};
  EXPECT_THAT(adopted_arguments(wanted, holds(wanted)), IsEmpty());
}

TEST(Drifts, SayWhetherTheyCanBeRepaired) {
  EXPECT_TRUE(can_be_repaired({Kind::queue, What::missing, "", ""}));
  EXPECT_TRUE(can_be_repaired({Kind::policy, What::changed, "", ""}));
  EXPECT_FALSE(can_be_repaired({Kind::queue, What::other, "", ""}));
  EXPECT_FALSE(can_be_repaired({Kind::policy, What::shadowed, "", ""}));
  EXPECT_FALSE(can_be_repaired({Kind::policy, What::foreign, "", ""}));
}

TEST(Drifts, AreSentences) {
  EXPECT_EQ(describe({Kind::queue, What::missing, "a\nb", ""}), "queue \"a?b\" is missing");
  EXPECT_EQ(describe({Kind::operator_policy, What::changed, "p", "priority is 1, not 2"}),
            "operator policy \"p\" was changed: priority is 1, not 2");
}

TEST(Patterns, AreForTheNamesAndNoOthers) {
  EXPECT_EQ(pattern_of({"kaniko-jobs"}), "^kaniko-jobs$");
  EXPECT_EQ(pattern_of({"a.b", "c|d"}), R"(^(?:a\.b|c\|d)$)");
  const Pattern pattern(pattern_of({"a.b", "c|d"}));
  EXPECT_TRUE(pattern.matches("a.b"));
  EXPECT_TRUE(pattern.matches("c|d"));
  EXPECT_FALSE(pattern.matches("axb"));
  EXPECT_FALSE(pattern.matches("c"));
  EXPECT_FALSE(pattern.matches("xa.b"));
}

TEST(Patterns, KnowTheirNames) {
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{"a"}, {"a.b", "c"}, {"(?:", ")$"}, {R"(\)", "|"}, {"^[x]*+?{1}$"}, {""}})
    EXPECT_EQ(names_of(pattern_of(names)), names);
  for (const char* pattern : {"", "a", "^a", "a$", "^a.b$", R"(^\d$)", "^(?:a)$", R"(^a\)", "^a|b$"})
    EXPECT_EQ(names_of(pattern), std::nullopt) << pattern;
}

TEST(Patterns, MatchAnywhereUnlessAnchored) {
  EXPECT_TRUE(Pattern("jobs").matches("kaniko-jobs.dlq"));
  EXPECT_TRUE(Pattern("^a|b$").matches("xb"));
  EXPECT_FALSE(Pattern("^jobs").matches("kaniko-jobs"));
  EXPECT_FALSE(Pattern("(").matches("("));
}

TEST(Effects, OfTwoLimitsTheSmallerAndANegativeOneIsNone) {
  const Queue limited{"q", "quorum", true, false, {{"x-delivery-limit", -1}, {"x-max-length", 5}}};
  EXPECT_EQ(effect_of(limited, {{"delivery-limit", 20}, {"max-length", 3}}),
            (Effect{{"delivery-limit", 20}, {"max-length", 3}}));
}

TEST(Effects, APolicyMergesWithTheOperators) {
  EXPECT_EQ(merge({{"max-length", 5}, {"overflow", "reject-publish"}}, {{"max-length", 9}, {"expires", 7}}),
            (Arguments{{"max-length", 5}, {"overflow", "reject-publish"}, {"expires", 7}}));
}

struct LimitRow {
  const char* name;
  const char* version;
  const char* type;
  Arguments arguments;
  Arguments policy;
  Arguments operator_policy;
  std::optional<std::int64_t> limit;
};

class DeliveryLimit : public testing::TestWithParam<LimitRow> {};

TEST_P(DeliveryLimit, IsWhatTheQueueHasInTheEnd) {
  const LimitRow& row = GetParam();
  Snapshot found;
  found.broker_version = row.version;
  found.policies["p"] = {"p", "", "queues", 0, row.policy};
  found.operator_policies["o"] = {"o", "", "queues", 0, row.operator_policy};
  found.queues["q"] = {{"q", row.type, true, false, row.arguments}, "p", {}, "o", {}, ""};
  EXPECT_EQ(delivery_limit_of(found, "q"), row.limit);
  EXPECT_EQ(delivery_limit_of(found, "another"), std::nullopt);
}

const Arguments five = {{"delivery-limit", 5}};
const Arguments none = {{"delivery-limit", -1}};

INSTANTIATE_TEST_SUITE_P(Effects, DeliveryLimit,
                         testing::ValuesIn(std::vector<LimitRow>{
                             {"NobodySetsOne", "3.10.8", "quorum", {}, {}, {}, std::nullopt},
                             {"ByPolicy", "3.10.8", "quorum", {}, five, {}, 5},
                             {"ByOperatorPolicy", "3.10.8", "quorum", {}, {}, five, 5},
                             {"ByArgument", "3.10.8", "quorum", {{"x-delivery-limit", 3}}, five, {}, 3},
                             {"ClassicQueuesHaveNone", "3.10.8", "classic", {}, five, {}, std::nullopt},
                             {"ByDefault", "4.0.1", "quorum", {}, {}, {}, 20},
                             {"TakenOff", "4.0.1", "quorum", {}, none, {}, std::nullopt},
                             {"LessThanTheDefault", "4.0.1", "quorum", {}, five, {}, 5},
                         }),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Names, OfBindingsAreUnique) {
  EXPECT_EQ(name_of({"e", "q", "", {}}), "e -> q []");
  EXPECT_NE(name_of({"e", "q", "k", {{"a", 1}}}), name_of({"e", "q", "k", {{"a", "1"}}}));
}

}  // namespace
}  // namespace lambda::topology
