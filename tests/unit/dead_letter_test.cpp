#include "build/dead_letter.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/text.h"
#include "cloudevents/amqp.h"

namespace lambda::build {
namespace {

using amqp::Message;
using base::ErrorKind;
using cloudevents::Event;
using ::testing::EndsWith;
using ::testing::StartsWith;

Event event() {
  return {.id = "1",
          .source = "/here",
          .type = "t",
          .subject = "s",
          .time = "2024-01-01T00:00:00Z",
          .datacontenttype = "application/json",
          .dataschema = {},
          .extensions = {{"traceparent", "x"}, {"reason", "of its own"}},
          .data = R"({"priority": 1.00})"};
}

DeadLetter letter_of(std::variant<Event, Undecodable> original) {
  return {.original = std::move(original),
          .reason = "invalid",
          .error = "data.priority: is 11 €; accepted: 0 to 10",
          .field = "data.priority",
          .stage = Stage::create,
          .attempts = 3,
          .first_time = "2024-01-01T00:00:01.000Z",
          .last_time = "2024-01-01T00:00:02.000Z",
          .correlation_id = "c",
          .job_name = "kaniko-job-x",
          .third_party_id = "tenant"};
}

std::size_t table_bytes(const Message& message) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : message.headers) bytes += cloudevents::amqp_header_bytes(name, value);
  return bytes;
}

// What AMQP asks of any message, and what a frame holds.
void expect_can_be_sent(const Message& message) {
  EXPECT_LE(table_bytes(message), 48U * 1024);
  for (const std::string* text : {&message.content_type, &message.message_id, &message.correlation_id}) {
    EXPECT_LE(text->size(), cloudevents::amqp_short_string_max_bytes);
    EXPECT_TRUE(base::is_valid_utf8(*text));
  }
  for (const auto& [name, value] : message.headers) {
    EXPECT_LE(name.size(), cloudevents::amqp_short_string_max_bytes);
    EXPECT_TRUE(base::is_valid_utf8(name) && base::is_valid_utf8(value)) << name;
  }
}

void expect_round_trip(const DeadLetter& letter) {
  const Message message = to_message(letter);
  expect_can_be_sent(message);
  const auto again = from_message(message);
  ASSERT_TRUE(again) << describe(again.error());
  EXPECT_EQ(*again, letter);
  EXPECT_EQ(to_message(*again), message);
}

// -- An event
// -----------------------------------------------------------------------------------------------------

TEST(DeadLetterOfAnEvent, IsTheEventItselfAndHeadersOfOurOwnBesideIt) {
  Message message = to_message(letter_of(event()));
  const decltype(message.headers) ours{{"x-lambda-original", "event"},
                                       {"x-lambda-reason", "invalid"},
                                       {"x-lambda-error", "data.priority: is 11 €; accepted: 0 to 10"},
                                       {"x-lambda-field", "data.priority"},
                                       {"x-lambda-stage", "create"},
                                       {"x-lambda-attempts", "3"},
                                       {"x-lambda-first-time", "2024-01-01T00:00:01.000Z"},
                                       {"x-lambda-last-time", "2024-01-01T00:00:02.000Z"},
                                       {"x-lambda-correlation-id", "c"},
                                       {"x-lambda-job-name", "kaniko-job-x"},
                                       {"x-lambda-third-party-id", "tenant"}};
  decltype(message.headers) found;
  for (const auto& [name, value] : ours) found.insert(message.headers.extract(name));
  EXPECT_EQ(found, ours);
  EXPECT_EQ(message, cloudevents::encode_amqp(event()));  // untouched: nothing else was added
}

TEST(DeadLetterOfAnEvent, IsReadBack) {
  expect_round_trip(letter_of(event()));
  expect_round_trip({.original = event(),
                     .reason = "too_large",
                     .error = {},
                     .field = {},
                     .stage = Stage::intake,
                     .attempts = 1,
                     .first_time = {},
                     .last_time = {},
                     .correlation_id = {},
                     .job_name = {},
                     .third_party_id = {}});
}

