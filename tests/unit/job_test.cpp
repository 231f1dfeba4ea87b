#include "job/job.h"

#include <fstream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/identity.h"
#include "cloudevents/json.h"
#include "support/job_patch.h"
#include "support/protobuf_job.h"

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

Job make(const config::Build& settings, const cloudevents::Event& event, unsigned attempt = 0,
         Format format = Format::json) {
  event::JobStart start = event::parse_job_start(event, settings).value();
  start.redrive_attempt = attempt;
  return JobMaker(settings, format).make(event, start);
}

json make_json(const config::Build& settings, const cloudevents::Event& event) {
  json out = json::parse(make(settings, event).body);
  const Job protobuf = make(settings, event, 0, Format::protobuf);
  EXPECT_EQ(protobuf.content_type, kube::protobuf_type);
  EXPECT_EQ(support::ProtobufJob::read(protobuf.body), out) << "in both formats it is the same";
  return out;
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
  event.read_data = {};
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

TEST(Job, BuildsAFunctionByTheDockerfileOfItsRuntime) {
  config::Build settings;
  settings.runtimes = {{"nodejs18", {.config_map = "runtime-of-node", .key = "Dockerfile.18"}}};
  const json job = make_json(settings, event_with("/parameters/build_type", "function"));
  EXPECT_THAT(container_of(job).at("args"), Contains("--dockerfile=/kaniko/runtime/Dockerfile"));
  EXPECT_THAT(container_of(job).at("args"), Not(Contains("--dockerfile=Dockerfile")));
  EXPECT_EQ(container_of(job).at("volumeMounts"),
            json::parse(R"([{"name": "runtime", "mountPath": "/kaniko/runtime", "readOnly": true}])"));
  EXPECT_EQ(job.at("/spec/template/spec/volumes"_json_pointer), json::parse(R"([{"name": "runtime",
      "configMap": {"name": "runtime-of-node", "items": [{"key": "Dockerfile.18", "path": "Dockerfile"}]}}])"));
}

// Settings with every Secret, by which an archive of each kind may be built.
config::Build settings_of_archives() {
  config::Build settings;
  settings.allowed_sources = {"s3://bucket", "gs://bucket", "acme.blob.core.windows.net", "github.com"};
  settings.source_secret = "source-{third_party_id}";
  settings.git_secret = "git";
  return settings;
}

json container_from(const std::string& source_url) {
  return container_of(make_json(settings_of_archives(), event_with("/parameters/source_url", source_url)));
}

TEST(Job, GivesASourceTheCredentialsOfItsKindOnly) {
  const std::string secret = "source-0307ea43639b4616b044d190310a26bd";
  const json s3 = container_from("s3://bucket/x.tar.gz");
  EXPECT_THAT(s3.at("args"), Contains("--context=s3://bucket/x.tar.gz"));
  EXPECT_EQ(s3.at("env").size(), 6U);
  EXPECT_EQ(s3.at("env").at(0), json::parse(R"({"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef":
      {"name": ")" + secret + R"(", "key": "AWS_ACCESS_KEY_ID", "optional": true}}})"));
  const json azure = container_from("https://acme.blob.core.windows.net/c/x");
  EXPECT_THAT(azure.at("args"), Contains("--context=https://acme.blob.core.windows.net/c/x"));
  EXPECT_EQ(azure.at("env").size(), 1U);
  EXPECT_EQ(azure.at("env").at(0).at("name"), "AZURE_STORAGE_ACCESS_KEY");
  const json gs = container_from("gs://bucket/x.tar.gz");
  EXPECT_EQ(gs.at("env"), json::parse(R"([{"name": "GOOGLE_APPLICATION_CREDENTIALS",
                                           "value": "/kaniko/source/gcs.json"}])"));
  EXPECT_EQ(gs.at("volumeMounts").at(0).at("mountPath"), "/kaniko/source");
  const json archive = container_from("https://github.com/a/x.tar.gz");
  EXPECT_THAT(archive.at("args"), Contains("--context=https://github.com/a/x.tar.gz"));
  EXPECT_FALSE(archive.contains("env"));
  EXPECT_EQ(container_from("https://github.com/a/b").at("env").size(), 3U);
}

