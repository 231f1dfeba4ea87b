#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commandline/commandline.h"
#include "config/config.h"

namespace lambda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> problems_of(std::string_view yaml) {
  const auto parsed = config::parse(yaml, "o.yaml");
  if (parsed) return {};
  std::vector<std::string> out;
  for (const config::Problem& problem : parsed.error()) out.push_back(to_string(problem));
  return out;
}

TEST(OperatorConfig, EmptyFileMeansTheDefaults) {
  EXPECT_EQ(config::parse("", "o.yaml"), config::Config{});
}

TEST(OperatorConfig, TheDocumentedBlockIsTheDefaultsAndNamesEveryKey) {
  std::ifstream stream(LAMBDA_SOURCE_DIR "/docs/operator.md", std::ios::binary);
  const std::string page{std::istreambuf_iterator<char>(stream), {}};
  constexpr std::string_view fence = "```yaml\n# operator.yaml\n";
  const std::size_t begin = page.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const std::string block = page.substr(begin + fence.size(), page.find("```", begin + fence.size()) - begin);
  const std::string yaml = block.substr(0, block.find("```"));
  EXPECT_THAT(problems_of(yaml), ElementsAre());
  EXPECT_EQ(config::parse(yaml, "docs"), config::Config{});
  for (const std::string_view key : {"address",
                                     "port",
                                     "kubeconfig",
                                     "requestTimeout",
                                     "watchNamespace",
                                     "namespace",
                                     "name",
                                     "leaseDuration",
                                     "renewDeadline",
                                     "retryPeriod",
                                     "workers",
                                     "maxRetryDelay",
                                     "redrives",
                                     "caFile",
                                     "shutdownTimeout",
                                     "level",
                                     "builds",
                                     "enabled",
                                     "watchdog",
                                     "admission",
                                     "maxRunning",
                                     "maxRunningPerTenant",
                                     "priorityStep",
                                     "results",
                                     "sink",
                                     "source",
                                     "timeout",
                                     "giveUpAfter",
                                     "deadLetter",
                                     "uri",
                                     "uriFile",
                                     "exchange",
                                     "routingKey",
                                     "queue",
                                     "classes"}) {
    EXPECT_THAT(yaml, HasSubstr(std::string(key) + ":"));
  }
}

