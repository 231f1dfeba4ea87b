#include "job/job.h"

#include <fstream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/identity.h"
#include "cloudevents/json.h"

namespace lambda::job {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::Each;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// As the job start events document has it.
constexpr std::string_view document_example = R"({
  "specversion": "1.0",
  "id": "uuid",
  "source": "network.notifi.kaniko-jobs",
  "subject": "parser-id",
  "type": "network.notifi.lambda.job.start",
  "time": "2024-01-01T00:00:00Z",
  "data": {
    "third_party_id": "0307ea43639b4616b044d190310a26bd",
    "parser_id": "0197ad6c10b973b2b854a0e652155b7e",
    "correlation_id": "uuid",
    "job_name": "kaniko-job-0307ea43639b4616b044d190310a26bd-0197ad6c10b973b2b854a0e652155b7e",
    "parameters": {
      "priority": 1,
      "build_type": "container",
      "runtime": "nodejs18",
      "source_url": "https://github.com/notifi/parsers/0197ad6c10b973b2b854a0e652155b7e",
      "build_timeout": 1800,
      "environment": {
        "NODE_ENV": "production",
        "BUILD_MODE": "optimized"
      }
    },
    "priority": 1
  },
  "datacontenttype": "application/json"
})";

cloudevents::Event example_event() {
  return cloudevents::decode_json(document_example).value();
}

Job make(const config::Build& settings, const cloudevents::Event& event, unsigned attempt = 0) {
  return JobMaker(settings).make(event, event::parse_job_start(event, settings).value(), attempt);
}

json make_json(const config::Build& settings, const cloudevents::Event& event) {
  return json::parse(make(settings, event).body);
}

json container_of(const json& job) {
  return job.at("/spec/template/spec/containers/0"_json_pointer);
}

// The example with other data; `pointer` as in "/parameters/source_url".
cloudevents::Event event_with(const std::string& pointer, const json& value) {
  cloudevents::Event event = example_event();
  json data = json::parse(event.data);
  data[json::json_pointer(pointer)] = value;
  event.data = data.dump();
  return event;
}

TEST(Job, OfTheDocumentsExampleIsTheGoldenOne) {
  std::ifstream file(LAMBDA_GOLDEN_DIR "/job_start_example.json");
  ASSERT_TRUE(file);
  EXPECT_EQ(make_json({}, example_event()), json::parse(file)) << make_json({}, example_event()).dump(2);
}

TEST(Job, IsTheSameTextEachTime) {
  EXPECT_EQ(make({}, example_event()).body, make({}, example_event()).body);
}

TEST(Job, HasItsNameByIdentityAlone) {
  const Job job = make({}, example_event());
  EXPECT_EQ(job.name, build::job_name({"network.notifi.kaniko-jobs", "uuid"}));
  EXPECT_EQ(job.namespace_name, "knative-lambda-builds");
  EXPECT_EQ(json::parse(job.body).at("/metadata/name"_json_pointer), job.name);
  EXPECT_EQ(make({}, event_with("/third_party_id", "other")).name, job.name);
  EXPECT_NE(make({}, example_event(), 1).name, job.name);
}

TEST(Job, UsesWhatTheInstallationConfigures) {
  config::Build settings;
  settings.namespace_name = "builds";
  settings.image = "registry.local/kaniko@sha256:0";
  settings.registry_secret = "push-{third_party_id}";
  settings.git_secret = "git";
  settings.service_account_name = "builder";
  settings.ttl_after_finished = base::milliseconds(60'500);
  settings.resources = {{{"cpu", "500m"}}, {{"memory", "4Gi"}}};
  const json job = make_json(settings, event_with("/third_party_id", "acme"));
  const json pod = job.at("/spec/template/spec"_json_pointer);
  const json container = container_of(job);
  EXPECT_EQ(job.at("/metadata/namespace"_json_pointer), "builds");
  EXPECT_EQ(job.at("/spec/ttlSecondsAfterFinished"_json_pointer), 61);
  EXPECT_EQ(pod.at("serviceAccountName"), "builder");
  EXPECT_EQ(pod.at("volumes"), json::parse(R"([{"name": "registry-credentials", "secret": {
      "secretName": "push-acme", "items": [{"key": ".dockerconfigjson", "path": "config.json"}]}}])"));
  EXPECT_EQ(container.at("image"), settings.image);
  EXPECT_EQ(
      container.at("volumeMounts"),
      json::parse(R"([{"name": "registry-credentials", "mountPath": "/kaniko/.docker", "readOnly": true}])"));
  EXPECT_EQ(container.at("resources"),
            json::parse(R"({"requests": {"cpu": "500m"}, "limits": {"memory": "4Gi"}})"));
  EXPECT_EQ(container.at("env").size(), 3U);
  EXPECT_EQ(container.at("env").at(2), json::parse(R"({"name": "GIT_TOKEN", "valueFrom": {"secretKeyRef":
                {"name": "git", "key": "token", "optional": true}}})"));
}

