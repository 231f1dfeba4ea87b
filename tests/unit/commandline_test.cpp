#include "commandline/commandline.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lambda::commandline {
namespace {

using testing::HasSubstr;

base::Result<Options> parse_words(std::vector<std::string> words) {
  words.insert(words.begin(), "knative-lambda-builder");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return parse(static_cast<int>(argv.size()), argv.data());
}

TEST(Commandline, RunsWithAConfiguration) {
  for (const auto& words : {std::vector<std::string>{"--config", "f"}, {"--config=f"}}) {
    const auto options = parse_words(words);
    ASSERT_TRUE(options);
    EXPECT_EQ(options->action, Options::Action::run);
    EXPECT_EQ(options->config_file, "f");
  }
}

TEST(Commandline, ChecksHelpsAndTellsItsVersion) {
  EXPECT_EQ(parse_words({"--check-config", "--config", "f"})->action, Options::Action::check_config);
  EXPECT_EQ(parse_words({"--help"})->action, Options::Action::help);
  EXPECT_EQ(parse_words({"--version"})->action, Options::Action::version);
}

TEST(Commandline, MisuseIsToldWithAWayOut) {
  for (const auto& words :
       {std::vector<std::string>{}, {"--config"}, {"--port", "1"}, {"--check-config"}, {"f"}}) {
    const auto options = parse_words(words);
    ASSERT_FALSE(options);
    EXPECT_THAT(options.error().message, HasSubstr("--help"));
  }
}

}  // namespace
}  // namespace lambda::commandline
