#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cloudevents/event.h"
#include "cloudevents/http.h"
#include "cloudevents/json.h"
#include "cloudevents/trace.h"

namespace lambda::cloudevents {
namespace {

using base::ErrorKind;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<Header> required_headers() {
  return {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "/here"}, {"ce-type", "t"}};
}

// Decodes the required headers and one more.
base::Result<Event> decode_with(std::string_view name, std::string_view value) {
  auto headers = required_headers();
  headers.push_back({name, value});
  return decode_http("application/json", headers, "{}");
}

// A structured event of the required members and one more.
base::Result<Event> decode_member(const std::string& member) {
  return decode_json(R"({"specversion":"1.0","id":"1","source":"/here","type":"t",)" + member + "}");
}

// -- Binary mode
// --------------------------------------------------------------------------------------------------

TEST(BinaryMode, TakesAttributesFromHeadersAndDataFromTheBody) {
  const std::vector<Header> headers{{"Host", "sink"},
                                    {"CE-SpecVersion", "1.0"},
                                    {"Ce-Id", "e1"},
                                    {"ce-source", "network.notifi.kaniko-jobs"},
                                    {"ce-type", "network.notifi.lambda.job.start"},
                                    {"ce-subject", "parser"},
                                    {"ce-time", "2024-01-01T00:00:00Z"},
                                    {"ce-dataschema", "https://example.com/schema"},
                                    {"ce-knativeerrorcode", "500"}};
  const auto event = decode_http("application/json; charset=utf-8", headers, " {\"a\": 1.00}\r\n");
  ASSERT_TRUE(event) << describe(event.error());
  const Event expected{.id = "e1",
                       .source = "network.notifi.kaniko-jobs",
                       .type = "network.notifi.lambda.job.start",
                       .subject = "parser",
                       .time = "2024-01-01T00:00:00Z",
                       .datacontenttype = "application/json; charset=utf-8",
                       .dataschema = "https://example.com/schema",
                       .extensions = {{"knativeerrorcode", "500"}},
                       .data = "{\"a\": 1.00}"};
  EXPECT_EQ(*event, expected);
}

TEST(BinaryMode, WritesWhatItReadsBack) {
  const Event event{.id = "e 1",
                    .source = "/here?a=\"b\"",
                    .type = "t",
                    .subject = "100 % größer €",
                    .time = "2024-01-01T00:00:00.5Z",
                    .datacontenttype = "application/json",
                    .dataschema = "",
                    .extensions = {{"thirdpartyid", " \xF0\x9F\x9A\x80 "}, {"traceparent", "00-1"}},
                    .data = "{\"a\": 1.00}"};
  const BinaryRequest request = encode_http(event);
  std::vector<Header> headers;
  for (const auto& [name, value] : request.headers) {
    EXPECT_TRUE(std::ranges::all_of(value, [](char c) { return c > ' ' && c <= '~'; }))
        << name << ": " << value;
    headers.push_back({name, value});
  }
  EXPECT_EQ(decode_http(request.content_type, headers, request.body).value(), event);
}

TEST(BinaryMode, KeepsBytesThatAreNotJson) {
  const std::string bytes("\0\xFF \n", 4);
  EXPECT_EQ(decode_http("application/octet-stream", required_headers(), bytes)->data, bytes);
}

TEST(BinaryMode, WorksWithoutContentType) {
  const auto event = decode_http("", required_headers(), "{}");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->datacontenttype, "");
  EXPECT_TRUE(declares_json(*event));
}

TEST(BinaryMode, TakesTheBrokersZeroTimeForNoTime) {
  EXPECT_EQ(decode_with("ce-time", "0001-01-01T00:00:00Z")->time, "");
}

TEST(BinaryMode, ZeroTimeIsAnOrdinaryTextElsewhere) {
  EXPECT_EQ(decode_with("ce-subject", "0001-01-01T00:00:00Z")->subject, "0001-01-01T00:00:00Z");
}

struct HeaderValue {
  const char* sent;
  const char* meant;
};

TEST(BinaryMode, DecodesHeaderValues) {
  for (const auto& [sent, meant] : std::vector<HeaderValue>{{"plain", "plain"},
                                                            {"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"},
                                                            {"%41%c3%a9", "Aé"},
                                                            {"raw € text", "raw € text"},
                                                            {R"("quoted text")", "quoted text"},
                                                            {R"("a \"b\" \\ c")", R"(a "b" \ c)"},
                                                            {R"("%41")", "A"},
                                                            {"%2541", "%41"},  // one round only
                                                            {"100%", "100%"},
                                                            {"%4", "%4"},
                                                            {"%zz%4g", "%zz%4g"},
                                                            {"\"", "\""},
                                                            {"\"open", "\"open"},
                                                            {"  padded\t", "padded"}}) {
    const auto event = decode_with("ce-subject", sent);
    ASSERT_TRUE(event) << sent << ": " << describe(event.error());
    EXPECT_EQ(event->subject, meant) << sent;
  }
}