TEST(Job, WaitsForWhoAdmitsIt) {
  config::Build settings;
  const json at_once = make_json(settings, example_event());
  EXPECT_FALSE(at_once.at("spec").contains("suspend"));
  settings.admission = config::Admission::by_operator;
  const json by_operator = make_json(settings, event_with("/priority", 7));
  EXPECT_EQ(by_operator.at("spec").at("suspend"), true);
  EXPECT_EQ(by_operator.at("metadata").at("labels").at("lambda.notifi.network/admission"), "operator");
  EXPECT_EQ(by_operator.at("metadata").at("annotations").at("lambda.notifi.network/priority"), "7");
  settings.admission = config::Admission::by_kueue;
  settings.kueue = {.queue_name = "q-{third_party_id}", .priority_class = "high"};
  const json by_kueue = make_json(settings, event_with("/third_party_id", "acme"));
  EXPECT_EQ(by_kueue.at("spec").at("suspend"), true);
  EXPECT_EQ(by_kueue.at("metadata").at("labels").at("kueue.x-k8s.io/queue-name"), "q-acme");
  EXPECT_EQ(by_kueue.at("metadata").at("labels").at("kueue.x-k8s.io/priority-class"), "high");
  EXPECT_FALSE(
      by_kueue.at("/spec/template/metadata/labels"_json_pointer).contains("kueue.x-k8s.io/queue-name"));
}

TEST(Job, LeavesToTheOperatorWhatIsAsked) {
  config::Build settings;
  settings.ttl_after_finished = base::milliseconds(60'500);
  json expected = make_json(settings, example_event());
  settings.followed_by_operator = true;
  const json followed = make_json(settings, example_event());
  expected["spec"].erase("ttlSecondsAfterFinished");
  json& annotations = expected["metadata"]["annotations"];
  annotations["lambda.notifi.network/ttl-after-finished"] = "61";
  EXPECT_EQ(followed, expected);
  settings.on_newer = config::OnNewer::cancel;
  settings.oom_retry.memory = "8Gi";
  annotations["lambda.notifi.network/on-newer"] = "cancel";
  annotations["lambda.notifi.network/oom-retry-memory"] = "8Gi";
  EXPECT_EQ(make_json(settings, example_event()), expected);
}

TEST(Job, AnnotatesAFurtherAttempt) {
  const auto annotations_of = [](unsigned attempt) {
    return json::parse(make({}, example_event(), attempt).body).at("metadata").at("annotations");
  };
  EXPECT_FALSE(annotations_of(0).contains("lambda.notifi.network/attempt"));
  EXPECT_EQ(annotations_of(12).at("lambda.notifi.network/attempt"), "12");
}

TEST(Job, KeepsLayersInTheTenantsOwnCache) {
  config::Build settings;
  settings.cache = {.enabled = true, .repo = "r.local/{third_party_id}/layers", .ttl = std::chrono::hours(3)};
  const json args = container_of(make_json(settings, event_with("/third_party_id", "acme"))).at("args");
  EXPECT_THAT(args, Contains("--cache=true"));
  EXPECT_THAT(args, Contains("--cache-repo=r.local/acme/layers"));
  EXPECT_THAT(args, Contains("--cache-ttl=3h"));
  EXPECT_THAT(args, Not(Contains("--compressed-caching=false")));
  settings.cache.compressed = false;
  EXPECT_THAT(container_of(make_json(settings, example_event())).at("args"),
              Contains("--compressed-caching=false"));
}

TEST(Job, IsPatchedAndKeepsWhatTheEventSays) {
  config::Build settings;
  settings.job_patch = R"({"metadata":{"labels":{"team":"builds"}},"spec":{"template":{
      "metadata":{"annotations":{"a":"b"}},
      "spec":{"nodeSelector":{"pool":"builds"},"enableServiceLinks":null,"securityContext":{"fsGroup":1}}}}})";
  json expected = make_json({}, example_event());
  expected["metadata"]["labels"]["team"] = "builds";
  expected["spec"]["template"]["metadata"]["annotations"]["a"] = "b";
  json& pod = expected["spec"]["template"]["spec"];
  pod["nodeSelector"]["pool"] = "builds";
  pod["securityContext"]["fsGroup"] = 1;
  pod.erase("enableServiceLinks");
  EXPECT_EQ(make_json(settings, example_event()), expected);
}

// The real API server reads the like in tests/component/job_test.cpp.
TEST(Job, SaysTheSameAsProtobufWhateverThePatch) {
  config::Build settings;
  settings.job_patch = support::patch_of_all_types;
  const json job = make_json(settings, example_event());
  EXPECT_EQ(job.at("/spec/template/spec/initContainers/0/startupProbe/tcpSocket/port"_json_pointer), "probe");
  settings.job_patch = R"({"spec": {"parallelism": -1, "suspend": false, "template": {"spec": {
      "nodeSelector": {"pool": "builds", "disk": "fast"}, "tolerations": [{"key": "builds"}, {}]}}}})";
  EXPECT_EQ(make_json(settings, example_event()).at("/spec/parallelism"_json_pointer), -1);
}

