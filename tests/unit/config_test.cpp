#include "config/config.h"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lambda::config {
namespace {

using std::chrono::minutes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> problems_of(std::string_view yaml) {
  const auto parsed = parse(yaml, "b.yaml");
  if (parsed) return {};
  std::vector<std::string> out;
  for (const Problem& problem : parsed.error()) out.push_back(to_string(problem));
  return out;
}

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The text between "```yaml" and "```", block number `index`.
std::string yaml_block(const std::string& markdown, int index) {
  constexpr std::string_view fence = "```yaml\n";
  std::size_t begin = 0;
  for (int i = 0; i <= index; ++i) begin = markdown.find(fence, begin) + fence.size();
  return markdown.substr(begin, markdown.find("```", begin) - begin);
}

TEST(Config, EmptyFileMeansTheDefaults) {
  for (const std::string_view yaml : {"", "\n", "# only a comment\n", "---\n", "{}", "http:\nbuild: ~\n"}) {
    const auto parsed = parse(yaml, "b.yaml");
    ASSERT_TRUE(parsed) << yaml;
    EXPECT_EQ(*parsed, Config{}) << yaml;
  }
}

TEST(Config, TheDocumentedBlockIsTheDefaults) {
  const std::string page = read_file(LAMBDA_SOURCE_DIR "/docs/configuration.md");
  EXPECT_THAT(problems_of(yaml_block(page, 0)), ElementsAre());
  EXPECT_EQ(parse(yaml_block(page, 0), "docs"), Config{});
  EXPECT_THAT(problems_of(yaml_block(page, 1)), ElementsAre());
  EXPECT_THAT(problems_of(yaml_block(page, 2)), ElementsAre());
}

TEST(Config, EveryKeyIsDocumented) {
  const std::string page = read_file(LAMBDA_SOURCE_DIR "/docs/configuration.md");
  // An unknown key that resembles none makes the message list those that are accepted.
  for (const std::string_view section : {"", "http", "kubernetes", "asyncJobCreator", "intake", "rabbitmq",
                                         "build", "build: {kueue", "build: {cache", "build: {oomRetry"}) {
    const bool nested = section.find('{') != std::string_view::npos;
    const std::string yaml = section.empty()
                                 ? "qqqqqqqqqqqq: 1"
                                 : std::string(section) + ": {qqqqqqqqqqqq: 1}" + (nested ? "}" : "");
    const auto problems = problems_of(yaml);
    ASSERT_EQ(problems.size(), 1U);
    constexpr std::string_view introduction = "accepted: ";
    std::string keys = problems[0].substr(problems[0].find(introduction) + introduction.size());
    for (std::size_t end = 0; end != std::string::npos; keys.erase(0, end + 2)) {
      end = keys.find(", ");
      const std::string key = keys.substr(0, end);
      EXPECT_THAT(page, testing::ContainsRegex("\n *" + key + ":")) << section;
      if (end == std::string::npos) break;
    }
  }
}

TEST(Config, EveryKeyArrivesInItsField) {
  const auto parsed = parse(R"(
http: {address: "::1", port: 1, adminPort: 2, maxBodyBytes: 2048, maxTotalBodyBytes: 16384,
       maxHeaderBytes: 4096, maxConnections: 3, headerTimeout: 1s, bodyTimeout: 2s, idleTimeout: 3s, requestTimeout: 4s}
kubernetes: {kubeconfig: /etc/kubeconfig, requestTimeout: 5s}
asyncJobCreator: {workerCount: 6, maxRetries: 0, retryDelay: 7ms, maxQueueSize: 8, maxQueuePerTenant: 9,
                  priorityStep: 3s, tenantWeights: {acme: 4, "7": 2}, acknowledge: immediate, shutdownTimeout: 10s}
intake: {accept: [queue], queueSources: [a, /b], respondAsync: true, amqp: {enabled: true, prefetch: 1, maxHeld: 0}, auth: {mode: oidc, audience: builder, principals: [{name: "system:serviceaccount:a:b", tenants: [acme, "*"]}]}}
build:
  namespace: builds
  image: r.example:5000/kaniko@sha256:00
  destination: "r.example/{third_party_id}/{parser_id}:{event_hash}"
  timeout: 1m
  maxTimeout: 2m
  ttlAfterFinished: 3m
  admission: operator
  kueue: {queueName: "q-{third_party_id}", priorityClass: high}
  followedByOperator: true
  onNewer: cancel
  oomRetry: {memory: 8Gi}
  allowedSources: [GitHub.com/Notifi/, "git.example:8443", "s3://bucket/Prefix/", "gs://a_b.c"]
  plainHttp: true
  registrySecret: "push-{third_party_id}"
  gitSecret: git
  sourceSecret: source
  serviceAccountName: kaniko
  resources: {requests: {cpu: 0.5, memory: 512Mi}, limits: {ephemeral-storage: 1e9}}
  cache: {enabled: true, repo: "r.example/{third_party_id}/layers", ttl: 1h, compressed: false}
  runtimes: {go: {}, python3.13: {configMap: py, key: Dockerfile.py}}
  jobPatch: {spec: {template: {spec: {nodeSelector: {pool: "1"}}}}}
rabbitmq:
  uri: "amqp://u:p@rabbit/%2F"
  queues: {kanikoJobs: {name: jobs, durable: true}}
  deadLetter: {exchange: x, routingKey: k, queue: q}
log: {level: warning}
)",
                            "b.yaml");
  ASSERT_TRUE(parsed) << to_string(parsed.error().at(0));
  Config expected;
  expected.http = {.address = "::1",
                   .port = 1,
                   .admin_port = 2,
                   .max_body_bytes = 2048,
                   .max_total_body_bytes = 16384,
                   .max_header_bytes = 4096,
                   .max_connections = 3,
                   .header_timeout = milliseconds(1000),
                   .body_timeout = milliseconds(2000),
                   .idle_timeout = milliseconds(3000),
                   .request_timeout = milliseconds(4000)};
  expected.kubernetes = {.kubeconfig = "/etc/kubeconfig", .request_timeout = milliseconds(5000)};
  expected.async_job_creator = {.worker_count = 6,
                                .max_retries = 0,
                                .retry_delay = milliseconds(7),
                                .max_queue_size = 8,
                                .max_queue_per_tenant = 9,
                                .priority_step = milliseconds(3000),
                                .tenant_weights = {{"acme", 4}, {"7", 2}},
                                .acknowledge = Acknowledge::immediate,
                                .shutdown_timeout = milliseconds(10000)};
  expected.intake = {.accept_direct = false,
                     .accept_queue = true,
                     .queue_sources = {"a", "/b"},
                     .respond_async = true,
                     .amqp = {.enabled = true, .prefetch = 1, .max_held = 0},
                     .auth = {.mode = Auth::Mode::oidc,
                              .tokens_file = "",
                              .audience = "builder",
                              .principals = {{"system:serviceaccount:a:b", {"acme", "*"}}}}};
  expected.rabbitmq = {.uri = "amqp://u:p@rabbit/%2F",
                       .uri_file = "",
                       .queue = "jobs",
                       .dead_letter_exchange = "x",
                       .dead_letter_routing_key = "k",
                       .dead_letter_queue = "q"};
  expected.build = {
      .namespace_name = "builds",
      .image = "r.example:5000/kaniko@sha256:00",
      .destination = "r.example/{third_party_id}/{parser_id}:{event_hash}",
      .timeout = minutes(1),
      .max_timeout = minutes(2),
      .ttl_after_finished = minutes(3),
      .allowed_sources = {"github.com/Notifi", "git.example:8443", "s3://bucket/Prefix", "gs://a_b.c"},
      .plain_http = true,
      .registry_secret = "push-{third_party_id}",
      .git_secret = "git",
      .source_secret = "source",
      .service_account_name = "kaniko",
      .resources = {.requests = {{"cpu", "0.5"}, {"memory", "512Mi"}},
                    .limits = {{"ephemeral-storage", "1e9"}}},
      .admission = Admission::by_operator,
      .kueue = {.queue_name = "q-{third_party_id}", .priority_class = "high"},
      .followed_by_operator = true,
      .on_newer = OnNewer::cancel,
      .oom_retry = {.memory = "8Gi"},
      .cache = {.enabled = true,
                .repo = "r.example/{third_party_id}/layers",
                .ttl = minutes(60),
                .compressed = false},
      .runtimes = {{"go", {.config_map = "lambda-runtime-go", .key = "Dockerfile"}},
                   {"python3.13", {.config_map = "py", .key = "Dockerfile.py"}}},
      .job_patch = R"({"spec":{"template":{"spec":{"nodeSelector":{"pool":"1"}}}}})"};
  expected.log_level = base::Level::warning;
  EXPECT_EQ(*parsed, expected);
}