struct BadHeader {
  std::string name;
  std::string value;
  const char* field;
  const char* message;
};

TEST(BinaryMode, RefusesHeadersAndNamesTheField) {
  const std::vector<BadHeader> all{
      {"ce-subject", "%C0%A0", "subject", "UTF-8"},
      {"ce-subject", "\xFF", "subject", "UTF-8"},
      {"ce-subject", "%ED%A0%80", "subject", "UTF-8"},
      {"ce-subject", "%0A", "subject", "control character"},
      {"ce-subject", "%00", "subject", "control character"},
      {"ce-subject", "%7F", "subject", "control character"},
      {"ce-subject", "%C2%85", "subject", "control character"},
      {"ce-subject", "", "subject", "is empty"},
      {"ce-subject", std::string(1025, 'x'), "subject", "1025 bytes; accepted: 1024"},
      {"ce-time", "yesterday", "time", "RFC 3339"},
      {"ce-time", "2024-02-30T00:00:00Z", "time", "RFC 3339"},
      {"ce-dataschema", "schema.json", "dataschema", "absolute URI"},
      {"ce-dataschema", "x:", "dataschema", "absolute URI"},
      {"ce-dataschema", "1x:y", "dataschema", "absolute URI"},
      {"ce-datacontenttype", "application/json", "ce-datacontenttype", "Content-Type"},
      {"ce-id", "2", "id", "more than once"},
      {"CE-ID", "1", "id", "more than once"},
      {"ce-specversion", "1.0", "specversion", "more than once"},
      {"ce-data", "x", "data", "no name"},
      {"ce-", "x", "", "attribute name \"\""},
      {"ce-some-name", "x", "", "attribute name \"some-name\""},
      {"ce-na\xC3\xAFve", "x", "", "attribute name"}};
  for (const BadHeader& bad : all) {
    const auto event = decode_with(bad.name, bad.value);
    ASSERT_FALSE(event) << bad.name << ": " << bad.value;
    EXPECT_EQ(event.error().kind, ErrorKind::invalid);
    EXPECT_EQ(event.error().field, bad.field) << bad.name << ": " << bad.value;
    EXPECT_THAT(event.error().message, HasSubstr(bad.message));
  }
}

TEST(BinaryMode, RequiresTheRequiredAttributes) {
  for (std::size_t missing = 0; missing < required_headers().size(); ++missing) {
    auto headers = required_headers();
    headers.erase(headers.begin() + static_cast<std::ptrdiff_t>(missing));
    const auto event = decode_http("application/json", headers, "{}");
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().message, "is required");
    EXPECT_EQ("ce-" + event.error().field, required_headers()[missing].name);
  }
}

TEST(BinaryMode, AcceptsSpecversion10Only) {
  for (const std::string_view version : {"0.3", "1", "1.0.2", "2.0"}) {
    auto headers = required_headers();
    headers[0].value = version;
    const auto event = decode_http("", headers, "");
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().field, "specversion");
  }
}

TEST(BinaryMode, AcceptsManyButNotAnyNumberOfExtensions) {
  std::vector<std::string> names;
  for (int i = 0; i < 65; ++i) names.push_back("ce-x" + std::to_string(i));
  auto headers = required_headers();
  for (int i = 0; i < 64; ++i) headers.push_back({names[static_cast<std::size_t>(i)], ""});
  EXPECT_TRUE(decode_http("", headers, ""));
  headers.push_back({names.back(), ""});
  EXPECT_FALSE(decode_http("", headers, ""));
}

TEST(BinaryMode, RefusesAContentTypeThatIsNone) {
  const auto event = decode_http("json", required_headers(), "{}");
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().field, "datacontenttype");
}

// -- The mode
// -----------------------------------------------------------------------------------------------------

TEST(Mode, IsStructuredByContentTypeInAnyCase) {
  const auto event = decode_http("Application/CloudEvents+JSON; charset=utf-8", {},
                                 R"({"specversion":"1.0","id":"1","source":"/here","type":"t"})");
  EXPECT_TRUE(event);
}