TEST(DeadLetterOfAnEvent, IsReadBackAlsoIfItsAttributesNeedTheBody) {
  Event large = event();
  large.extensions["large"] = std::string(1 << 20, 'x');
  expect_round_trip(letter_of(large));
}

TEST(DeadLetterOfAnEvent, IsStillTheEventToWhoKnowsNoEnvelope) {
  const auto decoded = cloudevents::decode_amqp(to_message(letter_of(event())));
  ASSERT_TRUE(decoded) << describe(decoded.error());
  EXPECT_EQ(*decoded, event());
}

TEST(DeadLetterOfAnEvent, IsReadBesideWhatTheBrokerAdds) {
  Message message = to_message(letter_of(event()));
  message.headers["x-first-death-reason"] = "expired";
  message.headers["x-delivery-count"] = "1";
  EXPECT_EQ(from_message(message).value(), letter_of(event()));
}

// -- What is no event
// ---------------------------------------------------------------------------------------------

TEST(DeadLetterOfRawBytes, KeepsBytesContentTypeAndHeaders) {
  const Undecodable raw{{{"ce-id", "1"}, {"Host", "sink"}}, "text/html", std::string("\0\xFF<", 3)};
  const Message message = to_message(letter_of(raw));
  EXPECT_EQ(message.body, raw.body);
  EXPECT_EQ(message.content_type, "text/html");
  EXPECT_EQ(message.headers.at("x-lambda-original"), "raw");
  EXPECT_EQ(message.headers.at("x-lambda-raw-headers"), R"({"headers":[["ce-id","1"],["Host","sink"]]})");
  expect_round_trip(letter_of(raw));
}