TEST(Config, AllProblemsAreReturnedInTheOrderOfTheFile) {
  EXPECT_THAT(
      problems_of("log: {level: loud}\n"
                  "http:\n"
                  "  port: 70000\n"
                  "  adress: 0.0.0.0\n"
                  "build:\n"
                  "  allowedSources: [github.com, 'https://x']\n"),
      ElementsAre(
          "b.yaml:1:14: log.level: found \"loud\"; accepted: debug, info, warning, error",
          "b.yaml:3:9: http.port: found \"70000\"; accepted: a whole number from 0 to 65535",
          "b.yaml:4:3: http.adress: unknown key; did you mean address?",
          "b.yaml:6:32: build.allowedSources[1]: found \"https://x\"; accepted: host[:port][/path/prefix], "
          "s3://bucket[/prefix] or gs://bucket[/prefix], without another scheme, user, wildcard or IP "
          "address"));
}

TEST(Config, UnknownKeySuggestsTheNearest) {
  EXPECT_THAT(problems_of("asyncjobcreator: {}"),
              ElementsAre("b.yaml:1:1: asyncjobcreator: unknown key; did you mean asyncJobCreator?"));
  EXPECT_THAT(problems_of("http: {prot: 1}"),
              ElementsAre("b.yaml:1:8: http.prot: unknown key; did you mean port?"));
  EXPECT_THAT(
      problems_of("intake: {deadline: 1s}"),
      ElementsAre("b.yaml:1:10: intake.deadline: unknown key; accepted: accept, queueSources, respondAsync, "
                  "amqp, auth"));
  EXPECT_THAT(problems_of("log: {colour: red}"),
              ElementsAre("b.yaml:1:7: log.colour: unknown key; accepted: level"));
}