TEST(Mode, RefusesBatchesAndOtherFormatsAsUnsupported) {
  for (const std::string_view content_type :
       {"application/cloudevents-batch+json", "APPLICATION/CLOUDEVENTS-BATCH", "application/cloudevents+xml",
        "application/cloudevents", "application/cloudevents+jsonx"}) {
    const auto event = decode_http(content_type, required_headers(), "[]");
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().kind, ErrorKind::unsupported) << content_type;
    EXPECT_EQ(event.error().field, "content-type");
  }
}

TEST(Mode, SaysSoWhenThereIsNoCloudEvent) {
  for (const std::string_view content_type : {"", "application/json", "text/html"}) {
    const std::vector<Header> headers{{"Host", "sink"}, {"cex-id", "1"}};
    const auto event = decode_http(content_type, headers, "{}");
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().kind, ErrorKind::invalid);
    EXPECT_THAT(event.error().message, StartsWith("not a CloudEvent: "));
  }
}

// -- Structured JSON
// ----------------------------------------------------------------------------------------------

struct Data {
  std::string member;
  std::string data;
};

TEST(StructuredMode, ReadsData) {
  const std::vector<Data> all{{R"("data":{"b": 1.00, "a": 12345678901234567890123}, "x":1)",
                               R"({"b": 1.00, "a": 12345678901234567890123})"},
                              {"\"data\" :\n [ 1, \"}\\\"]\" ] ", "[ 1, \"}\\\"]\" ]"},
                              {R"("d\u0061ta":true)", "true"},
                              {R"("data":null)", "null"},
                              {R"("data":"{\"not\":\"parsed\"}")", R"("{\"not\":\"parsed\"}")"},
                              {R"("x":"data","data":7)", "7"},
                              {R"("data_base64":"eyJhIjoxfQ==")", R"({"a":1})"},
                              {R"("data_base64":null,"data":1)", "1"},
                              {R"("data":null,"data_base64":"MQ==")", "1"},
                              {R"("datacontenttype":"text/plain","data":"a\nb")", "a\nb"},
                              {R"("datacontenttype":"text/plain","data":null)", ""},
                              {R"("datacontenttype":"application/vnd.x+json","data":"a")", "\"a\""},
                              {R"("subject":null)", ""}};
  for (const auto& [member, data] : all) {
    const auto event = decode_member(member);
    ASSERT_TRUE(event) << member << ": " << describe(event.error());
    EXPECT_EQ(event->data, data) << member;
    const auto value = event->read_data.value;
    if (value) EXPECT_EQ(*value, nlohmann::json::parse(data)) << member;
  }
}

TEST(StructuredMode, KeepsTheValueOfJsonDataOnly) {
  EXPECT_TRUE(decode_member(R"("data":{"a":1})")->read_data.value);
  EXPECT_FALSE(decode_member(R"("data_base64":"eyJhIjoxfQ==")")->read_data.value);
  EXPECT_FALSE(decode_member(R"("datacontenttype":"text/plain","data":"a")")->read_data.value);
  EXPECT_FALSE(decode_member(R"("subject":null)")->read_data.value);
}

TEST(StructuredMode, TakesNullForAbsentAndIntegersAndBooleansAsTextOfExtensions) {
  const auto event = decode_member(
      R"("subject":null,"time":"0001-01-01T00:00:00Z","number":-5,"flag":true,"none":null,"empty":"")");
  ASSERT_TRUE(event) << describe(event.error());
  EXPECT_EQ(event->subject, "");
  EXPECT_EQ(event->time, "");
  EXPECT_EQ(event->extensions,
            (decltype(event->extensions){{"number", "-5"}, {"flag", "true"}, {"empty", ""}}));
}

struct BadMember {
  std::string member;
  const char* field;
  const char* message;
};

TEST(StructuredMode, RefusesMembersAndNamesTheField) {
  const std::vector<BadMember> all{{R"("subject":5)", "subject", "type number; accepted: string"},
                                   {R"("time":true)", "time", "type boolean; accepted: string"},
                                   {R"("subject":"")", "subject", "is empty"},
                                   {R"("subject":"a\u0000b")", "subject", "control character"},
                                   {R"("ext":1.5)", "ext", "accepted: string, integer or boolean"},
                                   {R"("ext":{})", "ext", "type object"},
                                   {R"("ext":[])", "ext", "type array"},
                                   {R"("Ext":"x")", "", "attribute name \"Ext\""},
                                   {R"("id":"2")", "", "the event has the name \"id\" more than once"},
                                   {R"("data":1,"data_base64":"MQ==")", "data_base64", "beside data"},
                                   {R"("data_base64":"M")", "data_base64", "base64"},
                                   {R"("data_base64":1)", "data_base64", "base64"},
                                   {R"("datacontenttype":"text/plain","data":{})", "data", "type object"},
                                   {R"("data":{"a":1,"a":2})", "", "more than once"},
                                   {R"("data":)" + std::string(1 << 20, '['), "", "nested deeper"}};
  for (const BadMember& bad : all) {
    const auto event = decode_member(bad.member);
    ASSERT_FALSE(event) << bad.member;
    EXPECT_EQ(event.error().kind, ErrorKind::invalid);
    EXPECT_EQ(event.error().field, bad.field) << bad.member.substr(0, 64);
    EXPECT_THAT(event.error().message, HasSubstr(bad.message));
  }
}

TEST(StructuredMode, RefusesAnIdThatIsANumber) {
  const auto event = decode_json(R"({"specversion":"1.0","id":1,"source":"/here","type":"t"})");
  ASSERT_FALSE(event);
  EXPECT_EQ(describe(event.error()), "id: is of type number; accepted: string");
}

TEST(StructuredMode, RefusesWhatIsNoObject) {
  for (const std::string_view text : {"", "[]", "1", "null", "{", "\"x\""})
    EXPECT_FALSE(decode_json(text)) << text;
}

bool declares_json_with(std::string datacontenttype) {
  Event event;
  event.datacontenttype = std::move(datacontenttype);
  return declares_json(event);
}

TEST(DataContentType, DeclaresJsonByItsSubtype) {
  for (const char* json :
       {"", "application/json", "text/json; charset=utf-8", "Example/JSON", "image/svg+json"})
    EXPECT_TRUE(declares_json_with(json)) << json;
  for (const char* other : {"text/plain", "application/jsonl", "application/xml; x=/json", "json/text"})
    EXPECT_FALSE(declares_json_with(other)) << other;
}

// -- Batches
// ------------------------------------------------------------------------------------------------------

std::string batch_event(const std::string& id, const std::string& data) {
  return R"({"specversion":"1.0","id":")" + id + R"(","source":"/here","type":"t","data":)" + data + "}";
}

TEST(Batch, ReadsEveryEventWithTheTextOfItsData) {
  const std::string text = " [" + batch_event("1", R"({"b": 1.00, "]": "}\\\","})") + " ,\n" +
                           batch_event("2", "[1,  2]") + "," + batch_event("3", "\"[,]\"") + "]\r\n";
  const auto events = decode_json_batch(text, 3);
  ASSERT_TRUE(events) << describe(events.error());
  ASSERT_EQ(events->size(), 3U);
  const std::vector<std::string> data{R"({"b": 1.00, "]": "}\\\","})", "[1,  2]", "\"[,]\""};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& event = (*events)[i];
    ASSERT_TRUE(event) << describe(event.error());
    EXPECT_EQ(event->id, std::to_string(i + 1));
    EXPECT_EQ(event->data, data[i]);
    EXPECT_FALSE(event->read_data.value) << "those of a whole batch would take much memory";
  }
}

