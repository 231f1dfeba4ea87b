// How a broker is reached, and what its management API says: read from JSON.
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "rabbitmq/access.h"
#include "rabbitmq/decode.h"

namespace lambda::rabbitmq {
namespace {

using base::ErrorKind;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using topology::Arguments;
using topology::Binding;
using topology::Snapshot;

json secret(const std::map<std::string, std::string>& values) {
  json data = json::object();
  for (const auto& [key, value] : values) data[key] = base::to_base64(value);
  return {{"metadata", {{"name", "rabbitmq-connection"}, {"namespace", "rabbitmq-dev"}}}, {"data", data}};
}

json usual_secret(const std::map<std::string, std::string>& changes = {}) {
  std::map<std::string, std::string> values = {
      {"uri", "http://broker:15672"}, {"username", "user"}, {"password", "s3cret"}, {"port", "5673"}};
  for (const auto& [key, value] : changes) values[key] = value;
  return secret(values);
}

TEST(AccessFromSecret, ReadsWhatTheTopologyOperatorAndKnativeRead) {
  const auto access = access_from_secret(usual_secret({{"ca.crt", "PEM"}}));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->management_url, "http://broker:15672");
  EXPECT_EQ(access->username, "user");
  EXPECT_EQ(access->password, "s3cret");
  EXPECT_EQ(access->ca_pem, "PEM");
  EXPECT_EQ(access->amqp_port, 5673);
  EXPECT_FALSE(access->amqp_tls);
}

TEST(AccessFromSecret, TakesTheUriInItsForms) {
  const std::map<std::string, std::string> forms = {{"broker:15672", "http://broker:15672"},
                                                    {"https://broker/prefix/", "https://broker/prefix"},
                                                    {"http://broker:15672\n", "http://broker:15672"},
                                                    {"http://[::1]:15672", "http://[::1]:15672"},
                                                    {"httpbroker", "http://httpbroker"}};
  for (const auto& [uri, url] : forms) {
    const auto access = access_from_secret(usual_secret({{"uri", uri}}));
    ASSERT_TRUE(access) << access.error().message;
    EXPECT_EQ(access->management_url, url);
  }
}

TEST(AccessFromSecret, SaysWhatIsWrongAndShowsNoValue) {
  struct Wrong {
    std::string key;
    std::string value;
    std::string message;
  };
  for (const Wrong& wrong :
       {Wrong{"uri", "amqp://user:hidden@broker", "must be that of the management API"},
        Wrong{"uri", "http://user:hidden@broker", "must not hold a user"},
        Wrong{"uri", "http://", "names no host"}, Wrong{"uri", "http://:1", "names no host"},
        Wrong{"uri", "http://broker?hidden", "must not have a query"},
        Wrong{"uri", "http://broker/hid den", "a character that no URL may hold"},
        Wrong{"uri", "", "the value of uri is empty"},
        Wrong{"username", "", "the value of username is empty"},
        Wrong{"password", "", "the value of password is empty"}, Wrong{"port", "hidden", "no port number"},
        Wrong{"port", "65536", "no port number"}, Wrong{"port", "0", "no port number"}}) {
    const auto access = access_from_secret(usual_secret({{wrong.key, wrong.value}}));
    ASSERT_FALSE(access) << wrong.value;
    EXPECT_EQ(access.error().kind, ErrorKind::invalid);
    EXPECT_EQ(access.error().field, wrong.key);
    EXPECT_THAT(access.error().message, HasSubstr("Secret rabbitmq-dev/rabbitmq-connection: "));
    EXPECT_THAT(access.error().message, HasSubstr(wrong.message));
    EXPECT_THAT(access.error().message, Not(HasSubstr("hid")));
  }
  for (const char* key : {"uri", "username", "password"}) {
    json without = usual_secret();
    without["data"].erase(key);
    EXPECT_THAT(access_from_secret(without).error().message,
                HasSubstr("the key " + std::string(key) + " is missing"));
    without["data"][key] = "%%%";
    EXPECT_THAT(access_from_secret(without).error().message, HasSubstr("is no base64"));
  }
  for (const json& nonsense : {json(), json::array(), json{{"data", 1}}, json{{"data", {{"uri", 1}}}}})
    EXPECT_FALSE(access_from_secret(nonsense));
}

TEST(AccessFromSecret, APortOfTlsMeansTls) {
  EXPECT_TRUE(access_from_secret(usual_secret({{"port", "5671"}}))->amqp_tls);
}

TEST(AccessFromCluster, ReadsTheCredentialsThatItsStatusNames) {
  json cluster = {{"metadata", {{"name", "rmq"}, {"namespace", "ns"}}}};
  EXPECT_EQ(references_of(cluster)->credentials_secret, "rmq-default-user");
  EXPECT_EQ(references_of(cluster)->service, "rmq");
  cluster["status"] = {{"binding", {{"name", "bound"}}},
                       {"defaultUser", {{"serviceReference", {{"name", "service"}}}}}};
  EXPECT_EQ(references_of(cluster), (ClusterReferences{"bound", "service", std::nullopt}));
  EXPECT_FALSE(references_of(json::object()));

  const json user = secret({{"username", "default"}, {"password", "p"}, {"port", "5672"}, {"host", "x"}});
  EXPECT_EQ(access_from_cluster(cluster, user, {}, {})->management_url, "http://service.ns.svc:15672");
  EXPECT_EQ(access_from_cluster(cluster, user, {}, {})->username, "default");
  const json service = {{"spec",
                         {{"ports",
                           {{{"name", "amqp"}, {"port", 5672}},
                            {{"name", "management"}, {"port", 1000}},
                            {{"name", "management-tls"}, {"port", 1001}}}}}}};
  EXPECT_EQ(access_from_cluster(cluster, user, service, {})->management_url, "http://service.ns.svc:1000");

  cluster["spec"] = {{"tls", {{"secretName", "tls"}, {"caSecretName", "ca"}}},
                     {"rabbitmq", {{"additionalConfig", "a = b\n management.path_prefix = /rmq\nc = d"}}}};
  EXPECT_EQ(references_of(cluster)->ca_secret, "ca");
  const auto access = access_from_cluster(cluster, user, service, secret({{"ca.crt", "PEM"}}));
  EXPECT_EQ(access->management_url, "https://service.ns.svc:1001/rmq");
  EXPECT_EQ(access->ca_pem, "PEM");

  cluster["metadata"]["annotations"] = {{"rabbitmq.com/operator-connection-uri", "http://elsewhere:1"}};
  EXPECT_EQ(access_from_cluster(cluster, user, service, {})->management_url, "http://elsewhere:1");
  EXPECT_FALSE(access_from_cluster(cluster, secret({}), service, {}));
}

TEST(AllowsNamespace, ItsOwnAndThoseThatItNames) {
  json of = usual_secret();
  EXPECT_TRUE(allows_namespace(of, "rabbitmq-dev"));
  EXPECT_FALSE(allows_namespace(of, "another"));
  const auto allow = [&of](const char* list) {
    of["metadata"]["annotations"]["rabbitmq.com/topology-allowed-namespaces"] = list;
    return allows_namespace(of, "another");
  };
  EXPECT_TRUE(allow("*"));
  EXPECT_TRUE(allow("one, another"));
  EXPECT_FALSE(allow("one,anoth"));
  EXPECT_FALSE(allow(""));
}

TEST(AmqpUri, IsOnTheSameHost) {
  Access access;
  access.management_url = "https://broker:15671/prefix";
  access.username = "u";
  access.password = "p/@";
  access.amqp_port = 5671;
  access.amqp_tls = true;
  const auto uri = amqp_uri(access, "/");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->shown(), "amqps://broker:5671/");
  EXPECT_EQ(uri->password, "p/@");
  access.management_url = "http://[::1]:15672";
  EXPECT_EQ(amqp_uri(access, "v")->host, "::1");
  access.management_url = "";
  EXPECT_FALSE(amqp_uri(access, "v"));
}