TEST(Config, RepeatedKeyIsAProblemAtItsSecondPlace) {
  EXPECT_THAT(problems_of("http:\n  port: 1\n  port: 2\nlog: {}\nhttp: {}\n"),
              ElementsAre("b.yaml:3:3: http.port: the key is repeated; accepted: each key once",
                          "b.yaml:5:1: http: the key is repeated; accepted: each key once"));
}

struct Refused {
  std::string yaml;
  std::string place_and_key;
  std::string message;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.yaml.substr(0, 80);
}

class ConfigRefuses : public testing::TestWithParam<Refused> {};

TEST_P(ConfigRefuses, WithPlaceAndReason) {
  const Refused& expected = GetParam();
  EXPECT_THAT(problems_of(expected.yaml),
              ElementsAre(AllOf(StartsWith("b.yaml" + expected.place_and_key), HasSubstr(expected.message))))
      << expected.yaml;
}

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, ConfigRefuses,
    testing::Values(
        Refused{"http: 8080", ":1:7: http: ", "found \"8080\"; accepted: a map"},
        Refused{"[http]", ":1:1: ", "found a list; accepted: a map"},
        Refused{"just text", ":1:1: ", "found \"just text\"; accepted: a map"},
        Refused{"http: {port: '8080'}", ":1:14: http.port: ", "found the quoted text \"8080\""},
        Refused{"http: {port: 80.5}", ":1:14: http.port: ", "a whole number"},
        Refused{"http: {port: 0x50}", ":1:14: http.port: ", "a whole number"},
        Refused{"http:\n  port:\n  address: '::'", ":2:3: http.port: ", "found no value"},
        Refused{"http:\n  port: {a: b}", ":2:3: http.port: ", "found a map; accepted: a whole number"},
        Refused{"http: {idleTimeout: 60}", ":1:21: http.idleTimeout: ", "found \"60\"; accepted: a duration"},
        Refused{"http: {idleTimeout: [1s]}", ":1:21: http.idleTimeout: ", "found a list"},
        Refused{"build: {plainHttp: yes}",
                ":1:20: build.plainHttp: ", "found \"yes\"; accepted: true, false"},
        Refused{"build: {plainHttp: 'true'}", ":1:20: build.plainHttp: ", "the quoted text"},
        Refused{"build: {image: [a]}", ":1:16: build.image: ", "found a list; accepted: a text"},
        Refused{"build: {allowedSources: a}", ":1:25: build.allowedSources: ", "accepted: a list"},
        Refused{"intake: {accept: [[queue]]}", ":1:19: intake.accept[0]: ", "accepted: direct, queue"},
        Refused{"? [a, b]\n: 1", ":1:3: ", "a key has to be a word"}));