TEST(Batch, KeepsAnErrorToItsEventAndNamesItsPlace) {
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  const auto events = decode_json_batch("[" + batch_event("1", "1") + "," + batch_event("", "1") +
                                            ",null,[]," + batch_event("5", R"({"a":1,"a":2})") + "," +
                                            batch_event("6", deep) + "," + batch_event("7", "1") + "]",
                                        100);
  ASSERT_TRUE(events) << describe(events.error());
  const std::vector<std::string> fields{"", "[1].id", "[2]", "[3]", "[4]", "[5]", ""};
  ASSERT_EQ(events->size(), fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto& event = (*events)[i];
    EXPECT_EQ(event ? "" : event.error().field, fields[i]);
    EXPECT_EQ(event.has_value(), fields[i].empty());
  }
  EXPECT_THAT((*events)[4].error().message, HasSubstr("more than once"));
  EXPECT_THAT((*events)[5].error().message, HasSubstr("nested deeper"));
}

TEST(Batch, MayBeEmpty) {
  for (const std::string_view text : {"[]", " [ \n] "}) {
    const auto events = decode_json_batch(text, 0);
    ASSERT_TRUE(events) << text;
    EXPECT_TRUE(events->empty());
  }
}

TEST(Batch, RefusesWhatIsNoArrayAsAWhole) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("{}"), std::string_view("null"), std::string_view("\"[]\""),
        std::string_view("["), std::string_view("[1,]"), std::string_view("[1]]"), std::string_view("[1}"),
        std::string_view("[1 2]"), std::string_view("[\"\xFF\"]"), std::string_view("\xEF\xBB\xBF[]"),
        std::string_view("[]\0]", 4), std::string_view("[1e999]")}) {
    const auto events = decode_json_batch(text, 100);
    ASSERT_FALSE(events) << text;
    EXPECT_EQ(events.error().kind, ErrorKind::invalid);
    EXPECT_EQ(events.error().field, "");
    EXPECT_THAT(events.error().message, StartsWith("the batch ")) << text;
  }
}

