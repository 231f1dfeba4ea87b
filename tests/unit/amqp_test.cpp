// The parts of lib/amqp that need no broker.
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "amqp/uri.h"

namespace lambda::amqp {
namespace {

using testing::HasSubstr;
using testing::Not;

Uri parsed(const std::string& text) {
  const auto uri = parse_uri(text);
  EXPECT_TRUE(uri) << text << ": " << uri.error().message;
  return uri.value_or(Uri{});
}

TEST(AmqpUri, HasDefaultsForAllButTheScheme) {
  EXPECT_EQ(parsed("amqp://"), Uri{});
  EXPECT_EQ(parsed("AMQP://localhost/"), Uri{});
  EXPECT_EQ(parsed("amqps://").port, 5671);
  EXPECT_TRUE(parsed("amqps://").tls);
  EXPECT_EQ(parsed("amqps://:1/").port, 1);
}

TEST(AmqpUri, DecodesEachPart) {
  Uri expected;
  expected.tls = true;
  expected.host = "broker-0.rabbit_mq";
  expected.port = 1234;
  expected.username = "us:er";
  expected.password = "p@ss/w?rd%";
  expected.vhost = "a/b";
  expected.heartbeat_seconds = 30;
  expected.ca_file = "/etc/ca file.pem";
  EXPECT_EQ(parsed("amqps://us%3Aer:p%40ss%2fw%3Frd%25@broker-0.rabbit_mq:1234/a%2Fb?heartbeat=30&"
                   "cacertfile=%2Fetc/ca%20file.pem"),
            expected);
  EXPECT_EQ(parsed("amqp://user:a:b@h").password, "a:b");
  EXPECT_EQ(parsed("amqp://user@h").username, "user");
  EXPECT_EQ(parsed("amqp://h?heartbeat=0").heartbeat_seconds, 0);
  EXPECT_EQ(parsed("amqp://h/%2F").vhost, "/");
}

TEST(AmqpUri, KnowsAddresses) {
  EXPECT_EQ(parsed("amqp://[::1]:99/v").host, "::1");
  EXPECT_EQ(parsed("amqp://[::1]:99/v").port, 99);
  EXPECT_EQ(parsed("amqp://[fe80::2]").shown(), "amqp://[fe80::2]:5672/");
  EXPECT_EQ(parsed("amqp://10.0.0.1").host, "10.0.0.1");
}

TEST(AmqpUri, IsShownWithoutUserAndPassword) {
  EXPECT_EQ(parsed("amqps://user:secret@h/v").shown(), "amqps://h:5671/v");
}

TEST(AmqpUri, RefusesWhatItDoesNotUnderstandAndShowsNoPassword) {
  for (const std::string text : {"",
                                 "localhost",
                                 "http://h",
                                 "amqp:h",
                                 "amqp://u:secret@h:0",
                                 "amqp://u:secret@h:65536",
                                 "amqp://u:secret@h:x",
                                 "amqp://u:secret%@h",
                                 "amqp://u:secret%4@h",
                                 "amqp://u:secret%zz@h",
                                 "amqp://u:secret%00@h",
                                 "amqp://u:secret@x@h",
                                 "amqp://u:secret@[::1",
                                 "amqp://u:secret@[]",
                                 "amqp://u:secret@[::1]x",
                                 "amqp://u:secret@h/a/b",
                                 "amqp://u:secret@h?verify=verify_none",
                                 "amqp://u:secret@h?heartbeat=-1",
                                 "amqp://u:secret@h?heartbeat=secret",
                                 "amqp://u:secret@h?heartbeat",
                                 "amqp://u:secret@h /",
                                 "amqp://u:secret@h\n/",
                                 "amqp://u:secret@h!/"}) {
    const auto uri = parse_uri(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error().kind, base::ErrorKind::invalid);
    EXPECT_THAT(uri.error().message, Not(HasSubstr("secret"))) << text;
  }
  EXPECT_FALSE(parse_uri("amqp://" + std::string(256, 'u') + "@h"));
  EXPECT_FALSE(parse_uri("amqp://h/" + std::string(256, 'v')));
  EXPECT_FALSE(parse_uri("amqp://h/" + std::string(5000, 'v')));
}

TEST(AmqpUri, OfAFileIsReadEachTime) {
  const std::string path = testing::TempDir() + "/amqp-uri";
  const UriSource source = uri_from_file(path);
  std::ofstream(path) << "\n amqp://u:old@h \r\n";
  EXPECT_EQ(source().value_or(Uri{}).password, "old");
  std::ofstream(path) << "amqp://u:new@h";
  EXPECT_EQ(source().value_or(Uri{}).password, "new");
  std::ofstream(path) << "\n";
  EXPECT_THAT(source().error().message, HasSubstr("empty"));
  std::ofstream(path) << "amqp://u:secret%@h";
  EXPECT_THAT(source().error().message, testing::AllOf(HasSubstr(path), Not(HasSubstr("secret"))));
  EXPECT_THAT(uri_from_file("/nowhere")().error().message, HasSubstr("/nowhere"));
}

TEST(AmqpUri, AFileIsReadOnlyWithoutAText) {
  EXPECT_EQ(uri_from("amqp://u@h", "/nowhere")().value_or(Uri{}).username, "u");
  EXPECT_EQ(uri_from("no URI", "")().error().kind, base::ErrorKind::invalid);
  EXPECT_THAT(uri_from("", "/nowhere")().error().message, HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace lambda::amqp
