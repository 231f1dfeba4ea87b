// manifests/samples and the documents say the same.
#include <fstream>
#include <iterator>
#include <map>
#include <ranges>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include "config/config.h"

namespace lambda::config {
namespace {

using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

// Name, and the Dockerfile of the key "Dockerfile".
std::map<std::string, std::string> sample_config_maps() {
  std::map<std::string, std::string> out;
  for (const YAML::Node& object :
       YAML::LoadAllFromFile(LAMBDA_SOURCE_DIR "/manifests/samples/runtimes.yaml")) {
    EXPECT_EQ(object["apiVersion"].as<std::string>(), "v1");
    EXPECT_EQ(object["kind"].as<std::string>(), "ConfigMap");
    EXPECT_EQ(object["metadata"]["namespace"].as<std::string>(), Build{}.namespace_name);
    EXPECT_EQ(object["data"].size(), 1U);
    out[object["metadata"]["name"].as<std::string>()] = object["data"]["Dockerfile"].as<std::string>();
  }
  return out;
}

// The first YAML block below the heading.
std::string documented_yaml(const std::string& heading) {
  std::ifstream stream(LAMBDA_SOURCE_DIR "/docs/configuration.md");
  const std::string page(std::istreambuf_iterator<char>(stream), {});
  constexpr std::string_view fence = "```yaml\n";
  const std::size_t begin = page.find(fence, page.find("\n## " + heading + "\n")) + fence.size();
  return page.substr(begin, page.find("```", begin) - begin);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (const auto line : std::views::split(text, '\n')) {
    if (std::string text_of_line(line.begin(), line.end()); !text_of_line.empty())
      out.push_back(text_of_line);
  }
  return out;
}

TEST(Samples, AreTheRuntimesThatTheDocumentConfigures) {
  const auto config = parse(documented_yaml("Functions"), "docs");
  ASSERT_TRUE(config) << to_string(config.error().at(0));
  std::set<std::string> configured;
  for (const auto& [name, runtime] : config->build.runtimes) {
    EXPECT_EQ(runtime.key, "Dockerfile");
    configured.insert(runtime.config_map);
  }
  std::set<std::string> sampled;
  for (const auto& [name, dockerfile] : sample_config_maps()) sampled.insert(name);
  EXPECT_EQ(configured, sampled);
  for (const std::string name : {"nodejs18", "nodejs20", "nodejs22", "python3.9", "python3.10", "python3.11",
                                 "python3.12", "python3.13", "go"}) {
    EXPECT_TRUE(config->build.runtimes.contains(name)) << name;
  }
}

TEST(Samples, TheLargerExampleIsAccepted) {
  const auto config = parse(documented_yaml("A larger example"), "docs");
  ASSERT_TRUE(config) << to_string(config.error().at(0));
  EXPECT_EQ(config->build.admission, Admission::by_kueue);
  EXPECT_THAT(config->build.job_patch, HasSubstr("gvisor"));
}

TEST(Samples, AreDockerfilesWithoutShellAndRoot) {
  for (const auto& [name, dockerfile] : sample_config_maps()) {
    SCOPED_TRACE(name);
    std::string user;  // of the last stage
    std::string command;
    for (const std::string& line : lines_of(dockerfile)) {
      EXPECT_THAT(line, AnyOf(StartsWith("#"), MatchesRegex("(FROM|ARG|ENV|WORKDIR|COPY|RUN|USER|CMD) .*")));
      EXPECT_THAT(line, Not(HasSubstr("latest")));
      if (line.starts_with("FROM ")) user.clear();
      if (line.starts_with("FROM "))
        EXPECT_THAT(line, ContainsRegex("^FROM [a-z.]+/[a-z0-9/-]+:[a-z0-9.-]+"));
      if (line.starts_with("USER ")) user = line.substr(5);
      if (line.starts_with("RUN ")) EXPECT_THAT(line, MatchesRegex("RUN \\[\".*\"\\]"));
      if (line.starts_with("CMD ")) command = line;
    }
    EXPECT_THAT(user, MatchesRegex("[1-9][0-9]*:[1-9][0-9]*"));
    EXPECT_THAT(command, MatchesRegex("CMD \\[\".*\"\\]"));
  }
}

}  // namespace
}  // namespace lambda::config