INSTANTIATE_TEST_SUITE_P(
    ValuesOutOfRange, ConfigRefuses,
    testing::Values(
        Refused{"http: {address: localhost}", ":1:17: http.address: ", "an IP address"},
        Refused{"http: {port: -1}", ":1:14: http.port: ", "0 to 65535"},
        Refused{"http: {port: 99999999999999999999}", ":1:14: http.port: ", "0 to 65535"},
        Refused{"http: {maxBodyBytes: 67108865}", ":1:22: http.maxBodyBytes: ", "1024 to 67108864"},
        Refused{"http: {maxBodyBytes: 1023}", ":1:22: http.maxBodyBytes: ", "1024 to 67108864"},
        Refused{"http: {idleTimeout: 0s}", ":1:21: http.idleTimeout: ", "from 1ms to 10m"},
        Refused{"http: {idleTimeout: -1s}", ":1:21: http.idleTimeout: ", "from 1ms to 10m"},
        Refused{"http: {idleTimeout: 11m}", ":1:21: http.idleTimeout: ", "from 1ms to 10m"},
        Refused{"asyncJobCreator: {workerCount: 0}", ":1:32: asyncJobCreator.workerCount: ", "1 to 256"},
        Refused{"asyncJobCreator: {workerCount: 257}", ":1:32: asyncJobCreator.workerCount: ", "1 to 256"},
        Refused{"asyncJobCreator: {maxQueueSize: 0}", ":1:33: asyncJobCreator.maxQueueSize: ", "1 to 100000"},
        Refused{"intake: {accept: []}", ":1:18: intake.accept: ", "found 0 items; accepted: 1 to 2"},
        Refused{"intake: {accept: [both]}",
                ":1:19: intake.accept[0]: ", "found \"both\"; accepted: direct, queue"},
        Refused{"intake: {queueSources: ['a b']}", ":1:25: intake.queueSources[0]: ", "CloudEvents source"},
        Refused{"build: {timeout: 500ms}", ":1:18: build.timeout: ", "from 1s to 168h"},
        Refused{"build: {ttlAfterFinished: 0s}", ":1:27: build.ttlAfterFinished: ", "from 1m to 720h"},
        Refused{"build: {namespace: Builds}", ":1:20: build.namespace: ", "a-z"},
        Refused{"build: {image: ''}", ":1:16: build.image: ", "an image reference"},
        Refused{"build: {image: 'a b'}", ":1:16: build.image: ", "an image reference"},
        Refused{"build: {image: \"a\\tb\"}", ":1:16: build.image: ", "found \"a?b\""},
        Refused{"build: {destination: ''}", ":1:22: build.destination: ", ""},
        Refused{"build: {destination: 'r/{tenant}'}", ":1:22: build.destination: ", ""},
        Refused{"build: {registrySecret: '{tenant}'}", ":1:25: build.registrySecret: ", "{third_party_id}"},
        Refused{"build: {gitSecret: 'Git_Secret'}", ":1:20: build.gitSecret: ", "the name of a Secret"},
        Refused{"build: {serviceAccountName: a..b}", ":1:29: build.serviceAccountName: ", "joined by '.'"},
        Refused{"build: {resources: {requests: {gpu: 1}}}",
                ":1:32: build.resources.requests.gpu: ", "did you mean cpu?"},
        Refused{"log: {level: INFO}", ":1:14: log.level: ", "debug, info"}));