TEST(DeadLetterOfRawBytes, IsReadBackWhateverItsHeadersAre) {
  const std::string broken("\xFF\0\"", 3);
  const std::vector<Undecodable> all{
      {},
      {{}, "", "{}"},
      {{{"", ""}}, "application/cloudevents+json", "{"},
      {{{"x-lambda-original", "event"}, {"x-lambda-reason", "none"}, {"x-lambda-raw-headers", "{}"}}, "", ""},
      {{{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-id", "2"}, {"content-type", "a/b"}}, "a/b", "x"},
      {{{"cloudEvents:id", "1"}, {"specversion", "1.0"}, {"b", ""}, {"a", ""}}, "", "x"},
      {{{broken, broken}, {"base64", "AA=="}, {R"({"base64":"AA=="})", "[]"}}, broken, broken},
      {{}, std::string(256, 'x'), "x"}};
  for (const Undecodable& raw : all) expect_round_trip(letter_of(raw));
}

TEST(DeadLetterOfRawBytes, PutsHeadersIntoTheBodyThatAreTooLargeForAHeaderTable) {
  for (const std::size_t bytes : {std::size_t{33} * 1024, std::size_t{1} << 20}) {
    const Undecodable raw{{{"cookie", std::string(bytes, 'x')}, {"a", "\xFF"}}, "a/b", "the body"};
    const Message message = to_message(letter_of(raw));
    EXPECT_FALSE(message.headers.contains("x-lambda-raw-headers"));
    const auto in_body = base::parse_integer(message.headers.at("x-lambda-raw-headers-bytes"));
    ASSERT_TRUE(in_body);
    EXPECT_THAT(message.body, StartsWith(R"({"headers":[["cookie","xxx)"));
    EXPECT_EQ(message.body.substr(static_cast<std::size_t>(*in_body)), "the body");
    expect_round_trip(letter_of(raw));
  }
}

// -- Bounds
// -------------------------------------------------------------------------------------------------------

TEST(DeadLetterBounds, CutOurTextsAndNeverTheOriginal) {
  DeadLetter letter = letter_of(event());
  const std::string long_text = "€" + std::string(1 << 20, 'x');
  for (std::string* text :
       {&letter.error, &letter.field, &letter.correlation_id, &letter.job_name, &letter.third_party_id}) {
    *text = long_text;
  }
  const Message message = to_message(letter);
  expect_can_be_sent(message);
  EXPECT_EQ(message.headers.at("x-lambda-error").size(), dead_letter_error_max_bytes);
  for (const char* name : {"field", "correlation-id", "job-name", "third-party-id"}) {
    const std::string& text = message.headers.at(std::string("x-lambda-") + name);
    EXPECT_EQ(text.size(), dead_letter_text_max_bytes) << name;
    EXPECT_THAT(text, StartsWith("€xx"));
    EXPECT_THAT(text, EndsWith("x…"));
  }
  EXPECT_EQ(std::get<Event>(from_message(message)->original), event());
}

TEST(DeadLetterBounds, MakeOurTextsValidUtf8) {
  DeadLetter letter = letter_of(event());
  letter.error = "\xFF€\xE2\x82";
  EXPECT_EQ(to_message(letter).headers.at("x-lambda-error"), "?€??");
  for (std::size_t filler = dead_letter_text_max_bytes - 6; filler < dead_letter_text_max_bytes + 2;
       ++filler) {
    letter.field = std::string(filler, 'x') + "€€€";
    expect_can_be_sent(to_message(letter));
    const std::string text = to_message(letter).headers.at("x-lambda-field");
    EXPECT_THAT(text, EndsWith("…")) << filler;
    EXPECT_EQ(text.find('?'), std::string::npos) << "a character was cut in two: " << text;
  }
}

TEST(DeadLetterBounds, KeepReasonAttemptsAndTimesWithinTheirForms) {
  DeadLetter letter = letter_of(event());
  letter.reason = "because";
  letter.attempts = 0;
  letter.first_time = "yesterday";
  letter.last_time = "2024-01-01T00:00:00." + std::string(1 << 20, '0') + "Z";
  const auto read = from_message(to_message(letter));
  ASSERT_TRUE(read) << describe(read.error());
  EXPECT_EQ(read->reason, "internal");
  EXPECT_EQ(read->attempts, 1U);
  EXPECT_EQ(read->first_time, "");
  EXPECT_EQ(read->last_time, "");
}

TEST(DeadLetterBounds, KnowEveryReason) {
  for (const ErrorKind kind : {ErrorKind::invalid, ErrorKind::too_large, ErrorKind::unsupported,
                               ErrorKind::not_found, ErrorKind::conflict, ErrorKind::unauthenticated,
                               ErrorKind::forbidden, ErrorKind::unavailable, ErrorKind::timeout}) {
    DeadLetter letter = letter_of(event());
    letter.reason = to_string(kind);
    EXPECT_EQ(from_message(to_message(letter))->reason, to_string(kind));
  }
}

// -- Foreign messages
// ---------------------------------------------------------------------------------------------

TEST(FromMessage, SaysWhenThereIsNoEnvelope) {
  for (const Message& message : {Message{}, cloudevents::encode_amqp(event())}) {
    const auto read = from_message(message);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(read.error().field, "x-lambda-original");
  }
}

struct BadHeader {
  const char* name;
  const char* value;
};

TEST(FromMessage, RefusesABrokenEnvelopeAndNamesTheHeader) {
  const Undecodable raw{{{"a", "b"}}, "", "12345"};
  const std::vector<BadHeader> all{{"x-lambda-original", ""},
                                   {"x-lambda-original", "EVENT"},
                                   {"x-lambda-reason", ""},
                                   {"x-lambda-reason", "because"},
                                   {"x-lambda-stage", "3"},
                                   {"x-lambda-attempts", "0"},
                                   {"x-lambda-attempts", "-1"},
                                   {"x-lambda-attempts", "4294967296"},
                                   {"x-lambda-attempts", "many"},
                                   {"x-lambda-first-time", "yesterday"},
                                   {"x-lambda-last-time", "2024-02-30T00:00:00Z"},
                                   {"x-lambda-raw-headers", "{"},
                                   {"x-lambda-raw-headers", "[]"},
                                   {"x-lambda-raw-headers", R"({"headers":{}})"},
                                   {"x-lambda-raw-headers", R"({"headers":[["a"]]})"},
                                   {"x-lambda-raw-headers", R"({"headers":[["a","b","c"]]})"},
                                   {"x-lambda-raw-headers", R"({"headers":[["a",1]]})"},
                                   {"x-lambda-raw-headers", R"({"headers":[["a",{"base64":"?"}]]})"},
                                   {"x-lambda-raw-headers", R"({"headers":[["a",{"base64":"","x":1}]]})"},
                                   {"x-lambda-raw-headers", R"({"content_type":null})"},
                                   {"x-lambda-raw-headers-bytes", "6"},
                                   {"x-lambda-raw-headers-bytes", "-1"},
                                   {"x-lambda-raw-headers-bytes", "9223372036854775808"}};
  for (const BadHeader& bad : all) {
    Message message = to_message(letter_of(raw));
    message.headers[bad.name] = bad.value;
    const auto read = from_message(message);
    ASSERT_FALSE(read) << bad.name << ": " << bad.value;
    EXPECT_EQ(read.error().kind, ErrorKind::invalid);
    EXPECT_EQ(read.error().field, bad.name) << bad.value;
  }
}

TEST(FromMessage, RefusesAnEnvelopeAroundWhatIsNoEvent) {
  Message message = to_message(letter_of(event()));
  message.headers.erase("ce-id");
  const auto read = from_message(message);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().field, "id");
}

// -- Any letter
// ---------------------------------------------------------------------------------------------------

// Texts of every length around the bounds, out of what is awkward somewhere: quotes, brackets, prefixes of
// ours and of others, half a character.
class AnyLetter {
 public:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  std::string bytes(std::size_t max_pieces) {
    static const std::vector<std::string> pieces{"a",
                                                 "\"",
                                                 "\\",
                                                 "{",
                                                 "]",
                                                 ":",
                                                 "ce-",
                                                 "x-",
                                                 "€",
                                                 "\xE2\x82",
                                                 "\xFF",
                                                 "\n",
                                                 "%41",
                                                 "…",
                                                 std::string(1, '\0'),
                                                 "[[",
                                                 "cloudEvents:",
                                                 "x-lambda-original",
                                                 "base64",
                                                 " "};
    std::string out;
    for (std::size_t left = below(max_pieces + 1); left > 0; --left) out += pieces[below(pieces.size())];
    return out;
  }

  Undecodable raw() {
    Undecodable out{{}, bytes(60), bytes(50)};
    for (std::size_t left = below(8); left > 0; --left) out.headers.emplace_back(bytes(9), bytes(1500));
    return out;
  }

  // Whatever attributes a decoder may have let in.
  Event event() {
    Event out = build::event();
    out.id = text();
    out.source = text();
    out.subject = text();
    out.datacontenttype = std::vector<std::string>{"", "text/plain", "application/cloudevents+json",
                                                   "a/b; " + std::string(below(600), 'x')}[below(4)];
    out.data = bytes(50);
    for (std::size_t left = below(8); left > 0; --left)
      out.extensions.insert_or_assign(std::string(1 + below(260), 'n'),
                                      text() + std::string(below(9000), 'x'));
    return out;
  }

 private:
  std::string text() {
    std::string out = base::to_valid_utf8(bytes(50));
    std::erase_if(out, [](char c) { return c == '\n' || c == '\0'; });
    return "t" + out;
  }

  std::mt19937 random_{1};
};

TEST(AnyLetter, IsReadBack) {
  AnyLetter any;
  for (int i = 0; i < 100; ++i) {
    expect_round_trip(letter_of(any.raw()));
    // As a decoder has it: without white space around JSON.
    const auto event = cloudevents::decode_amqp(cloudevents::encode_amqp(any.event()));
    ASSERT_TRUE(event) << describe(event.error());
    expect_round_trip(letter_of(*event));
  }
}

}  // namespace
}  // namespace lambda::build
