// operator/rabbitmq against the real RabbitMQ of the test bed: what is declared is found, what differs is
// seen and repaired, nothing that holds messages is deleted.
#include "support/rabbitmq.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "rabbitmq/management.h"
#include "rabbitmq/repair.h"
#include "rabbitmq/snapshots.h"
#include "support/run.h"
#include "support/tcp_proxy.h"
#include "support/tls_front.h"

namespace lambda::rabbitmq {
namespace {

using base::Clock;
using base::ErrorKind;
using base::milliseconds;
using base::Result;
using base::TimePoint;
using nlohmann::json;
using support::patience;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using topology::Arguments;
using topology::Binding;
using topology::Drift;
using topology::Exchange;
using topology::Kind;
using topology::Policy;
using topology::Queue;
using topology::Snapshot;
using topology::Topology;
using What = Drift::What;

constexpr std::int64_t day_ms = 86'400'000;

std::string encoded(const std::string& name) {
  std::ostringstream text;
  for (const char character : name) {
    text << '%' << std::hex << std::uppercase;
    text.width(2);
    text.fill('0');
    text << static_cast<unsigned>(static_cast<unsigned char>(character));
  }
  return text.str();
}

/// Each test in a vhost of its own, which ends with it.
class RabbitMqTest : public testing::Test {
 protected:
  RabbitMqTest() { broker_.call("PUT", "/api/vhosts/" + encoded(vhost_), "{}"); }
  ~RabbitMqTest() override {
    try {
      broker_.call("DELETE", "/api/vhosts/" + encoded(vhost_));
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }

  static Access access_to(const support::RabbitMq& broker) {
    Access access;
    access.management_url = broker.management_url();
    access.username = broker.uri().username;
    access.password = broker.uri().password;
    access.amqp_port = broker.uri().port;
    return access;
  }

  Access access() const { return access_to(broker_); }

  Snapshot observe() {
    auto snapshot = management_.observe(vhost_);
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    return snapshot.value_or(Snapshot{});
  }

  std::vector<Drift> drifts(const Topology& wanted) { return compare(wanted, observe()); }

  void expect_in_order(const Topology& wanted) {
    std::string told;
    for (const Drift& drift : drifts(wanted)) told += describe(drift) + "\n";
    EXPECT_EQ(told, "");
  }

  /// Looks until it is so: what the broker counts comes up to five seconds late.
  void wait_until(const std::function<bool(const Snapshot&)>& condition, const char* what) {
    const TimePoint end = Clock::now() + patience;
    while (!condition(observe())) {
      ASSERT_LT(Clock::now(), end) << "this did not come about: " << what;
      std::this_thread::sleep_for(milliseconds(50));
    }
  }

  void publish(const std::string& queue, const std::string& body) {
    const json message{{"routing_key", queue},
                       {"payload", body},
                       {"payload_encoding", "string"},
                       {"properties", json::object()}};
    broker_.call("POST", "/api/exchanges/" + encoded(vhost_) + "/amq.default/publish", message.dump());
  }

  /// The bodies of all ready messages, in order; they are taken out.
  std::vector<std::string> take(const std::string& queue) {
    const std::string answer =
        broker_.call("POST", "/api/queues/" + encoded(vhost_) + "/" + encoded(queue) + "/get",
                     R"({"count":1000,"encoding":"auto","ackmode":"ack_requeue_false"})");
    std::vector<std::string> bodies;
    for (const json& message : json::parse(answer))
      bodies.push_back(message.at("payload").get<std::string>());
    return bodies;
  }

  support::RabbitMq broker_;
  const std::string vhost_ = broker_.new_name("vhost / ä%2F?#");
  Management management_{access(), patience};
};

template <class T>
void expect_done(const Result<T>& result) {
  EXPECT_TRUE(result) << result.error().message;
}

template <class T>
void expect_error(const Result<T>& result, ErrorKind kind, const std::string& message) {
  ASSERT_FALSE(result);
  EXPECT_EQ(to_string(result.error().kind), to_string(kind)) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(message));
}

Topology the_chain() {
  Topology chain;
  chain.exchanges = {{"lambda.events", "topic"},
                     {"dlx", "direct"},
                     {"b.broker", "headers", true, false, {{"alternate-exchange", "unrouted"}}}};
  chain.queues = {{"kaniko-jobs"},
                  {"kaniko-jobs.dlq", "quorum", true, false, {{"x-overflow", "reject-publish"}}},
                  {"classic", "classic", true, false, {{"x-max-priority", 3}}}};
  chain.bindings = {{"lambda.events", "kaniko-jobs", "network.notifi.lambda.job.start"},
                    {"dlx", "kaniko-jobs.dlq", "kaniko-jobs.dlq"},
                    {"b.broker", "classic", "", {{"type", "start"}, {"n", 1}, {"x-match", "all"}}},
                    {"b.broker", "classic", "", {{"type", "stop"}, {"x-match", "all"}}}};
  chain.policies = {{"jobs",
                     topology::pattern_of({"kaniko-jobs"}),
                     "queues",
                     5,
                     {{"message-ttl", day_ms},
                      {"max-length", 10'000},
                      {"overflow", "drop-head"},
                      {"dead-letter-exchange", "dlx"},
                      {"dead-letter-routing-key", "kaniko-jobs.dlq"},
                      {"delivery-limit", 20}}},
                    {"unrouted", "^lambda\\.", "exchanges", 1, {{"alternate-exchange", "dlx"}}}};
  chain.operator_policies = {
      {"bounds", topology::pattern_of({"kaniko-jobs"}), "queues", 1, {{"max-length", 9'000}}}};
  return chain;
}

TEST_F(RabbitMqTest, DeclaresEverythingTwiceAndFindsIt) {
  const Topology wanted = the_chain();
  EXPECT_THAT(drifts(wanted), SizeIs(13));
  for (int round = 0; round < 2; ++round) {
    expect_done(declare_all(management_, vhost_, wanted));
    expect_in_order(wanted);
  }
  const Snapshot found = observe();
  EXPECT_THAT(found.broker_version, testing::MatchesRegex("[0-9]+\\.[0-9]+\\..*"));
  EXPECT_EQ(found.queues.at("classic").queue, wanted.queues[2]);
  EXPECT_EQ(found.exchanges.at("b.broker").exchange, wanted.exchanges[2]);
  EXPECT_EQ(found.policies.at("jobs"), wanted.policies[0]);
  EXPECT_EQ(found.operator_policies.at("bounds"), wanted.operator_policies[0]);
  EXPECT_THAT(found.bindings, testing::UnorderedElementsAreArray(wanted.bindings));
  EXPECT_THAT(adopted_arguments(wanted, found), IsEmpty());
}

struct Sabotage {
  const char* name;
  std::function<Result<void>(Management&, const std::string& vhost)> change;
  std::vector<std::pair<Kind, What>> seen;
};

// A Management that is not ours plays the person who does it by hand.
TEST_F(RabbitMqTest, SeesAndRepairsWhatWasChangedByHand) {
  const Topology wanted = the_chain();
  expect_done(declare_all(management_, vhost_, wanted));
  const std::vector<Sabotage> sabotages = {
      {"queue deleted",
       [](Management& m, const std::string& v) { return m.delete_queue(v, "kaniko-jobs", false); },
       {{Kind::queue, What::missing}, {Kind::binding, What::missing}}},
      {"dead-letter queue deleted",
       [](Management& m, const std::string& v) { return m.delete_queue(v, "kaniko-jobs.dlq", false); },
       {{Kind::queue, What::missing}, {Kind::binding, What::missing}}},
      {"exchange deleted",
       [](Management& m, const std::string& v) { return m.delete_exchange(v, "dlx", false); },
       {{Kind::exchange, What::missing}, {Kind::binding, What::missing}}},
      {"headers exchange deleted",
       [](Management& m, const std::string& v) { return m.delete_exchange(v, "b.broker", false); },
       {{Kind::exchange, What::missing}, {Kind::binding, What::missing}, {Kind::binding, What::missing}}},
      {"binding deleted",
       [&](Management& m, const std::string& v) { return m.delete_binding(v, wanted.bindings[0]); },
       {{Kind::binding, What::missing}}},
      {"header binding deleted",
       [&](Management& m, const std::string& v) { return m.delete_binding(v, wanted.bindings[2]); },
       {{Kind::binding, What::missing}}},
      {"policy deleted",
       [](Management& m, const std::string& v) { return m.delete_policy(v, "jobs"); },
       {{Kind::policy, What::missing}}},
      {"operator policy deleted",
       [](Management& m, const std::string& v) { return m.delete_operator_policy(v, "bounds"); },
       {{Kind::operator_policy, What::missing}}},
      {"policy edited",
       [](Management& m, const std::string& v) {
         return m.put_policy(v, {"jobs", "^kaniko-jobs$", "queues", 5, {{"max-length", 1}}});
       },
       {{Kind::policy, What::changed}}},
      {"policy for other names",
       [&](Management& m, const std::string& v) {
         Policy policy = wanted.policies[0];
         policy.pattern = "^other$";
         return m.put_policy(v, policy);
       },
       {{Kind::policy, What::changed}}},
      {"policy for exchanges",
       [&](Management& m, const std::string& v) {
         return m.put_policy(v, {"jobs", "kaniko", "exchanges", 0, {{"alternate-exchange", "x"}}});
       },
       {{Kind::policy, What::changed}}},
      {"operator policy edited",
       [](Management& m, const std::string& v) {
         return m.put_operator_policy(v, {"bounds", ".*", "queues", 1, {{"max-length", 9'000}}});
       },
       {{Kind::operator_policy, What::changed}}},
  };
  Management stranger{access(), patience};
  for (const Sabotage& sabotage : sabotages) {
    SCOPED_TRACE(sabotage.name);
    expect_done(sabotage.change(stranger, vhost_));
    const std::vector<Drift> found = drifts(wanted);
    std::vector<std::pair<Kind, What>> seen;
    for (const Drift& drift : found) seen.emplace_back(drift.kind, drift.what);
    EXPECT_EQ(seen, sabotage.seen);
    const Repair repaired = repair(management_, vhost_, wanted, found);
    EXPECT_EQ(repaired.repaired, found);
    EXPECT_THAT(repaired.refused, IsEmpty());
    EXPECT_FALSE(repaired.stopped);
    expect_in_order(wanted);
  }
}

TEST_F(RabbitMqTest, AdoptsAQueueWithTheDocumentsArguments) {
  Topology wanted = the_chain();
  wanted.queues.resize(1);
  const Arguments arguments = {{"x-message-ttl", day_ms},
                               {"x-max-length", 10'000},
                               {"x-overflow", "drop-head"},
                               {"x-dead-letter-exchange", "dlx"},
                               {"x-dead-letter-routing-key", "kaniko-jobs.dlq"}};
  expect_done(management_.declare(vhost_, Queue{"kaniko-jobs", "quorum", true, false, arguments}));
  publish("kaniko-jobs", "kept");
  const std::vector<Drift> before = drifts(wanted);
  EXPECT_TRUE(std::ranges::none_of(before, [](const Drift& drift) { return drift.kind == Kind::queue; }));
  repair(management_, vhost_, wanted, before);
  Topology without_the_rest;
  without_the_rest.queues = wanted.queues;
  without_the_rest.policies = wanted.policies;
  expect_in_order(without_the_rest);
  EXPECT_EQ(adopted(wanted, observe()).at({Kind::queue, "kaniko-jobs"}), arguments);
  EXPECT_THAT(take("kaniko-jobs"), ElementsAre("kept"));
}

TEST_F(RabbitMqTest, NeverTouchesAQueueThatIsAnotherOne) {
  Topology wanted = the_chain();
  expect_done(management_.declare(vhost_, Queue{"kaniko-jobs", "classic", true, false, {}}));
  publish("kaniko-jobs", "kept");
  const Repair repaired = repair(management_, vhost_, wanted, drifts(wanted));
  ASSERT_THAT(repaired.left, SizeIs(1));
  EXPECT_EQ(repaired.left[0].name, "kaniko-jobs");
  EXPECT_THAT(repaired.left[0].detail, HasSubstr(R"(type is "classic", not "quorum")"));
  EXPECT_THAT(repaired.refused, IsEmpty());
  // The policy came with the repair, and a classic queue knows no delivery limit.
  const std::vector<Drift> after = drifts(wanted);
  ASSERT_THAT(after, SizeIs(2));
  EXPECT_EQ(after[0], repaired.left[0]);
  EXPECT_EQ(after[1].what, What::shadowed);
  EXPECT_THAT(after[1].detail, HasSubstr("no policy applies to queue \"kaniko-jobs\""));
  EXPECT_THAT(take("kaniko-jobs"), ElementsAre("kept"));
}

TEST_F(RabbitMqTest, TellsTheBrokersReasonWhenArgumentsDiffer) {
  expect_done(management_.declare(vhost_, Queue{"q", "quorum", true, false, {{"x-max-length", 100}}}));
  expect_error(management_.declare(vhost_, Queue{"q"}), ErrorKind::invalid,
               "inequivalent arg 'x-max-length' for queue 'q'");
  expect_error(management_.declare(vhost_, Queue{"q2", "quorum", true, false, {{"x-message-ttl", "1"}}}),
               ErrorKind::invalid, "expected integer, got longstr");
  expect_error(management_.declare(vhost_, Queue{"q2", "quorum", false}), ErrorKind::invalid, "non-durable");
  expect_error(management_.put_policy(vhost_, {"p", "(", "queues", 0, {{"max-length", 1}}}),
               ErrorKind::invalid, "pattern should be regular expression");
  expect_error(management_.put_policy(vhost_, {"p", "a", "queues", 0, {{"max-length", "x"}}}),
               ErrorKind::invalid, "<<\"x\">> is not a valid maximum length");
  expect_error(management_.put_operator_policy(vhost_, {"p", "a", "queues", 0, {{"overflow", "drop-head"}}}),
               ErrorKind::invalid, "not recognised policy settings");
  expect_error(management_.declare(vhost_, Exchange{"amq.mine", "topic"}), ErrorKind::forbidden,
               "Access refused");
}

TEST_F(RabbitMqTest, TakesIntegersThatWereWrittenAsFractions) {
  expect_done(
      management_.declare(vhost_, Queue{"q", "quorum", true, false, {{"x-message-ttl", 86'400'000.0}}}));
  EXPECT_EQ(observe().queues.at("q").queue.arguments.at("x-message-ttl"), day_ms);
}

TEST_F(RabbitMqTest, APolicysEditTakesEffectOnTheLivingQueue) {
  Topology wanted;
  wanted.queues = {{"q"}};
  wanted.policies = {{"p", "^q$", "queues", 1, {{"max-length", 5}, {"overflow", "drop-head"}}}};
  expect_done(declare_all(management_, vhost_, wanted));
  for (int i = 0; i < 8; ++i) publish("q", std::to_string(i));
  EXPECT_THAT(take("q"), ElementsAre("3", "4", "5", "6", "7"));

  wanted.policies[0].definition["max-length"] = 2;
  const Repair repaired = repair(management_, vhost_, wanted, drifts(wanted));
  ASSERT_THAT(repaired.repaired, SizeIs(1));
  expect_in_order(wanted);
  for (int i = 0; i < 8; ++i) publish("q", std::to_string(i));
  wait_until(
      [](const Snapshot& found) {
        const auto& effective = found.queues.at("q").effective_policy;
        return effective && effective->contains("max-length") && effective->at("max-length") == 2;
      },
      "the statistics tell the new policy");
  EXPECT_THAT(take("q"), ElementsAre("6", "7"));
}

TEST_F(RabbitMqTest, WhichPolicyAppliesIsKnownAtOnce) {
  Topology wanted;
  wanted.queues = {{"q"}};
  wanted.exchanges = {{"e", "topic"}};
  wanted.policies = {{"p", "^q$", "queues", 1, {{"max-length", 5}}},
                     {"x", "^e$", "exchanges", 1, {{"alternate-exchange", "dlx"}}}};
  for (int round = 0; round < 5; ++round) {
    expect_done(declare_all(management_, vhost_, wanted));
    expect_in_order(wanted);
    expect_done(management_.put_policy(vhost_, {"foreign", "q", "all", 9, {{"max-length", 1}}}));
    expect_done(
        management_.put_policy(vhost_, {"foreign e", "e", "exchanges", 9, {{"alternate-exchange", "a"}}}));
    const std::vector<Drift> found = drifts(wanted);
    ASSERT_THAT(found, SizeIs(2));
    EXPECT_EQ(found[0].what, What::shadowed);
    EXPECT_THAT(found[0].detail, HasSubstr(R"(policy "foreign" (priority 9) applies to queue "q" instead)"));
    EXPECT_THAT(found[1].detail, HasSubstr(R"(policy "foreign e" (priority 9) applies to exchange "e")"));
    EXPECT_EQ(repair(management_, vhost_, wanted, found).left, found);
    expect_done(management_.delete_policy(vhost_, "foreign"));
    expect_done(management_.delete_policy(vhost_, "foreign e"));
    expect_in_order(wanted);
    expect_done(management_.delete_queue(vhost_, "q", false));
  }
}

// What effect.cpp says of arguments and policies together.
TEST_F(RabbitMqTest, OfTwoLengthsTheSmallerCounts) {
  for (const char* type : {"quorum", "classic"}) {
    const std::string by_argument = std::string(type) + "-argument";
    const std::string by_policy = std::string(type) + "-policy";
    expect_done(management_.declare(vhost_, Queue{by_argument, type, true, false, {{"x-max-length", 2}}}));
    expect_done(management_.declare(vhost_, Queue{by_policy, type, true, false, {{"x-max-length", 9}}}));
    expect_done(management_.put_policy(
        vhost_,
        {type, "^" + std::string(type), "queues", 0, {{"max-length", 4}, {"overflow", "drop-head"}}}));
    for (int i = 0; i < 12; ++i) {
      publish(by_argument, std::to_string(i));
      publish(by_policy, std::to_string(i));
    }
    EXPECT_THAT(take(by_argument), ElementsAre("10", "11")) << type;
    EXPECT_THAT(take(by_policy), ElementsAre("8", "9", "10", "11")) << type;
  }
}

TEST_F(RabbitMqTest, OfTwoLengthsInBytesTheSmallerCounts) {
  for (const char* type : {"quorum", "classic"}) {
    const std::string by_argument = std::string(type) + "-argument";
    const std::string by_policy = std::string(type) + "-policy";
    expect_done(
        management_.declare(vhost_, Queue{by_argument, type, true, false, {{"x-max-length-bytes", 20}}}));
    expect_done(
        management_.declare(vhost_, Queue{by_policy, type, true, false, {{"x-max-length-bytes", 90}}}));
    expect_done(management_.put_policy(
        vhost_,
        {type, "^" + std::string(type), "queues", 0, {{"max-length-bytes", 40}, {"overflow", "drop-head"}}}));
    for (int i = 10; i < 22; ++i) {
      publish(by_argument, std::to_string(i) + "--------");
      publish(by_policy, std::to_string(i) + "--------");
    }
    EXPECT_THAT(take(by_argument), ElementsAre("20--------", "21--------")) << type;
    EXPECT_THAT(take(by_policy), ElementsAre("18--------", "19--------", "20--------", "21--------")) << type;
  }
}

TEST_F(RabbitMqTest, OfTwoDeliveryLimitsTheSmallerCounts) {
  const auto deliveries = [this](int argument, int policy) {
    const std::string queue = std::to_string(argument) + "-" + std::to_string(policy);
    expect_done(
        management_.declare(vhost_, Queue{queue, "quorum", true, false, {{"x-delivery-limit", argument}}}));
    expect_done(management_.put_policy(
        vhost_, {queue, "^" + queue + "$", "queues", 0, {{"delivery-limit", policy}}}));
    publish(queue, "is given back");
    int count = 0;
    for (int i = 0; i < 12; ++i) {
      const std::string answer =
          broker_.call("POST", "/api/queues/" + encoded(vhost_) + "/" + queue + "/get",
                       R"({"count":1,"encoding":"auto","ackmode":"ack_requeue_true"})");
      count += static_cast<int>(json::parse(answer).size());
    }
    return count;
  };
  EXPECT_EQ(deliveries(1, 9), 2);
  EXPECT_EQ(deliveries(9, 1), 2);
  EXPECT_EQ(deliveries(9, 9), 10);
}

TEST_F(RabbitMqTest, APolicyThatATypeDoesNotKnowIsPassedOver) {
  expect_done(management_.put_policy(
      vhost_, {"of quorum queues", ".*", "queues", 9, {{"delivery-limit", 5}, {"max-length", 1}}}));
  expect_done(management_.put_policy(vhost_, {"of all", ".*", "queues", 1, {{"max-length", 2}}}));
  expect_done(management_.declare(vhost_, Queue{"quorum", "quorum"}));
  expect_done(management_.declare(vhost_, Queue{"classic", "classic"}));
  const Snapshot found = observe();
  EXPECT_EQ(found.queues.at("quorum").policy, "of quorum queues");
  EXPECT_EQ(found.queues.at("classic").policy, "of all");
}

TEST_F(RabbitMqTest, OverflowIsAQuorumQueuesPolicyAndAClassicQueuesArgument) {
  const Arguments arguments = {{"x-overflow", "drop-head"}, {"x-max-length", 3}};
  expect_done(management_.put_policy(vhost_, {"p", ".*", "queues", 0, {{"overflow", "reject-publish"}}}));
  expect_done(management_.declare(vhost_, Queue{"quorum", "quorum", true, false, arguments}));
  expect_done(management_.declare(vhost_, Queue{"classic", "classic", true, false, arguments}));
  int refused = 0;
  for (int i = 0; i < 9; ++i) {
    publish("classic", std::to_string(i));
    try {
      publish("quorum", std::to_string(i));
    } catch (const std::exception& error) {
      EXPECT_THAT(error.what(), HasSubstr("Check queue limits"));
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_THAT(take("classic"), ElementsAre("6", "7", "8"));
  const std::vector<std::string> kept = take("quorum");
  ASSERT_THAT(kept, Not(IsEmpty()));
  EXPECT_EQ(kept.front(), "0");  // nothing was dropped for what came later
}

TEST_F(RabbitMqTest, DeadLetteringIsTheArguments) {
  for (const char* type : {"quorum", "classic"}) {
    const std::string queue = type;
    expect_done(management_.declare(vhost_, Queue{queue + ".argument"}));
    expect_done(management_.declare(vhost_, Queue{queue + ".policy"}));
    expect_done(management_.put_policy(vhost_, {queue,
                                                "^" + queue + "$",
                                                "queues",
                                                0,
                                                {{"dead-letter-exchange", "amq.direct"},
                                                 {"dead-letter-routing-key", queue + ".policy"},
                                                 {"max-length", 1}}}));
    expect_done(management_.declare(vhost_, Binding{"amq.direct", queue + ".policy", queue + ".policy"}));
    expect_done(management_.declare(
        vhost_, Queue{queue,
                      type,
                      true,
                      false,
                      {{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", queue + ".argument"}}}));
    publish(queue, "dies");
    publish(queue, "lives");
    std::vector<std::string> dead;
    wait_until(
        [&](const Snapshot&) {
          for (std::string& body : take(queue + ".argument")) dead.push_back(std::move(body));
          return !dead.empty();
        },
        "the dead letter is where the argument says");
    EXPECT_THAT(dead, ElementsAre("dies"));
    EXPECT_THAT(take(queue + ".policy"), IsEmpty());
  }
}

TEST_F(RabbitMqTest, AMessagesLifeIsTheShorter) {
  for (const char* type : {"quorum", "classic"}) {
    const std::string queue = type;
    expect_done(management_.declare(vhost_, Queue{queue, type, true, false, {{"x-message-ttl", 1}}}));
    expect_done(
        management_.put_policy(vhost_, {queue, "^" + queue + "$", "queues", 0, {{"message-ttl", day_ms}}}));
    publish(queue, "dies");
    wait_until([&](const Snapshot&) { return take(queue).empty(); }, "the message expires");
  }
}

TEST_F(RabbitMqTest, AnOperatorPolicyMergesWithAUserPolicy) {
  Topology wanted;
  wanted.queues = {{"q"}};
  wanted.policies = {{"user", "^q$", "queues", 1, {{"dead-letter-exchange", "dlx"}, {"max-length", 5}}}};
  wanted.operator_policies = {{"bounds", "^q$", "queues", 1, {{"max-length", 3}, {"message-ttl", 9}}}};
  expect_done(declare_all(management_, vhost_, wanted));
  expect_in_order(wanted);  // the statistics know nothing of it yet, and nobody cries
  wait_until(
      [](const Snapshot& found) {
        return found.queues.at("q").effective_policy ==
               Arguments{{"dead-letter-exchange", "dlx"}, {"max-length", 3}, {"message-ttl", 9}};
      },
      "both policies are in effect");
  EXPECT_EQ(observe().queues.at("q").operator_policy, "bounds");
  expect_in_order(wanted);

  expect_done(management_.put_operator_policy(vhost_, {"ops", ".*", "queues", 2, {{"max-length", 1}}}));
  wait_until([&](const Snapshot& found) { return !compare(wanted, found).empty(); }, "it is shadowed");
  EXPECT_EQ(drifts(wanted).at(0).what, What::shadowed);
}

TEST_F(RabbitMqTest, FiguresComeLaterThanTheQueue) {
  expect_done(management_.declare(vhost_, Queue{"q"}));
  ASSERT_TRUE(observe().queues.contains("q"));
  publish("q", "1");
  publish("q", "2");
  wait_until(
      [](const Snapshot& found) {
        const topology::ObservedQueue& queue = found.queues.at("q");
        return queue.figures.messages() == 2 && queue.figures.consumers == 0 && queue.state == "running";
      },
      "two messages are counted");
}

TEST_F(RabbitMqTest, DeletesOnlyAnEmptyQueueIfAskedSo) {
  for (const char* type : {"quorum", "classic"}) {
    SCOPED_TRACE(type);
    const std::string queue = std::string(type) + " /ä?x=1#";
    expect_done(management_.declare(vhost_, Queue{queue, type}));
    publish(queue, "kept");
    expect_error(management_.delete_queue(vhost_, queue, true), ErrorKind::conflict, "not empty");
    EXPECT_THAT(take(queue), ElementsAre("kept"));
    // The figures of a quorum queue tell the message that was taken for some seconds more.
    wait_until([&](const Snapshot&) { return management_.delete_queue(vhost_, queue, true).has_value(); },
               "the empty queue goes");
    EXPECT_FALSE(observe().queues.contains(queue));
    expect_done(management_.delete_queue(vhost_, queue, true));

    expect_done(management_.declare(vhost_, Queue{queue, type}));
    publish(queue, "dropped");
    expect_done(management_.delete_queue(vhost_, queue, false));
    EXPECT_FALSE(observe().queues.contains(queue));
    expect_done(management_.delete_queue(vhost_, queue, false));
  }
}

TEST_F(RabbitMqTest, DeletingWhatIsNotThereIsFine) {
  expect_done(management_.delete_exchange(vhost_, "nothing", true));
  expect_done(management_.delete_binding(vhost_, {"nothing", "nothing", "nothing"}));
  expect_done(management_.delete_policy(vhost_, "nothing"));
  expect_done(management_.delete_operator_policy(vhost_, "nothing"));
  expect_done(management_.delete_queue("no such vhost", "nothing", true));
  expect_done(management_.declare(vhost_, Exchange{"e", "topic"}));
  expect_done(management_.declare(vhost_, Queue{"q"}));
  expect_done(management_.declare(vhost_, Binding{"e", "q", "a"}));
  expect_done(management_.delete_binding(vhost_, {"e", "q", "b"}));
  expect_error(management_.delete_exchange(vhost_, "e", true), ErrorKind::conflict, "in use");
  EXPECT_THAT(observe().bindings, ElementsAre(Binding{"e", "q", "a"}));
  expect_done(management_.delete_exchange(vhost_, "e", false));
  EXPECT_FALSE(observe().exchanges.contains("e"));
}

TEST_F(RabbitMqTest, TakesAnyNameThatTheBrokerTakes) {
  const std::vector<std::string> names = {"a/b",     "%2F",      "a b", "ä€😀",  "a?b#c&d=e",
                                          "a+b",     R"(\"'<>)", "...", "$(id)", std::string(255, 'x'),
                                          "a;b:c@d", "[x]{1}*"};
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    Topology wanted;
    wanted.exchanges = {{name, "headers"}};
    wanted.queues = {{name, "classic"}};
    wanted.policies = {{name, topology::pattern_of({name}), "queues", 1, {{"max-length", 1}}}};
    wanted.operator_policies = {{name, topology::pattern_of({name}), "queues", 1, {{"expires", 99'999}}}};
    wanted.bindings = {{name, name, name, {{name, name}}}, {name, name, ""}};
    expect_done(declare_all(management_, vhost_, wanted));
    expect_in_order(wanted);
    for (const Binding& binding : wanted.bindings) expect_done(management_.delete_binding(vhost_, binding));
    EXPECT_THAT(observe().bindings, IsEmpty());
    expect_done(management_.delete_queue(vhost_, name, true));
    expect_done(management_.delete_exchange(vhost_, name, true));
    expect_done(management_.delete_policy(vhost_, name));
    expect_done(management_.delete_operator_policy(vhost_, name));
    EXPECT_THAT(drifts(wanted), SizeIs(6));
  }
  EXPECT_THAT(observe().queues, IsEmpty());
}

TEST_F(RabbitMqTest, RefusesNamesThatTheBrokerWouldChange) {
  for (const char* name : {"", ".", "..", "a\nb", "a\xff"}) {
    expect_error(management_.declare(vhost_, Queue{name}), ErrorKind::invalid, "the name of the queue");
    expect_error(management_.delete_queue(vhost_, name, false), ErrorKind::invalid, "the name of the queue");
  }
  expect_error(management_.declare(vhost_, Queue{std::string(256, 'x')}), ErrorKind::invalid, "255 bytes");
  expect_error(management_.declare(vhost_, Binding{"", "q", ""}), ErrorKind::invalid,
               "the name of the exchange");
  expect_error(management_.observe(""), ErrorKind::invalid, "the name of the vhost");
  expect_done(management_.declare(vhost_, Exchange{"e", "topic"}));
  expect_error(management_.declare(vhost_, Binding{"e", "q", "\xff"}), ErrorKind::invalid, "UTF-8");
}

TEST_F(RabbitMqTest, ReadsAVhostFullOfStrangeThings) {
  const std::string queues = "/api/queues/" + encoded(vhost_) + "/";
  for (const char* name : {"%FF%FE", "a%00b", "a%0Ab", "%22%5C"})
    broker_.call("PUT", queues + name, R"({"durable":true,"arguments":{"x":[1,{"y":true}],"z":1.5}})");
  std::string deep = "1";
  for (int i = 0; i < 60; ++i) deep = R"({"n":)" + deep + "}";
  broker_.call("PUT", queues + "deep", R"({"durable":true,"auto_delete":true,"arguments":)" + deep + "}");
  const Snapshot found = observe();
  EXPECT_THAT(found.queues, SizeIs(5));
  EXPECT_TRUE(found.queues.contains("ab"));  // without its line break, and without a word
}

TEST_F(RabbitMqTest, ReadsAllPages) {
  constexpr int count = 1'020;  // more than two pages
  std::set<std::string> names;
  json definitions = {{"queues", json::array()}};
  for (int i = 0; i < count; ++i) {
    names.insert("queue " + std::to_string(i));
    definitions["queues"].push_back({{"name", "queue " + std::to_string(i)},
                                     {"durable", false},
                                     {"auto_delete", false},
                                     {"arguments", json::object()}});
  }
  broker_.call("POST", "/api/definitions/" + encoded(vhost_), definitions.dump());
  std::set<std::string> found;
  for (const auto& [name, queue] : observe().queues) found.insert(name);
  EXPECT_EQ(found, names);
}

TEST_F(RabbitMqTest, TellsWhatIsWrongWithTheAccess) {
  Access wrong = access();
  wrong.password = "secret-and-wrong";
  const auto refused = Management(wrong, patience).observe(vhost_);
  expect_error(refused, ErrorKind::unauthenticated, "the broker refuses the username or password");
  EXPECT_EQ(refused.error().field, "username");
  EXPECT_THAT(refused.error().message, Not(HasSubstr("secret-and-wrong")));

  Access elsewhere = access();
  elsewhere.management_url += "/prefix";
  const auto nothing = Management(elsewhere, patience).observe(vhost_);
  expect_error(nothing, ErrorKind::not_found, "there is no management API");
  EXPECT_EQ(nothing.error().field, "uri");

  for (const auto& result :
       {management_.observe("missing").map([](const Snapshot&) {}),
        management_.declare("missing", Queue{"q"}), management_.declare("missing", Exchange{"e", "topic"}),
        management_.declare("missing", Binding{"e", "q", ""}),
        management_.put_policy("missing", {"p", "x", "queues", 0, {{"expires", 1}}}),
        management_.put_operator_policy("missing", {"p", "x", "queues", 0, {{"expires", 1}}})}) {
    expect_error(result, ErrorKind::not_found, "the vhost does not exist");
    EXPECT_EQ(result.error().field, "vhost");
  }

  expect_done(management_.declare(vhost_, Exchange{"e", "topic"}));
  const auto unbound = management_.declare(vhost_, Binding{"e", "missing", ""});
  expect_error(unbound, ErrorKind::not_found, "no queue 'missing'");
  EXPECT_EQ(unbound.error().field, "");
}

TEST_F(RabbitMqTest, TellsWhatAUserMayNot) {
  const std::string name = broker_.new_name("user");
  broker_.call("PUT", "/api/users/" + name, R"({"password":"password","tags":""})");
  Access access_of_user = access();
  access_of_user.username = name;
  access_of_user.password = "password";
  Management management(access_of_user, patience);
  expect_error(management.observe(vhost_), ErrorKind::forbidden, "Not management user");
  broker_.call("PUT", "/api/users/" + name, R"({"password":"password","tags":"management"})");
  expect_error(management.observe(vhost_), ErrorKind::forbidden, "not authorised to access virtual host");
  broker_.call("PUT", "/api/permissions/" + encoded(vhost_) + "/" + name,
               R"({"configure":"^mine$","write":"","read":""})");
  expect_done(management_.put_policy(vhost_, {"another's", "x", "queues", 0, {{"expires", 99'999}}}));
  const auto seen = management.observe(vhost_);
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_TRUE(seen->policies.contains("another's"));  // it may read them, and set none
  expect_done(management.declare(vhost_, Queue{"mine"}));
  Topology wanted;
  wanted.queues = {{"another"}, {"mine"}};
  wanted.policies = {{"p", "^mine$", "queues", 0, {{"expires", 99'999}}}};
  const Repair repaired = repair(management, vhost_, wanted,
                                 {{Kind::queue, What::missing, "another", ""},
                                  {Kind::policy, What::missing, "p", ""},
                                  {Kind::queue, What::missing, "mine", ""},
                                  {Kind::queue, What::missing, "unheard of", ""}});
  EXPECT_THAT(repaired.repaired, SizeIs(1));  // one refusal does not stop the others
  ASSERT_THAT(repaired.refused, SizeIs(3));
  EXPECT_EQ(repaired.refused[0].error.kind, ErrorKind::forbidden);
  EXPECT_EQ(repaired.refused[1].error.kind, ErrorKind::forbidden);
  EXPECT_EQ(repaired.refused[2].error.kind, ErrorKind::internal);
  broker_.call("DELETE", "/api/users/" + name);
}

TEST_F(RabbitMqTest, SpeaksTls) {
  const std::string url = broker_.management_url();
  const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  const support::TlsFront front(broker_.uri().host, port);
  Access tls = access();
  tls.management_url = "https://localhost:" + std::to_string(front.port());
  expect_error(Management(tls, patience).observe(vhost_), ErrorKind::unavailable, "reading the version");
  std::ifstream file(front.ca_file());
  tls.ca_pem.assign(std::istreambuf_iterator<char>(file), {});
  expect_done(Management(tls, patience).observe(vhost_));
}

TEST_F(RabbitMqTest, WaitsNoLongerThanItsTimeoutNorPastAStop) {
  const std::string url = broker_.management_url();
  const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  support::TcpProxy proxy(broker_.uri().host, port);
  Access through = access();
  through.management_url = "http://127.0.0.1:" + std::to_string(proxy.port());
  Management impatient(through, milliseconds(200));
  Management patient(through, patience);
  expect_done(patient.observe(vhost_));
  proxy.freeze(true);
  expect_error(impatient.observe(vhost_), ErrorKind::timeout, "reading the version");
  std::stop_source stop;
  std::jthread stopper([&stop] { stop.request_stop(); });
  EXPECT_FALSE(patient.observe(vhost_, stop.get_token()));
  proxy.freeze(false);
  proxy.refuse(true);
  proxy.cut();
  const Topology wanted = the_chain();
  const Repair repaired = repair(patient, vhost_, wanted, compare(wanted, {}));
  ASSERT_TRUE(repaired.stopped);
  EXPECT_EQ(repaired.stopped->kind, ErrorKind::unavailable);
  EXPECT_THAT(repaired.repaired, IsEmpty());
  proxy.refuse(false);
  expect_done(declare_all(patient, vhost_, wanted));
}

TEST_F(RabbitMqTest, SurvivesABrokerThatDies) {
  const Topology wanted = the_chain();
  expect_done(declare_all(management_, vhost_, wanted));
  {
    const support::DeadBroker dead;
    expect_error(management_.observe(vhost_), ErrorKind::unavailable, "RabbitMQ at");
    expect_error(management_.delete_queue(vhost_, "kaniko-jobs", true), ErrorKind::unavailable, "");
  }
  wait_until([&](const Snapshot& found) { return compare(wanted, found).empty(); }, "all is there again");
}

// ---------------------------------------------------------------------------------------------------------------------

class SnapshotsTest : public RabbitMqTest {
 protected:
  SharedSnapshot get(TimePoint not_before) {
    const auto snapshot = snapshots_.get(access(), vhost_, not_before);
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    return snapshot.value_or(nullptr);
  }

  Snapshots snapshots_{patience};
};

TEST_F(SnapshotsTest, ReadsOnceForAllWhoAsk) {
  constexpr int askers = 100;
  const TimePoint not_before = Clock::now();
  std::vector<SharedSnapshot> seen(askers);
  {
    std::vector<std::jthread> threads;
    for (SharedSnapshot& place : seen)
      threads.emplace_back([&place, &not_before, this] { place = get(not_before); });
  }
  EXPECT_THAT(seen, testing::Each(seen.front()));
  EXPECT_EQ(get(not_before), seen.front());
}

TEST_F(SnapshotsTest, ReadsAnewWhatMustBeNewer) {
  const SharedSnapshot before = get(Clock::now());
  expect_done(snapshots_.management(access())->declare(vhost_, Queue{"q"}));
  EXPECT_EQ(get(Clock::now() - std::chrono::hours(1)), before);
  EXPECT_FALSE(before->queues.contains("q"));
  EXPECT_TRUE(get(Clock::now())->queues.contains("q"));
}

TEST_F(SnapshotsTest, KeepsVhostsAndUsersApart) {
  const SharedSnapshot ours = get(Clock::now());
  const auto another = snapshots_.get(access(), "/", Clock::now() - std::chrono::hours(1));
  ASSERT_TRUE(another);
  EXPECT_NE(*another, ours);
  Access wrong = access();
  wrong.password = "wrong";
  EXPECT_FALSE(snapshots_.get(wrong, vhost_, Clock::now() - std::chrono::hours(1)));
}

TEST_F(SnapshotsTest, SharesAnErrorAndGetsOverIt) {
  const std::string url = broker_.management_url();
  const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  support::TcpProxy proxy(broker_.uri().host, port);
  proxy.refuse(true);
  Access through = access();
  through.management_url = "http://127.0.0.1:" + std::to_string(proxy.port());
  EXPECT_FALSE(snapshots_.get(through, vhost_, Clock::now()));
  proxy.refuse(false);
  const TimePoint end = Clock::now() + patience;
  while (!snapshots_.get(through, vhost_, Clock::now())) {
    ASSERT_LT(Clock::now(), end);
    std::this_thread::sleep_for(milliseconds(50));
  }
}

TEST_F(SnapshotsTest, AStoppedAskerLeavesTheOthersTheirAnswer) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(snapshots_.get(access(), vhost_, Clock::now(), stop.get_token()));
  EXPECT_TRUE(get(Clock::now()));
}

}  // namespace
}  // namespace lambda::rabbitmq