TEST(Job, IsJsonWhereAPatchSaysWhatTheSchemaDoesNotKnow) {
  for (const auto& [patch, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"spec":{"ofTomorrow":1}})", "spec.ofTomorrow"},
           {R"({"spec":{"template":{"spec":{"tolerations":[{"since":"x"}]}}}})",
            "spec.template.spec.tolerations.since"},
           {R"({"spec":{"backoffLimit":5000000000}})", "spec.backoffLimit"},
           {R"({"spec":{"backoffLimit":1.5}})", "spec.backoffLimit"},
           {R"({"spec":{"suspend":"yes"}})", "spec.suspend"},
           {R"({"spec":{"template":[]}})", "spec.template"},
           {R"({"spec":{"template":{"spec":{"containers":{}}}}})", "spec.template.spec.containers"},
           {R"({"metadata":{"annotations":{"a":1}}})", "metadata.annotations.a"},
           {R"({"status":{"active":1}})", "status"}}) {
    config::Build settings;
    settings.job_patch = patch;
    const JobMaker maker(settings, Format::protobuf);
    ASSERT_TRUE(maker.why_json()) << patch;
    EXPECT_EQ(maker.why_json()->field, field);
    const Job job = maker.make_reference();
    EXPECT_EQ(job.content_type, kube::json_type);
    EXPECT_EQ(job.body, JobMaker(settings).make_reference().body);
  }
  EXPECT_FALSE(JobMaker({}, Format::protobuf).why_json());
  EXPECT_FALSE(JobMaker({}).why_json());
}

TEST(Job, OfReferenceHasTheShapeOfAnEvents) {
  config::Build settings;
  settings.registry_secret = "push-{third_party_id}";
  const JobMaker maker(settings);
  const Job reference = maker.make_reference();
  const json object = json::parse(reference.body);
  EXPECT_EQ(object.at("metadata").at("name"), reference.name);
  EXPECT_EQ(reference.namespace_name, settings.namespace_name);
  json events = json::parse(
      maker.make(example_event(), event::parse_job_start(example_event(), settings).value()).body);
  EXPECT_EQ(object.at("/spec/template/spec/volumes/0/secret/secretName"_json_pointer), "push-preflight");
  EXPECT_EQ(object.at("/spec/template/spec/securityContext"_json_pointer),
            events.at("/spec/template/spec/securityContext"_json_pointer));
  EXPECT_EQ(reference.body, maker.make_reference().body);
}

TEST(Job, TellsWhichFieldsAnEventSets) {
  for (const std::string_view path :
       {"metadata.name", "metadata.labels", "metadata.annotations",
        "metadata.annotations[lambda.notifi.network/event]",
        "metadata.annotations.lambda.notifi.network/event",
        "metadata.labels[lambda.notifi.network/third-party-id]",
        "metadata.labels[lambda.notifi.network/runtime]", "metadata.labels[kueue.x-k8s.io/queue-name]",
        "spec.activeDeadlineSeconds", "spec.template.labels", "spec.template.metadata.labels",
        "spec.template.metadata.labels[lambda.notifi.network/parser-id]",
        "spec.template.spec.containers[0].args", "spec.template.spec.containers[0].args[3]",
        "spec.template.spec.containers[0].env",
        "spec.template.spec.containers[0].env[2].valueFrom.secretKeyRef.name",
        "spec.template.spec.volumes[0].secret.secretName"}) {
    EXPECT_TRUE(is_set_by_event(path)) << path;
  }
  for (const std::string_view path : {"",
                                      "metadata",
                                      "metadata.namespace",
                                      "metadata.names",
                                      "metadata.labelsX",
                                      "metadata.labels[app.kubernetes.io/name]",
                                      "metadata.labels[team]",
                                      "metadata.annotations[team]",
                                      "metadata.labels[lambda.notifi.network/admission]",
                                      "metadata.finalizers",
                                      "spec",
                                      "spec.backoffLimit",
                                      "spec.activeDeadlineSecondsX",
                                      "spec.ttlSecondsAfterFinished",
                                      "spec.suspend",
                                      "spec.selector",
                                      "spec.template",
                                      "spec.template.metadata.annotations[a]",
                                      "spec.template.spec",
                                      "spec.template.spec.containers",
                                      "spec.template.spec.containers[0]",
                                      "spec.template.spec.containers[0].image",
                                      "spec.template.spec.containers[0].argsX",
                                      "spec.template.spec.containers[0].resources.limits[cpu]",
                                      "spec.template.spec.containers[0].volumeMounts[0].mountPath",
                                      "spec.template.spec.nodeSelector",
                                      "spec.template.spec.volumes[1].configMap.name",
                                      "spec.template.spec.volumes[0].name",
                                      "spec.template.spec.serviceAccountName",
                                      "spec.template.spec.tolerations[0].key",
                                      "[",
                                      "a[b",
                                      "args"}) {
    EXPECT_FALSE(is_set_by_event(path)) << path;
  }
}

}  // namespace
}  // namespace lambda::job