INSTANTIATE_TEST_SUITE_P(
    Build, ConfigRefuses,
    testing::Values(
        Refused{"build: {admission: Kueue}", ":1:20: build.admission: ", "accepted: none, operator, kueue"},
        Refused{"build: {admission: kueue}",
                ":1:20: build.admission: ", "accepted: the name of a LocalQueue in the build namespace"},
        Refused{"build: {onNewer: Cancel}", ":1:18: build.onNewer: ", "accepted: keep, cancel"},
        Refused{"build: {onNewer: cancel}",
                ":1:18: build.onNewer: ", "build.followedByOperator is false; accepted: true"},
        Refused{"build: {oomRetry: {memory: lots}}",
                ":1:28: build.oomRetry.memory: ", "a Kubernetes quantity"},
        Refused{"build: {oomRetry: {memory: 8Gi}}",
                ":1:28: build.oomRetry.memory: ", "build.followedByOperator is false; accepted: true"},
        Refused{"build: {oomRetry: 8Gi}", ":1:19: build.oomRetry: ", "accepted: a map"},
        Refused{"build: {kueue: {queueName: 'a b'}}", ":1:28: build.kueue.queueName: ", "{third_party_id}"},
        Refused{"build: {kueue: {priorityClass: A}}", ":1:32: build.kueue.priorityClass: ", "a-z"},
        Refused{"build: {cache: {repo: registry.local/cache}}",
                ":1:23: build.cache.repo: ", "{third_party_id} is a component of its own"},
        Refused{"build: {cache: {ttl: 0s}}", ":1:22: build.cache.ttl: ", "from 1m to 8736h"},
        Refused{"build: {sourceSecret: '{id}'}", ":1:23: build.sourceSecret: ", "the name of a Secret"},
        Refused{"build: {runtimes: [go]}", ":1:19: build.runtimes: ", "accepted: a map"},
        Refused{"build: {runtimes: {Go: {}}}", ":1:20: build.runtimes.Go: ", "the name of a runtime"},
        Refused{"build: {runtimes: {go: yes}}", ":1:24: build.runtimes.go: ", "accepted: a map"},
        Refused{"build: {runtimes: {go: {file: x}}}", ":1:25: build.runtimes.go.file: ", "unknown key"},
        Refused{"build: {runtimes: {go: {key: ../x}}}",
                ":1:30: build.runtimes.go.key: ", "a key of a ConfigMap"},
        Refused{"build: {runtimes: {go: {configMap: A}}}",
                ":1:36: build.runtimes.go.configMap: ", "joined by '.'"},
        Refused{"build: {runtimes: {go: {}, go: {}}}", ":1:28: build.runtimes.go: ", "the key is repeated"}));

TEST(ConfigJobPatch, KeepsTypesAsTheyAreWritten) {
  const auto parsed = parse(R"yaml(
build:
  jobPatch:
    metadata: {annotations: {example.com/number: "1", example.com/yes: yes}}
    spec:
      template:
        spec:
          priority: 7
          hostUsers: false
          nodeSelector: {"quoted": "true", tagged: !!str 5}
          terminationGracePeriodSeconds: ~
          securityContext: null
          dnsConfig: {options: [{name: ndots, value: "2"}, 2.5, -1, 0644, 0x10, 1e2, +1]}
          tolerations: []
          hostname:
)yaml",
                            "b.yaml");
  ASSERT_TRUE(parsed) << to_string(parsed.error().at(0));
  EXPECT_EQ(parsed->build.job_patch,
            R"({"metadata":{"annotations":{"example.com/number":"1","example.com/yes":"yes"}},)"
            R"("spec":{"template":{"spec":{"priority":7,"hostUsers":false,)"
            R"("nodeSelector":{"quoted":"true","tagged":"5"},"terminationGracePeriodSeconds":null,)"
            R"("securityContext":null,"dnsConfig":{"options":[{"name":"ndots","value":"2"},2.5,-1,"0644",)"
            R"("0x10",100.0,"+1"]},"tolerations":[],"hostname":null}}}})");
}