// --- answers ---

TEST(Queues, AreReadWithTheirArgumentsButNotTheirTypes) {
  Snapshot snapshot;
  const auto page = add_queues(R"({"page_count":3,"total_count":1200,"items":[
      {"name":"q","type":"quorum","durable":true,"auto_delete":false,"policy":"p",
       "arguments":{"x-queue-type":"quorum","x-max-length":5}},
      {"name":"c","type":"classic","durable":false,"auto_delete":true,"arguments":[]}, 7]})",
                               snapshot);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->page_count, 3U);
  EXPECT_EQ(page->total_count, 1200U);
  ASSERT_EQ(snapshot.queues.size(), 2U);
  EXPECT_EQ(snapshot.queues["q"].queue, (topology::Queue{"q", "quorum", true, false, {{"x-max-length", 5}}}));
  EXPECT_EQ(snapshot.queues["q"].policy, "p");
  EXPECT_EQ(snapshot.queues["c"].queue, (topology::Queue{"c", "classic", false, true, {}}));
  EXPECT_EQ(snapshot.queues["q"].operator_policy, std::nullopt);
}

TEST(Figures, GoToTheQueuesThatAreThere) {
  Snapshot snapshot;
  snapshot.queues["q"].policy = "p";
  ASSERT_TRUE(
      add_figures(R"([{"name":"new"},{"name":"q","state":"running","policy":"p","operator_policy":null,
      "effective_policy_definition":{"max-length":3},"messages_ready":7,"messages_unacknowledged":2,"consumers":1,
      "message_stats":{"publish_details":{"rate":1.5},"ack_details":{"rate":0}}}])",
                  snapshot));
  ASSERT_EQ(snapshot.queues.size(), 1U);
  const topology::ObservedQueue& queue = snapshot.queues["q"];
  EXPECT_EQ(queue.figures.messages(), 9);
  EXPECT_EQ(queue.figures.consumers, 1);
  EXPECT_EQ(queue.figures.publish_rate, 1.5);
  EXPECT_EQ(queue.figures.ack_rate, 0.0);
  EXPECT_EQ(queue.figures.deliver_rate, std::nullopt);
  EXPECT_EQ(queue.state, "running");
  EXPECT_EQ(queue.operator_policy, "");
  EXPECT_EQ(queue.effective_policy, (Arguments{{"max-length", 3}}));
}

