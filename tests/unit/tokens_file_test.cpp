#include "config/tokens_file.h"

#include <cstdio>
#include <fstream>
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lambda::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

const std::string token_a = "0123456789abcdef";
const std::string token_b = "fedcba9876543210";

auto entry(const std::string& principal, const std::string& token) {
  return AllOf(Field(&PrincipalToken::principal, principal), Field(&PrincipalToken::token, token));
}

std::string first_problem(const std::string& yaml) {
  const auto tokens = parse_tokens(yaml, "t.yaml");
  return tokens ? "none" : to_string(tokens.error().at(0));
}

TEST(TokensFile, APrincipalHasOneTokenOrSeveral) {
  for (const std::string& yaml : {"a: " + token_a + "\nb:\n- " + token_b + "\n",
                                  R"({"a": ")" + token_a + R"(", "b": [")" + token_b + R"("]})"}) {
    const auto tokens = parse_tokens(yaml, "t.yaml");
    ASSERT_TRUE(tokens) << to_string(tokens.error().at(0));
    EXPECT_THAT(*tokens, ElementsAre(entry("a", token_a), entry("b", token_b))) << yaml;
  }
}

TEST(TokensFile, ATokenThatLooksLikeANumberIsAText) {
  EXPECT_THAT(parse_tokens("a: 1234567890123456", "t.yaml").value(),
              ElementsAre(entry("a", "1234567890123456")));
}

struct Hostile {
  std::string yaml;
  std::string place;
  std::string message;
};

void PrintTo(const Hostile& hostile, std::ostream* out) {
  *out << hostile.yaml.substr(0, 60);
}

class TokensFileRefuses : public testing::TestWithParam<Hostile> {};

TEST_P(TokensFileRefuses, AndSaysWhereButNeverTheToken) {
  const std::string problem = first_problem(GetParam().yaml);
  EXPECT_THAT(problem, AllOf(HasSubstr("t.yaml" + GetParam().place), HasSubstr(GetParam().message)));
  for (const std::string& secret : {token_a, token_b, std::string("secret")}) {
    EXPECT_THAT(problem, Not(HasSubstr(secret)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    , TokensFileRefuses,
    testing::Values(Hostile{"", "", "holds no principals"},  // half written
                    Hostile{"{}", ":1:1: ", "holds no principals"},
                    Hostile{token_a, ":1:1: ", "holds no principals"},
                    Hostile{"[" + token_a + "]", ":1:1: ", "holds no principals"},
                    Hostile{"a: " + token_a + "\na: " + token_b, ":2:1: ", "the principal is repeated"},
                    Hostile{"a: " + token_a + "\nb: " + token_a, ":2:4: ", "the token is repeated"},
                    Hostile{"a: [" + token_a + ", " + token_a + "]", ":1:23: ", "the token is repeated"},
                    Hostile{"a: secret", ":1:4: ", "shorter than 16 bytes"},
                    Hostile{"a: ~", ":1:1: ", "has to be a text"},
                    Hostile{"a: []", ":1:1: ", "an empty list"},
                    Hostile{"a: {b: " + token_a + "}", ":1:1: ", "has to be a text"},
                    Hostile{"a: [[" + token_a + "]]", ":1:1: ", "has to be a text"},
                    Hostile{"? [a]\n: " + token_a, ":1:3: ", "a principal's name"},
                    Hostile{"\"\": " + token_a, ":1:1: ", "a principal's name"},
                    Hostile{"\"a\\nb\": " + token_a, ":1:1: ", "a principal's name"},
                    Hostile{std::string(257, 'a') + ": " + token_a, ":1:1: ", "a principal's name"},
                    Hostile{"a: \"" + token_a + " b\"", ":1:4: ", "without spaces"},
                    Hostile{"a: \"" + token_a + "\\n\"", ":1:4: ", "without spaces"},
                    Hostile{"a: \"" + token_a + "\xC3\xA4\"", ":1:4: ", "ASCII"},
                    Hostile{"a: " + std::string(8193, 'x'), ":1:4: ", "longer than 8192 bytes"},
                    Hostile{"a: *secret", ":1:4", "not plain YAML"},
                    Hostile{"a: &secret " + token_a, ":1:", "not plain YAML"},
                    Hostile{"a: \"\\secret", ":1:", "not plain YAML"},
                    Hostile{"a: " + token_a + "\n---\nb: " + token_b, "", "not plain YAML"},
                    Hostile{std::string(20'000, '['), ":1:", "not plain YAML"},
                    Hostile{std::string((1U << 20U) + 1, ' '), "", "larger than 1 MiB"}));

TEST(TokensFile, TooManyTokensAreRefused) {
  std::string yaml = "a:\n";
  for (int i = 0; i <= 4096; ++i) yaml += "- token-number-" + std::to_string(100'000 + i) + "\n";
  EXPECT_THAT(first_problem(yaml), HasSubstr("more than 4096 tokens"));
}

TEST(TokensFile, OnlyARegularFileIsRead) {
  const std::string pipe = testing::TempDir() + "/tokens_file_test_pipe";
  ::unlink(pipe.c_str());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& file : {pipe, std::string("/dev/zero"), testing::TempDir()}) {
    const auto tokens = load_tokens(file);  // would wait for ever, or fill the memory
    ASSERT_FALSE(tokens);
    EXPECT_THAT(to_string(tokens.error().at(0)), HasSubstr("no regular file"));
  }
  ::unlink(pipe.c_str());
}

TEST(TokensFile, AStampTellsThatAFileWasReplaced) {
  const std::string file = testing::TempDir() + "/tokens_file_test_stamp";
  std::ofstream(file) << "one";
  const FileStamp one = stamp_of(file);
  EXPECT_EQ(stamp_of(file), one);
  std::ofstream(file + ".new") << "two";
  ASSERT_EQ(std::rename((file + ".new").c_str(), file.c_str()), 0);
  EXPECT_NE(stamp_of(file), one);
  ::unlink(file.c_str());
  EXPECT_EQ(stamp_of(file), FileStamp{});
}

}  // namespace
}  // namespace lambda::config