TEST(ConfigJobPatch, LeavesToTheBuilderWhatIsItsOwn) {
  const std::vector<std::pair<std::string, std::string>> all{
      {"{apiVersion: v1}", ":1:20: build.jobPatch.apiVersion: is decided by the builder"},
      {"{kind: ~}", ":1:20: build.jobPatch.kind: is decided"},
      {"{metadata: {name: x}}", ":1:31: build.jobPatch.metadata.name: is decided"},
      {"{metadata: {namespace: x}}", "metadata.namespace: is decided"},
      {"{metadata: {generateName: x}}", "metadata.generateName: is decided"},
      {"{metadata: ~}", ":1:20: build.jobPatch.metadata: found no value; accepted: a map"},
      {"{metadata: {labels: ~}}", "metadata.labels: found no value; accepted: a map"},
      {"{metadata: {annotations: []}}", "metadata.annotations: found a list; accepted: a map"},
      {"{metadata: {labels: {app.kubernetes.io/name: x}}}", "is decided"},
      {"{metadata: {labels: {app.kubernetes.io/managed-by: ~}}}", "is decided"},
      {"{metadata: {labels: {lambda.notifi.network/third-party-id: x}}}", "is decided"},
      {"{metadata: {labels: {kueue.x-k8s.io/queue-name: x}}}", "is decided"},
      {"{metadata: {annotations: {lambda.notifi.network/event: x}}}", "is decided"},
      {"{spec: 1}", "spec: found \"1\"; accepted: a map"},
      {"{spec: {suspend: false}}", "spec.suspend: is decided"},
      {"{spec: {backoffLimit: 6}}", "spec.backoffLimit: is decided"},
      {"{spec: {completions: 2}}", "spec.completions: is decided"},
      {"{spec: {parallelism: 2}}", "spec.parallelism: is decided"},
      {"{spec: {activeDeadlineSeconds: 1}}", "spec.activeDeadlineSeconds: is decided"},
      {"{spec: {ttlSecondsAfterFinished: 1}}", "spec.ttlSecondsAfterFinished: is decided"},
      {"{spec: {template: ~}}", "spec.template: found no value; accepted: a map"},
      {"{spec: {template: {metadata: ~}}}", "template.metadata: found no value; accepted: a map"},
      {"{spec: {template: {metadata: {labels: {lambda.notifi.network/runtime: x}}}}}", "is decided"},
      {"{spec: {template: {spec: []}}}", "template.spec: found a list; accepted: a map"},
      {"{spec: {template: {spec: {restartPolicy: OnFailure}}}}", "restartPolicy: is decided"},
      {"{spec: {template: {spec: {containers: []}}}}", "containers: holds what the builder writes there"},
      {"{spec: {template: {spec: {volumes: ~}}}}", "volumes: holds what the builder writes there"},
      {"{spec: {template: {spec: {nodeSelector: {a: b, a: c}}}}}", "the key is repeated"},
      {"{'': 1}", "a key has to be a word"},
      {"[]", ":1:19: build.jobPatch: found a list; accepted: a map"}};
  for (const auto& [patch, message] : all) {
    EXPECT_THAT(problems_of("build: {jobPatch: " + patch + "}"), ElementsAre(HasSubstr(message))) << patch;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Auth, ConfigRefuses,
    testing::Values(
        Refused{"intake: {auth: {mode: basic}}", ":1:23: intake.auth.mode: ", "accepted: none, bearer, oidc"},
        Refused{"intake: {auth: {mode: bearer}}", ":1:23: intake.auth.mode: ", "bearer needs a tokensFile"},
        Refused{"intake: {auth: {mode: oidc}}", ":1:23: intake.auth.mode: ", "oidc needs an audience"},
        Refused{"intake: {auth: {tokensFile: [a]}}", ":1:29: intake.auth.tokensFile: ", "found a list"},
        // Whoever writes principals does not mean that everybody may send.
        Refused{"intake: {auth: {principals: [{name: a, tenants: [b]}]}}",
                ":1:29: intake.auth.principals: ", "mode none lets everybody send"},
        Refused{"intake: {auth: {mode: oidc, audience: x, principals: [a]}}",
                ":1:55: intake.auth.principals[0]: ", "a map of name and tenants"},
        Refused{"intake: {auth: {mode: oidc, audience: x, principals: [{tenants: [b]}]}}",
                ":1:55: intake.auth.principals[0]: ", "needs a name"},
        Refused{"intake: {auth: {mode: oidc, audience: x, principals: [{name: a}]}}",
                ":1:55: intake.auth.principals[0]: ", "needs a list of tenants"},
        Refused{"intake: {auth: {mode: oidc, audience: x, principals: [{name: a, tenants: []}]}}",
                ":1:74: intake.auth.principals[0].tenants: ", "found 0 items; accepted: 1 to 4096"},
        Refused{"intake: {auth: {mode: oidc, audience: x, "
                "principals: [{name: a, tenants: [b]}, {name: a, tenants: [c]}]}}",
                ":1:87: intake.auth.principals[1].name: ", "has an entry already"}));

INSTANTIATE_TEST_SUITE_P(
    RabbitMq, ConfigRefuses,
    testing::Values(
        Refused{"rabbitmq: {queues: {kanikoJobs: {overflow: reject-publish-dlx}}}",
                ":1:44: rabbitmq.queues.kanikoJobs.overflow: ", "drop-head, reject-publish"},
        Refused{"rabbitmq: {queues: {kanikoJobs: {messageTtl: 24h}}}",
                ":1:46: rabbitmq.queues.kanikoJobs.messageTtl: ", "a whole number"},
        Refused{"rabbitmq: {queues: {other: {}}}", ":1:21: rabbitmq.queues.other: ", "accepted: kanikoJobs"},
        Refused{"rabbitmq: {deadLetter: {exchange: ''}}",
                ":1:35: rabbitmq.deadLetter.exchange: ", "1 to 255"},
        Refused{"intake: {amqp: {enabled: true}}", ":1:26: intake.amqp.enabled: ", "rabbitmq.uri"},
        Refused{"{intake: {accept: [direct], amqp: {enabled: true}}, rabbitmq: {uri: 'amqp://h'}}",
                ":1:45: intake.amqp.enabled: ", "accepted: with queue"},
        Refused{"asyncJobCreator: {tenantWeights: {acme: 0}}",
                ":1:41: asyncJobCreator.tenantWeights.acme: ", "1 to 1000"},
        Refused{"asyncJobCreator: {tenantWeights: {a: 1, a: 2}}",
                ":1:41: asyncJobCreator.tenantWeights.a: ", "each key once"},
        Refused{"asyncJobCreator: {acknowledge: later}",
                ":1:32: asyncJobCreator.acknowledge: ", "durable, immediate"},
        Refused{"rabbitmq: {uri: 'amqp://a', uriFile: /b}", ":1:17: rabbitmq.uri: ", "one of them"}));

INSTANTIATE_TEST_SUITE_P(
    Contradictions, ConfigRefuses,
    testing::Values(
        Refused{"http: {port: 9000, adminPort: 9000}", ":1:31: http.adminPort: ", "accepted: two ports"},
        Refused{"http: {adminPort: 8080}", ":1:19: http.adminPort: ", "found 8080 for both"},
        Refused{"http: {maxBodyBytes: 67108864}",
                ":1:22: http.maxBodyBytes: ", "accepted: at least twice http.maxBodyBytes"},
        Refused{"build: {timeout: 3h}",
                ":1:18: build.timeout: ", "build.timeout is 3h, longer than build.maxTimeout, 2h"},
        Refused{"build: {maxTimeout: 10m}",
                ":1:21: build.maxTimeout: ", "build.timeout is 30m, longer than build.maxTimeout, 10m"},
        // A value that is wrong by itself is not compared as well.
        Refused{"build: {timeout: nonsense, maxTimeout: 10m}",
                ":1:18: build.timeout: ", "accepted: a duration"}));

INSTANTIATE_TEST_SUITE_P(
    TextsThatAreNotOneDocument, ConfigRefuses,
    testing::Values(Refused{"http: [", ":1:1: ", "this is not YAML: "},
                    Refused{"http:\n\tport: 1", ":2:6: ", "this is not YAML: "},
                    Refused{"a: b: c", ":1:5: ", "this is not YAML: "},
                    Refused{"a: &x {}\n", ":1:4: ", "anchors (&) and aliases (*) are not accepted"},
                    Refused{"http: *x\n", ":1:7: ", "this is not YAML: "},
                    Refused{"log: {}\n---\nlog: {}\n", ":2:1: ", "a second document begins here"},
                    Refused{std::string(1000, '['), ":1:", "this is not YAML: "},
                    Refused{std::string((1U << 20U) + 1, '#'), ": ", "larger than 1048576 bytes"}));

TEST(Config, AliasesDoNotMultiply) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last + ", " + last + "]\n";
  }
  EXPECT_THAT(problems_of(bomb), ElementsAre(HasSubstr("anchors (&) and aliases (*) are not accepted")));
}