TEST(Batch, RefusesMoreEventsThanAreAcceptedAtOnce) {
  EXPECT_TRUE(decode_json_batch("[1,2]", 2));
  const auto events = decode_json_batch("[1,2,3]", 2);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().kind, ErrorKind::too_large);
  EXPECT_THAT(events.error().message, HasSubstr("more events than the 2"));
}

TEST(Batch, IsDeclaredByContentType) {
  EXPECT_TRUE(is_batch("application/cloudevents-batch+json"));
  EXPECT_TRUE(is_batch(" Application/CloudEvents-Batch+JSON; charset=utf-8"));
  EXPECT_TRUE(is_batch("application/cloudevents-batch+xml"));
  EXPECT_FALSE(is_batch("application/cloudevents+json"));
  EXPECT_FALSE(is_batch("application/json"));
  EXPECT_FALSE(is_batch(""));
  EXPECT_TRUE(decode_http_batch("Application/CloudEvents-Batch+JSON; charset=utf-8", "[]", 1));
  const auto other = decode_http_batch("application/cloudevents-batch+xml", "[]", 1);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(other.error().field, "content-type");
}

// -- Writing
// ------------------------------------------------------------------------------------------------------

Event full_event() {
  return {.id = "1",
          .source = "/here",
          .type = "t",
          .subject = "quoted \"€\"",
          .time = "2024-01-01T00:00:00Z",
          .datacontenttype = "application/json",
          .dataschema = "urn:x",
          .extensions = {{"a", ""}, {"b", "1"}},
          .data = R"({"z": 1.00, "a": "é"})"};
}

TEST(EncodeJson, OfDataThatIsKnownToBeJsonIsTheSame) {
  cloudevents::Event event = full_event();
  event.datacontenttype = "application/json";
  event.data = R"({"a":[1.0,"\u00e9"]})";
  EXPECT_EQ(encode_with_json_data(event), encode_json(event));
}

TEST(EncodeJson, WritesOneObjectWithJsonDataAsItIs) {
  EXPECT_EQ(encode_json(full_event()),
            R"({"specversion":"1.0","id":"1","source":"/here","type":"t","subject":"quoted \"€\"",)"
            R"("time":"2024-01-01T00:00:00Z","datacontenttype":"application/json","dataschema":"urn:x",)"
            R"("a":"","b":"1","data":{"z": 1.00, "a": "é"}})");
}

TEST(EncodeJson, IsReadBackAsTheSameEvent) {
  const std::string bytes("\0\xFF\x80", 3);
  for (const auto& [content_type, data] : std::vector<std::pair<std::string, std::string>>{
           {"application/json", R"({"a":[1,2,{"b":null}]})"},
           {"application/json", "{not json"},
           {"application/json", std::string("{}\0x", 4)},
           {"application/json", "\xEF\xBB\xBF{}"},
           {"application/json", R"({"a":1,"a":2})"},
           {"application/json", std::string(63, '[') + std::string(63, ']')},
           {"application/json", std::string(64, '[') + std::string(64, ']')},
           {"application/json", "null"},
           {"application/json", ""},
           {"", "1e5"},
           {"", bytes},
           {"text/plain", "a \"b\"\n"},
           {"text/plain", bytes},
           {"application/octet-stream", bytes}}) {
    Event event = full_event();
    event.datacontenttype = content_type;
    event.data = data;
    const auto again = decode_json(encode_json(event));
    ASSERT_TRUE(again) << encode_json(event) << ": " << describe(again.error());
    EXPECT_EQ(*again, event) << encode_json(event);
  }
}

TEST(Trace, OnlyAWellFormedTraceparentCounts) {
  Event event;
  EXPECT_EQ(trace_id(event), "");
  event.extensions["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(traceparent(event), event.extensions["traceparent"]);
  EXPECT_EQ(trace_id(event), "0af7651916cd43dd8448eb211c80319c");
  for (const char* bad : {"", "00", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                          "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
    event.extensions["traceparent"] = bad;
    EXPECT_EQ(traceparent(event), "") << bad;
    EXPECT_EQ(trace_id(event), "") << bad;
  }
}

}  // namespace
}  // namespace lambda::cloudevents