TEST(Job, ClonesByPlainHttpOnlyWhatIsNamedSo) {
  config::Build settings;
  settings.plain_http = true;
  const json plain =
      container_of(make_json(settings, event_with("/parameters/source_url", "http://github.com/a/b")));
  EXPECT_EQ(plain.at("env"), json::parse(R"([{"name": "GIT_PULL_METHOD", "value": "http"}])"));
  EXPECT_THAT(plain.at("args"), Contains("--insecure"));
  EXPECT_THAT(plain.at("args"), Contains("--insecure-pull"));
  const json safe = container_of(make_json(settings, example_event()));
  EXPECT_FALSE(safe.contains("env"));
}

TEST(Job, CarriesTheSourcesRefAndLeavesOutAnEmptySubPath) {
  const json job = make_json({}, event_with("/parameters/source_url", "https://github.com/a/b#main"));
  EXPECT_THAT(container_of(job).at("args"), Contains("--context=git://github.com/a/b#refs/heads/main"));
  EXPECT_THAT(container_of(job).at("args"), Each(Not(StartsWith("--context-sub-path"))));
}

TEST(Job, KeepsEachBuildArgumentInOneWord) {
  const json job = make_json({}, event_with("/parameters/environment", {{"A", "1 --insecure '`id`' \"=\t"}}));
  EXPECT_THAT(container_of(job).at("args"), Contains("--build-arg=A=1 --insecure '`id`' \"=\t"));
}

// Kubernetes would fill in the value of GIT_TOKEN.
TEST(Job, EscapesReferencesToVariables) {
  const json job = make_json({}, event_with("/parameters/environment", {{"A", "$(GIT_TOKEN) $$(x) $"}}));
  EXPECT_THAT(container_of(job).at("args"), Contains("--build-arg=A=$$(GIT_TOKEN) $$$$(x) $$"));
}

TEST(Job, ReplacesIdsThatFitNowhereAndKeepsThemAsAnnotations) {
  const json job = make_json({}, event_with("/third_party_id", "Acme / Łódź"));
  const json& metadata = job.at("metadata");
  EXPECT_THAT(metadata.at("labels").at("lambda.notifi.network/third-party-id").get<std::string>(),
              MatchesRegex("h-[0-9a-f]{32}"));
  EXPECT_EQ(metadata.at("annotations").at("lambda.notifi.network/third-party-id"), "Acme / Łódź");
  EXPECT_FALSE(metadata.at("annotations").contains("lambda.notifi.network/parser-id"));
  for (const json& label : metadata.at("labels")) EXPECT_TRUE(base::is_label_value(label.get<std::string>()));
}

TEST(Job, AnnotatesTheTraceparentIfItIsOne) {
  cloudevents::Event event = example_event();
  event.extensions["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(make_json({}, event).at("metadata").at("annotations").at("lambda.notifi.network/traceparent"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  event.extensions["traceparent"] = std::string(100'000, 'a');
  EXPECT_FALSE(
      make_json({}, event).at("metadata").at("annotations").contains("lambda.notifi.network/traceparent"));
}

TEST(Job, AnnotatesTheEventOnlyWhileItIsSmall) {
  cloudevents::Event event = example_event();
  const json annotations = make_json({}, event).at("metadata").at("annotations");
  const auto kept =
      cloudevents::decode_json(annotations.at("lambda.notifi.network/event").get<std::string>());
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, event);
  event.extensions["padding"] = std::string(event_annotation_max_bytes, 'x');
  EXPECT_FALSE(make_json({}, event).at("metadata").at("annotations").contains("lambda.notifi.network/event"));
}

}  // namespace
}  // namespace lambda::job