TEST(Config, MessagesHoldNoControlCharactersOfTheFile) {
  const auto problems = problems_of("\"forged\\nline\": 1\nlog: {level: \"\\e[2J\"}\n");
  ASSERT_EQ(problems.size(), 2U);
  for (const std::string& problem : problems) {
    EXPECT_THAT(problem, Not(testing::ContainsRegex("[[:cntrl:]]")));
  }
}

TEST(Config, MessagesNeverHoldTheBrokersPassword) {
  const auto problems = problems_of("rabbitmq: {uri: 'http://user:hunter2@host'}");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], AllOf(HasSubstr("rabbitmq.uri: accepted: "), Not(HasSubstr("hunter2"))));
}

TEST(Config, AllowedSourceIsAHostAndAPathPrefix) {
  for (const std::string source :
       {"github.com", "git.example:8443", "localhost", "GitHub.com/notifi", "a.b/c/d.e/", "s3://bucket",
        "s3://b.u-c_k/a/b/", "gs://bucket/a", "notifi.blob.core.windows.net/container"}) {
    EXPECT_THAT(problems_of("build: {allowedSources: ['" + source + "']}"), ElementsAre()) << source;
  }
  for (const std::string source : {"",
                                   "/",
                                   "*",
                                   "*.example",
                                   "https://github.com",
                                   "user@github.com",
                                   "git hub.com",
                                   "github.com:",
                                   "github.com:0",
                                   "github.com:65536",
                                   "github.com:x",
                                   "127.0.0.1",
                                   "[::1]",
                                   "github.com//a",
                                   "github.com/a/../b",
                                   "github.com/./a",
                                   "github.com/a%2e",
                                   "github.com/a?b",
                                   "github.com/a#b",
                                   "github.com/a b",
                                   "github.com/a//",
                                   ".github.com",
                                   "github.com.",
                                   "0x7f.1",
                                   "github.com/*",
                                   "s3://",
                                   "s3:///a",
                                   "s3://Bucket",
                                   "s3://bucket//a",
                                   "s3://bucket/../a",
                                   "s3://user@bucket",
                                   "s3://bucket:80",
                                   "s3://a..b",
                                   "s3://*",
                                   "S3://bucket",
                                   "r2://bucket"}) {
    EXPECT_THAT(problems_of("build: {allowedSources: ['" + source + "']}"),
                ElementsAre(HasSubstr("allowedSources[0]")))
        << source;
  }
}

