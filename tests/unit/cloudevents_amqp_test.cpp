#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cloudevents/amqp.h"

namespace lambda::cloudevents {
namespace {

using amqp::Message;
using base::ErrorKind;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Headers = decltype(Message::headers);

Message message_with(Headers headers) {
  Message message;
  message.content_type = "application/json";
  message.headers = std::move(headers);
  message.body = " {\"a\": 1.00}\n";
  return message;
}

Event small_event() {
  return {.id = "1",
          .source = "/here",
          .type = "t",
          .subject = {},
          .time = {},
          .datacontenttype = "application/json",
          .dataschema = {},
          .extensions = {},
          .data = "{\"a\": 1.00}"};
}

Event full_event() {
  Event event = small_event();
  event.subject = "100% \"€\"";
  event.time = "2024-01-01T00:00:00Z";
  event.dataschema = "urn:x";
  event.extensions = {{"a", ""}, {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  return event;
}

// -- Binary mode
// --------------------------------------------------------------------------------------------------

TEST(AmqpBinaryMode, ReadsTheThreeSpellings) {
  const std::vector<Headers> spellings{
      {{"cloudEvents:specversion", "1.0"},
       {"cloudEvents:id", "1"},
       {"cloudEvents_source", "/here"},
       {"cloudEvents:type", "t"},
       {"subject", "the application's own"}},
      {{"ce-specversion", "1.0"}, {"CE-ID", "1"}, {"ce-source", "/here"}, {"Ce-Type", "t"}, {"id", "2"}},
      {{"specversion", "1.0"},
       {"id", "1"},
       {"source", "/here"},
       {"type", "t"},
       {"time", "0001-01-01T00:00:00Z"},
       {"content-type", "application/json"},
       {"x-death", "of the broker"},
       {"no_attribute", "x"}}};
  for (const Headers& headers : spellings) {
    const auto event = decode_amqp(message_with(headers));
    ASSERT_TRUE(event) << headers.begin()->first << ": " << describe(event.error());
    EXPECT_EQ(*event, small_event()) << headers.begin()->first;
  }
}

// Knative's broker writes the content type, and a span's context beside the attributes.
TEST(AmqpBinaryMode, ReadsWhatKnativesBrokerPublishes) {
  Message message = message_with({{"specversion", "1.0"},
                                  {"id", "1"},
                                  {"source", "/here"},
                                  {"type", "t"},
                                  {"subject", "s"},
                                  {"time", "2024-01-01T00:00:00Z"},
                                  {"dataschema", "urn:x"},
                                  {"content-type", "text/plain"},
                                  {"knativeerrorcode", "500"},
                                  {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                                  {"tracestate", ""}});
  message.content_type = "";
  message.message_id = "1";
  const auto event = decode_amqp(message);
  ASSERT_TRUE(event) << describe(event.error());
  EXPECT_EQ(event->datacontenttype, "text/plain");
  EXPECT_EQ(event->subject, "s");
  EXPECT_EQ(event->time, "2024-01-01T00:00:00Z");
  EXPECT_EQ(event->dataschema, "urn:x");
  EXPECT_EQ(event->extensions.at("knativeerrorcode"), "500");
  EXPECT_THAT(event->extensions.at("traceparent"), StartsWith("00-0af76519"));
  EXPECT_EQ(event->data, message.body);
}

TEST(AmqpBinaryMode, TakesValuesAsTheyAre) {
  Message message = encode_amqp(small_event());
  message.headers["ce-subject"] = "\"100%41\" €";
  EXPECT_EQ(decode_amqp(message)->subject, "\"100%41\" €");
}

TEST(AmqpBinaryMode, PrefersThePropertyForTheContentType) {
  Message message = encode_amqp(small_event());
  message.headers["content-type"] = "text/plain";
  EXPECT_EQ(decode_amqp(message)->datacontenttype, "application/json");
  message.content_type.clear();
  EXPECT_EQ(decode_amqp(message)->datacontenttype, "text/plain");
  message.headers.erase("content-type");
  EXPECT_EQ(decode_amqp(message)->datacontenttype, "");
}

struct BadHeader {
  const char* name;
  std::string value;
  const char* field;
  const char* message;
};

TEST(AmqpBinaryMode, RefusesHeadersAndNamesTheAttribute) {
  const std::vector<BadHeader> all{
      {"ce-id", "", "id", "is empty"},
      {"ce-ID", "2", "id", "more than once"},
      {"ce-specversion", "0.3", "specversion", "accepted: \"1.0\""},
      {"ce-time", "1704067200", "time", "RFC 3339"},
      {"ce-subject", "\xC0\xA0", "subject", "UTF-8"},
      {"ce-subject", std::string("a\0b", 3), "subject", "control character"},
      {"ce-", "x", "", "attribute name"},
      {"ce-two-words", "x", "", "attribute name"},
      {"ce-data", "x", "data", "no name"},
      {"ce-datacontenttype", "application/json", "ce-datacontenttype", "must not be there"}};
  for (const BadHeader& bad : all) {
    Message message = encode_amqp(small_event());
    message.headers[bad.name] = bad.value;
    const auto event = decode_amqp(message);
    ASSERT_FALSE(event) << bad.name;
    EXPECT_EQ(event.error().kind, ErrorKind::invalid);
    EXPECT_EQ(event.error().field, bad.field) << bad.name;
    EXPECT_THAT(event.error().message, HasSubstr(bad.message)) << bad.name;
  }
}

TEST(AmqpBinaryMode, RequiresTheRequiredAttributesInOneSpelling) {
  for (const char* required : {"specversion", "id", "source", "type"}) {
    Message message = encode_amqp(small_event());
    auto moved = message.headers.extract(std::string("ce-") + required);
    moved.key() = required;  // beside ce- headers it is the application's own
    message.headers.insert(std::move(moved));
    const auto event = decode_amqp(message);
    ASSERT_FALSE(event) << required;
    EXPECT_EQ(event.error().field, required);
  }
}

TEST(AmqpBinaryMode, SaysSoWhenThereIsNoCloudEvent) {
  for (const Headers& headers : {Headers{}, Headers{{"id", "1"}, {"type", "t"}, {"x-ce-id", "1"}}}) {
    const auto event = decode_amqp(message_with(headers));
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().kind, ErrorKind::invalid);
    EXPECT_THAT(event.error().message, StartsWith("not a CloudEvent: "));
  }
}

// -- The mode
// -----------------------------------------------------------------------------------------------------

TEST(AmqpMode, IsStructuredByContentTypeInAnyCase) {
  Message message;
  message.content_type = " Application/CloudEvents+JSON; charset=utf-8";
  message.content_encoding = "UTF-8";
  message.headers = {{"ce-id", "of nobody"}};
  message.body = R"({"specversion":"1.0","id":"1","source":"/here","type":"t"})";
  const auto event = decode_amqp(message);
  ASSERT_TRUE(event) << describe(event.error());
  EXPECT_EQ(event->id, "1");
}

TEST(AmqpMode, RefusesBatchesOtherFormatsAndEncodingsAsUnsupported) {
  for (const char* content_type : {"application/cloudevents-batch+json", "application/cloudevents+xml",
                                   "application/cloudevents", "Application/CloudEvents-Batch"}) {
    Message message = encode_amqp(small_event());
    message.content_type = content_type;
    const auto event = decode_amqp(message);
    ASSERT_FALSE(event) << content_type;
    EXPECT_EQ(event.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(event.error().field, "content-type");
  }
  Message message = encode_amqp(small_event());
  message.content_encoding = "gzip";
  const auto event = decode_amqp(message);
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(event.error().field, "content-encoding");
}

// -- Writing
// ------------------------------------------------------------------------------------------------------

TEST(EncodeAmqp, WritesHeadersThatKnativesSourceReads) {
  const Message message = encode_amqp(full_event());
  const Headers expected{{"ce-specversion", "1.0"},
                         {"ce-id", "1"},
                         {"ce-source", "/here"},
                         {"ce-type", "t"},
                         {"ce-subject", "100% \"€\""},
                         {"ce-time", "2024-01-01T00:00:00Z"},
                         {"ce-dataschema", "urn:x"},
                         {"ce-a", ""},
                         {"ce-traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                         {"content-type", "application/json"}};
  EXPECT_EQ(message.headers, expected);
  EXPECT_EQ(message.content_type, "application/json");
  EXPECT_EQ(message.message_id, "1");
  EXPECT_EQ(message.body, "{\"a\": 1.00}");
}

Event with_extension(std::string name, std::string value) {
  Event event = full_event();
  event.extensions.emplace(std::move(name), std::move(value));
  return event;
}

Event with_content_type(std::string content_type) {
  Event event = full_event();
  event.datacontenttype = std::move(content_type);
  return event;
}

TEST(EncodeAmqp, IsStructuredWhereHeadersCannotHoldTheEvent) {
  const std::vector<Event> all{with_extension("long", std::string(amqp_headers_max_bytes, 'x')),
                               with_extension(std::string(253, 'n'), "x"),
                               with_content_type("text/" + std::string(251, 'x')),
                               with_content_type("application/cloudevents+json"),
                               with_content_type(" Application/CloudEvents-batch+json")};
  for (const Event& event : all) {
    const Message message = encode_amqp(event);
    EXPECT_EQ(message.content_type, "application/cloudevents+json");
    EXPECT_TRUE(message.headers.empty());
    const auto again = decode_amqp(message);
    ASSERT_TRUE(again) << describe(again.error());
    EXPECT_EQ(*again, event);
  }
  EXPECT_EQ(encode_amqp(with_extension(std::string(252, 'n'), "x")).content_type, "application/json");
}

TEST(EncodeAmqp, KeepsWhatAmqpsShortStringsCannotHoldOutOfTheProperties) {
  Event event = full_event();
  event.id = std::string(256, 'x');
  const Message message = encode_amqp(event);
  EXPECT_EQ(message.message_id, "");
  EXPECT_EQ(decode_amqp(message)->id, event.id);
}

TEST(EncodeAmqp, IsReadBackAsTheSameEvent) {
  const std::string bytes("\0\xFF\x80", 3);
  for (const auto& [content_type, data] :
       std::vector<std::pair<std::string, std::string>>{{"application/json", "{}"},
                                                        {"application/json", "{not json"},
                                                        {"application/json", ""},
                                                        {"", bytes},
                                                        {"text/plain", " a\n"},
                                                        {"application/octet-stream", bytes}}) {
    Event event = full_event();
    event.datacontenttype = content_type;
    event.data = data;
    const auto again = decode_amqp(encode_amqp(event));
    ASSERT_TRUE(again) << describe(again.error());
    EXPECT_EQ(*again, event) << content_type;
  }
}

}  // namespace
}  // namespace lambda::cloudevents