TEST(OperatorConfig, EveryKeyArrivesInItsField) {
  const auto parsed = config::parse(R"(
http: {address: "::1", port: 1}
kubernetes: {kubeconfig: /k, requestTimeout: 2s, watchNamespace: apps}
leaderElection: {namespace: n, name: a.b, leaseDuration: 9s, renewDeadline: 8s, retryPeriod: 7s}
reconcile: {workers: 3, maxRetryDelay: 4s, redrives: 5}
rabbitmq: {caFile: /ca, requestTimeout: 6s}
builds:
  enabled: false
  namespace: b
  workers: 6
  watchdog: 11s
  admission: {maxRunning: 12, maxRunningPerTenant: 13, priorityStep: 14s}
  results: {sink: "http://s/p", source: me, timeout: 15s, giveUpAfter: 16s, maxRetryDelay: 17s}
  deadLetter: {enabled: true, uriFile: /u, exchange: e, routingKey: r, queue: q, classes: [oom, push]}
shutdownTimeout: 10s
log: {level: debug}
)",
                                    "o.yaml");
  ASSERT_TRUE(parsed) << to_string(parsed.error().at(0));
  using base::milliseconds;
  const config::Config expected{
      .http = {.address = "::1", .port = 1},
      .kubernetes = {.kubeconfig = "/k", .request_timeout = milliseconds(2000), .watch_namespace = "apps"},
      .leader_election = {.namespace_name = "n",
                          .name = "a.b",
                          .lease_duration = milliseconds(9000),
                          .renew_deadline = milliseconds(8000),
                          .retry_period = milliseconds(7000)},
      .reconcile = {.workers = 3, .max_retry_delay = milliseconds(4000), .redrives = 5},
      .rabbitmq = {.ca_file = "/ca", .request_timeout = milliseconds(6000)},
      .builds = {.enabled = false,
                 .namespace_name = "b",
                 .workers = 6,
                 .watchdog = milliseconds(11'000),
                 .admission = {.max_running = 12,
                               .max_running_per_tenant = 13,
                               .priority_step = milliseconds(14'000)},
                 .results = {.sink = "http://s/p",
                             .source = "me",
                             .timeout = milliseconds(15'000),
                             .give_up_after = milliseconds(16'000),
                             .max_retry_delay = milliseconds(17'000)},
                 .dead_letter = {.enabled = true,
                                 .uri = "",
                                 .uri_file = "/u",
                                 .exchange = "e",
                                 .routing_key = "r",
                                 .queue = "q",
                                 .classes = {build::FailureClass::oom, build::FailureClass::push}}},
      .shutdown_timeout = milliseconds(10'000),
      .log_level = base::Level::debug};
  EXPECT_EQ(*parsed, expected);
}

TEST(OperatorConfig, TheFilesThatItNamesAreRead) {
  const std::string authorities = testing::TempDir() + "operator_config_test.pem";
  const std::string file = testing::TempDir() + "operator_config_test.yaml";
  std::ofstream(file) << "rabbitmq: {caFile: " << authorities << "}\n";
  const auto missing = config::load(file);
  ASSERT_FALSE(missing);
  EXPECT_EQ(to_string(missing.error().at(0)), authorities + ": can't be read: No such file or directory");
  std::ofstream(authorities) << "a certificate";
  const auto loaded = config::load(file);
  std::remove(authorities.c_str());
  std::remove(file.c_str());
  ASSERT_TRUE(loaded) << to_string(loaded.error().at(0));
  EXPECT_EQ(loaded->rabbitmq.ca_pem, "a certificate");
}

TEST(OperatorConfig, MistakesAreToldWithPlaceAndRemedy) {
  EXPECT_THAT(problems_of("leaderElektion: {}"),
              ElementsAre(HasSubstr("o.yaml:1:1: leaderElektion: unknown key")));
  EXPECT_THAT(problems_of("http: {port: 65536}"), ElementsAre(HasSubstr("http.port")));
  EXPECT_THAT(problems_of("leaderElection: {renewDeadline: 15s}"),
              ElementsAre(HasSubstr("less than leaderElection.leaseDuration")));
  EXPECT_THAT(problems_of("leaderElection: {retryPeriod: 10s}"),
              ElementsAre(HasSubstr("less than leaderElection.renewDeadline")));
  EXPECT_THAT(problems_of("leaderElection: {leaseDuration: 15500ms}"),
              ElementsAre(HasSubstr("whole seconds")));
  for (const char* const sink : {"s", "ftp://s", "http://", "http://u@s", "http://s/?q", "http://s/ p"}) {
    EXPECT_THAT(problems_of("builds:\n  results:\n    sink: " + std::string(sink)),
                ElementsAre(HasSubstr("http://host:port/path")));
  }
  EXPECT_THAT(problems_of("builds: {deadLetter: {enabled: true}}"), ElementsAre(HasSubstr("uriFile")));
  EXPECT_THAT(problems_of("builds: {deadLetter: {uri: 'amqp://h', uriFile: /f}}"),
              ElementsAre(HasSubstr("one of them")));
  EXPECT_THAT(problems_of("builds: {deadLetter: {classes: [oom, boom]}}"),
              ElementsAre(HasSubstr("infrastructure")));
}

base::Result<commandline::Options> parse_words(std::vector<std::string> words) {
  words.insert(words.begin(), "knative-lambda-operator");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return commandline::parse(static_cast<int>(argv.size()), argv.data());
}

TEST(OperatorCommandline, Lints) {
  const auto options = parse_words({"lint", "a.yaml", "-"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->action, commandline::Options::Action::lint);
  EXPECT_THAT(options->files, ElementsAre("a.yaml", "-"));
  EXPECT_FALSE(options->strict);
  EXPECT_TRUE(parse_words({"lint", "--strict", "a.yaml"})->strict);
}

TEST(OperatorCommandline, RunsChecksHelpsAndTellsItsVersion) {
  using Action = commandline::Options::Action;
  EXPECT_EQ(parse_words({"--config", "f"})->action, Action::run);
  EXPECT_EQ(parse_words({"--check-config", "--config=f"})->action, Action::check_config);
  EXPECT_EQ(parse_words({"lint", "--help"})->action, Action::help);
  EXPECT_EQ(parse_words({"--version"})->action, Action::version);
}

TEST(OperatorCommandline, MisuseIsToldWithAWayOut) {
  for (const auto& words : {std::vector<std::string>{}, {"--config"}, {"lint"}, {"lint", "--fix"}, {"f"}}) {
    const auto options = parse_words(words);
    ASSERT_FALSE(options);
    EXPECT_THAT(options.error().message, HasSubstr("--help"));
  }
}

}  // namespace
}  // namespace lambda