TEST(Figures, ThatAreOlderThanThePolicySayNothingOfPolicies) {
  Snapshot snapshot;
  snapshot.queues["q"].policy = "new";
  ASSERT_TRUE(add_figures(R"([{"name":"q","policy":null,"operator_policy":null,"messages_ready":null,
      "effective_policy_definition":{}}])",
                          snapshot));
  EXPECT_EQ(snapshot.queues["q"].operator_policy, std::nullopt);
  EXPECT_EQ(snapshot.queues["q"].effective_policy, std::nullopt);
  EXPECT_EQ(snapshot.queues["q"].figures.messages_ready, std::nullopt);
}

TEST(Bindings, AreThoseToQueuesThatSomebodyMade) {
  Snapshot snapshot;
  ASSERT_TRUE(add_bindings(R"([
      {"source":"","destination":"q","destination_type":"queue","routing_key":"q","arguments":{}},
      {"source":"e","destination":"f","destination_type":"exchange","routing_key":"","arguments":{}},
      {"source":"e","destination":"q","destination_type":"queue","routing_key":"k","arguments":{"a":1}}])",
                           snapshot));
  EXPECT_THAT(snapshot.bindings, testing::ElementsAre(Binding{"e", "q", "k", {{"a", 1}}}));
}

TEST(Answers, OfNoBrokerAreUnavailable) {
  Snapshot snapshot;
  for (const char* body : {"", "<html>", "{", "7", "null", R"({"items":7})", R"({"error":"x"})"}) {
    EXPECT_EQ(add_queues(body, snapshot).error().kind, ErrorKind::unavailable) << body;
    EXPECT_FALSE(add_exchanges(body, snapshot)) << body;
    EXPECT_FALSE(add_policies(body, snapshot.policies)) << body;
  }
  EXPECT_THAT(snapshot.queues, IsEmpty());
}

TEST(Answers, AreReadWhateverStrangersDeclared) {
  std::string deep = "1";
  for (int i = 0; i < 10'000; ++i) deep = "[" + deep + "]";
  Snapshot snapshot;
  ASSERT_TRUE(add_queues("[{\"name\":\"\xff\",\"arguments\":{\"x\":" + deep +
                             ",\"x\":2}},{\"name\":7,\"arguments\":7,\"durable\":7,\"policy\":7}]",
                         snapshot));
  EXPECT_TRUE(snapshot.queues.contains("?"));
}

TEST(Reasons, AreTheBrokersOwnOnOneLine) {
  EXPECT_EQ(
      reason_in(R"({"error":"bad_request","reason":"Validation failed\n\n&lt;&lt;\"x\"&gt;&gt; is not\n"})"),
      "Validation failed <<\"x\">> is not");
  EXPECT_EQ(reason_in(R"({"error":"Object Not Found"})"), "Object Not Found");
  EXPECT_EQ(reason_in("<html>"), "");
  EXPECT_EQ(reason_in(R"({"reason":"&amp;lt;"})"), "&lt;");
}

TEST(Encoding, WritesWholeNumbersAsIntegers) {
  EXPECT_EQ(encode({{"ttl", 86'400'000.0}, {"half", 0.5}, {"huge", 1e300}, {"text", "x"}}).dump(),
            R"({"half":0.5,"huge":1e+300,"text":"x","ttl":86400000})");
  EXPECT_EQ(encode({}).dump(), "{}");
}

}  // namespace
}  // namespace lambda::rabbitmq