TEST(Config, QuantityIsAsKubernetesReadsIt) {
  for (const std::string quantity :
       {"1", "0.5", ".5", "5.", "500m", "2Gi", "1e3", "1E-3", "100k", "12e+6", "3E"}) {
    EXPECT_THAT(problems_of("build: {resources: {limits: {cpu: " + quantity + "}}}"), ElementsAre())
        << quantity;
  }
  for (const std::string quantity :
       {"''", ".", "-1", "1gi", "1 Gi", "1K", "1e", "1e+", "m", "0x1", "1.2.3", "~"}) {
    EXPECT_THAT(problems_of("build: {resources: {limits: {cpu: " + quantity + "}}}"),
                ElementsAre(HasSubstr("build.resources.limits.cpu: ")))
        << quantity;
  }
}

TEST(ConfigFile, IsReadFromDisk) {
  const std::string file = testing::TempDir() + "config_test.yaml";
  std::ofstream(file) << "http: {port: 9}\n";
  const auto loaded = load(file);
  std::remove(file.c_str());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->http.port, 9);
}

TEST(ConfigFile, OneThatCannotBeReadIsAProblem) {
  const auto missing = load("/nonexistent/b.yaml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(to_string(missing.error().at(0)),
            "/nonexistent/b.yaml: can't be read: No such file or directory");
  const auto folder = load("/");
  ASSERT_FALSE(folder);
  EXPECT_EQ(to_string(folder.error().at(0)), "/: can't be read: Is a directory");
  const auto endless = load("/dev/zero");
  ASSERT_FALSE(endless);
  EXPECT_THAT(to_string(endless.error().at(0)), HasSubstr("larger than 1048576 bytes"));
}

// The tokens are asked for at start, and whatever is wrong with them is told then.
TEST(Config, ATokensFileThatCannotBeUsedIsAProblemAtStart) {
  const std::string folder = testing::TempDir();
  const std::string tokens = folder + "/config_test_tokens.yaml";
  const std::string config = folder + "/config_test_bearer.yaml";
  std::ofstream(config) << "intake: {auth: {mode: bearer, tokensFile: " << tokens << "}}";
  std::remove(tokens.c_str());
  auto loaded = load(config);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(to_string(loaded.error().at(0)), tokens + ": can't be read: No such file or directory");
  std::ofstream(tokens) << "sender:\n  - short\n";
  loaded = load(config);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(to_string(loaded.error().at(0)), StartsWith(tokens + ":2:5: a token is shorter than 16 bytes"));
  std::ofstream(tokens) << "sender: 0123456789abcdef\n";
  EXPECT_TRUE(load(config));
  std::remove(tokens.c_str());
  std::remove(config.c_str());
}

}  // namespace
}  // namespace lambda::config
