#include "base/json.h"

#include <cstdint>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace lambda::base {
namespace {

using ::testing::HasSubstr;

TEST(ParseJson, ReadsAValue) {
  const auto value = parse_json(R"({"a":[1,{"b":null}],"c":{"b":"x"}})");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->at("c").at("b"), "x");
}

TEST(ParseJson, KeepsNumbersAsFarAsTheyFit) {
  const auto value =
      parse_json("[18446744073709551615, -9223372036854775808, 18446744073709551616, -0, 0.1, 0e88]");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->at(0), 18446744073709551615U);
  EXPECT_EQ(value->at(1), INT64_MIN);
  EXPECT_EQ(value->at(2), 18446744073709551616.0);
  EXPECT_EQ(value->at(3).dump(), "0");
  EXPECT_EQ(value->at(4), 0.1);
  EXPECT_EQ(value->at(5), 0.0);
}

TEST(ParseJson, ReadsEscapes) {
  const auto value = parse_json(R"("\u0041\ud83d\ude00\n\/\u0000")");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value, std::string("A😀\n/\0", 8));
}

struct Refused {
  const char* what;
  std::string text;
  const char* message;
};

class RefusedJson : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedJson, SaysWhy) {
  const auto value = parse_json(GetParam().text);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().kind, ErrorKind::invalid);
  EXPECT_THAT(value.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, RefusedJson,
    ::testing::Values(
        Refused{"Empty", "", "syntax error"}, Refused{"Truncated", R"({"a":)", "syntax error at byte 6"},
        Refused{"TrailingText", "{} {}", "syntax error"}, Refused{"Nan", "NaN", "syntax error"},
        Refused{"ByteOrderMark", "\xEF\xBB\xBF{}", "byte order mark"},
        Refused{"TextBehindNul", std::string("{}\0{", 4), "control character at byte 3"},
        Refused{"BrokenUtf8", "\"\xC0\xA0\"", "not valid UTF-8"},
        Refused{"BrokenUtf8InAName", "{\"\xC0\xA0\":1}", "not valid UTF-8"},
        Refused{"FirstHalfOfASurrogate", R"("\ud800")", "syntax error"},
        Refused{"SecondHalfOfASurrogate", R"("\udc00")", "not valid UTF-8"},
        Refused{"LineFeedInAString", "\"a\nb\"", "syntax error"},
        Refused{"ControlCharacterInALongString", "\"a string of more than 16 bytes\x1f\"",
                "control character at byte 32"},
        Refused{"ControlCharacterBetweenMembers", "{\"a\":1,\x1a\"b\":2}", "control character at byte 8"},
        Refused{"LeadingZero", "01", "syntax error"}, Refused{"Comment", "/**/1", "syntax error"},
        Refused{"TrailingComma", "[1,]", "syntax error"}, Refused{"HugeNumber", "1e999", "out of range"},
        Refused{"RepeatedName", R"({"a":1,"a":2})", "the name \"a\" more than once"},
        Refused{"RepeatedNameWithEscapes", R"({"a":1,"\u0061":2})", "\"a\" more than once"},
        Refused{"RepeatedNameDeepInside", R"([{"x":{"b":1,"c":{"b":0},"b":2}}])", "\"b\" more than once"},
        Refused{"OneLevelTooMany", std::string(65, '[') + std::string(65, ']'), "deeper than 64"},
        Refused{"MegabyteOfBrackets", std::string(1 << 20, '['), "nested deeper"},
        Refused{"DeepObjects",
                [] {
                  std::string text;
                  for (int i = 0; i < 100000; ++i) text += "{\"a\":";
                  return text;
                }(),
                "nested deeper"}),
    [](const auto& info) { return info.param.what; });

TEST(ParseJson, AcceptsTheDeepestThatIsAllowed) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')));
  EXPECT_TRUE(parse_json("[[1]]", 2));
  EXPECT_FALSE(parse_json("[[[1]]]", 2));
}

TEST(JsonString, ReadsBackAsTheText) {
  std::string every_byte_of_ascii;
  for (char c = 0; c < 127; ++c) every_byte_of_ascii += c;
  for (const std::string& text :
       {std::string(), std::string("plain"), every_byte_of_ascii, std::string("é€😀\x7F"),
        std::string("\"\\\"\\"), std::string("\xE2\x80\xA8")}) {
    std::string out = "before";
    append_json_string(out, text);
    EXPECT_EQ(nlohmann::json::parse(out.substr(6)), text);
  }
}

TEST(JsonString, ReplacesBrokenCharacters) {
  std::string out;
  append_json_string(out, "a\xFF\"b");
  EXPECT_EQ(nlohmann::json::parse(out), "a\xEF\xBF\xBD\"b");
}

}  // namespace
}  // namespace lambda::base
