// What a tenant writes, against Kaniko's arguments, image paths, labels, sources, and names of Secrets and
// ConfigMaps: each attempt is refused by the name of its field, or stands in the Job where it does no harm.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/ids.h"
#include "event/job_start.h"
#include "job/job.h"
#include "support/protobuf_job.h"

namespace lambda::job {
namespace {

using nlohmann::json;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Eq;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr std::string_view victim = "victim";

// An installation that makes use of whatever an event can reach.
config::Build settings() {
  config::Build out;
  out.allowed_sources = {"github.com/notifi", "git.example:8443/team", "s3://bucket/in", "gs://bucket",
                         "acme.blob.core.windows.net/in"};
  out.registry_secret = "push-{third_party_id}";
  out.git_secret = "git-{third_party_id}";
  out.source_secret = "source-{third_party_id}";
  out.cache.enabled = true;
  out.admission = config::Admission::by_kueue;
  out.kueue.queue_name = "queue-{third_party_id}";
  out.runtimes = {{"go", {.config_map = "lambda-runtime-go", .key = "Dockerfile"}}};
  return out;
}

json benign_data() {
  return json::parse(
      R"({"third_party_id": "acme", "parser_id": "parser", "correlation_id": "c", "job_name": "j",
      "priority": 1, "parameters": {"build_type": "function", "runtime": "go", "build_timeout": 60,
      "source_url": "https://github.com/notifi/app/folder#main", "environment": {"A": "b"}}})");
}

cloudevents::Event event_of(const json& data) {
  cloudevents::Event event;
  event.id = "1";
  event.source = "hostile";
  event.type = event::job_start_type;
  event.data = data.dump();
  return event;
}

struct Attempt {
  std::string field;  // "parameters.source_url"
  json value;
  bool refused = true;
};

std::string pointer_to(std::string field) {
  std::ranges::replace(field, '.', '/');
  return "/" + field;
}

constexpr bool harmless = false;  // accepted, and of no effect but its own

std::vector<Attempt> ids(const std::string& field) {
  return {{field, ""},
          {field, nullptr},
          {field, 7},
          {field, json::array({"victim"})},
          {field, json::object({{"$ref", "victim"}})},
          {field, std::string(257, 'a')},
          {field, "victim\n"},
          {field, std::string("victim\0", 7)},
          {field, "a\x7F"},
          {field, "../victim", harmless},
          {field, "..", harmless},
          {field, "/", harmless},
          {field, "victim/parser", harmless},
          {field, "victim:latest", harmless},
          {field, "victim@sha256:0000", harmless},
          {field, "VICTIM", harmless},
          {field, "victim ", harmless},
          {field, " victim", harmless},
          {field, "victim.", harmless},
          {field, "-victim", harmless},
          {field, "victim--insecure", harmless},
          {field, "victim --insecure", harmless},
          {field, "--destination=evil.example/x", harmless},
          {field, "{third_party_id}", harmless},
          {field, "{parser_id}/{event_hash}", harmless},
          {field, "$(GIT_TOKEN)", harmless},
          {field, "`id`;$(id)", harmless},
          {field, "victim\",\"args\":[\"--insecure\"],\"x\":\"", harmless},
          {field, "\\u0022,\\\"", harmless},
          {field, "vіctim", harmless},  // with a Cyrillic letter
          {field, "victim\u202E", harmless},
          {field, std::string(64, 'a'), harmless},
          {field, build::label_value("Some Victim"), harmless},
          {field, "h-00000000000000000000000000000000", harmless}};
}

constexpr std::array<std::string_view, 52> hostile_sources{
    "",
    "-",
    "--insecure",
    "dir:///workspace",
    "dir:///kaniko/.docker",
    "tar://stdin",
    "file:///etc/passwd",
    "git://github.com/notifi/app",
    "ssh://git@github.com/notifi/app",
    "https://evil.example/notifi/app",
    "https://github.com@evil.example/notifi/app",
    "https://github.com:x@evil.example/notifi/app",
    "https://evil.example#github.com/notifi/app",
    "https://evil.example?github.com/notifi/app",
    "https://github.com.evil.example/notifi/app",
    "https://github.com/notifi-evil/app",
    "https://github.com/notifi/../evil/app",
    "https://github.com/notifi/%2e%2e/evil/app",
    "https://github.com/notifi/..%2fevil/app",
    "https://github.com/notifi\\..\\evil/app",
    "https://github.com/notifi/app/../../../etc",
    "https://github.com/notifi/app/-x",
    "https://github.com/notifi/app#--upload-pack=id",
    "https://github.com/notifi/app#main#evil",
    "https://github.com/notifi/app#refs/pull/1/head",
    "https://github.com/notifi/app#$(GIT_TOKEN)",
    "https://github.com/notifi/$(GIT_TOKEN)/app",
    "https://github.com/notifi/app --insecure",
    "https://github.com/notifi/app\n--insecure",
    "https://169.254.169.254/notifi/app",
    "https://[::1]/notifi/app",
    "https://2852039166/notifi/app",
    "https://0xa9fea9fe/notifi/app",
    "https://git.example/team/app",
    "https://git.example:443/team/app",
    "http://github.com/notifi/app",
    "s3://victim/in/x.tar.gz",
    "s3://bucket/in/../victim/x.tar.gz",
    "s3://bucket/in-victim/x.tar.gz",
    "s3://bucket@victim/in/x.tar.gz",
    "s3://bucket/in/x.tar.gz?endpoint=evil",
    "s3://BUCKET/in/x",
    "gs://bucket",
    "gs://bucket/",
    "gs://bucket:80/x",
    "gs://victim/x",
    "https://victim.blob.core.windows.net/in/x",
    "https://acme.blob.core.windows.net/in/x?sig=0",
    "https://acme.blob.core.windows.net/victim/x",
    "https://github.com/notifi/a.blob.core.windows.net/x.tar.gz",
    "https://github.com/other/x.tar.gz",
    "https://github.com/notifi/x.zip"};

std::vector<Attempt> sources() {
  std::vector<Attempt> out;
  for (const std::string_view url : hostile_sources) out.push_back({"parameters.source_url", url});
  for (const std::string_view url :
       {"HTTPS://GITHUB.COM/notifi/app", "https://github.com/notifi/app/--insecure.git/x#a+b@c",
        "https://github.com/notifi/x.tar.gz", "s3://bucket/in/~root", "gs://bucket/x.tar.gz",
        "https://acme.blob.core.windows.net/in/x"}) {
    out.push_back({"parameters.source_url", url, url.find("/--") != std::string_view::npos});
  }
  return out;
}

std::vector<Attempt> others() {
  const std::string environment = "parameters.environment";
  return {{environment, {{"A=B", "x"}}},
          {environment, {{"--insecure", ""}}},
          {environment, {{"A B", ""}}},
          {environment, {{"", "x"}}},
          {environment, {{"HTTPS_PROXY", "http://evil.example"}}},
          {environment, {{"all_Proxy", "http://evil.example"}}},
          {environment, {{"A", "b\nRUN evil"}}},
          {environment, {{"A", json::array({"b", "--insecure"})}}},
          {environment, json::array({"A=b"})},
          {environment, {{"A", "b --insecure"}}, harmless},
          {environment, {{"A", "b\",\"--insecure"}}, harmless},
          {environment, {{"A", "$(GIT_TOKEN)"}}, harmless},
          {environment, {{"A", "$$(GIT_TOKEN)$"}}, harmless},
          {environment, {{"A", "`cat /kaniko/.docker/config.json`"}}, harmless},
          {environment, {{"PATH", "/evil"}, {"LD_PRELOAD", "/evil.so"}, {"GIT_TOKEN", "x"}}, harmless},
          {"parameters.runtime", "../go"},
          {"parameters.runtime", "GO"},
          {"parameters.runtime", "go/../victim"},
          {"parameters.runtime", "victim-config"},
          {"parameters.runtime", "lambda-runtime-go"},
          {"parameters.runtime", ""},
          {"parameters.runtime", std::string("go\0", 3)},
          {"parameters.runtime", json::array({"go"})},
          {"parameters.build_type", "Function"},
          {"parameters.build_type", "dockerfile=/etc/passwd"},
          {"parameters.build_timeout", 0},
          {"parameters.build_timeout", 1e9},
          {"parameters.build_timeout", 18446744073709551615ULL},
          {"parameters.build_timeout", "60,\"suspend\":false"},
          {"priority", 11},
          {"priority", "10"},
          {"job_name", "kubectl\nlogs"},
          {"job_name", std::string(2000, 'a')},
          {"job_name", "</b>\",\"x\":\"y", harmless},
          {"correlation_id", "a\r\nb"},
          {"correlation_id", "\"},\"spec\":{\"suspend\":false},\"x\":{\"y\":\"", harmless},
          {"parameters.image", "evil.example/kaniko", harmless},
          {"parameters.args", json::array({"--insecure"}), harmless},
          {"parameters.destination", "registry.local/victim/x", harmless},
          {"namespace", "kube-system", harmless},
          {"labels", {{"lambda.notifi.network/third-party-id", "victim"}}, harmless}};
}

std::vector<Attempt> attempts() {
  std::vector<Attempt> all = ids("third_party_id");
  for (const std::vector<Attempt>& more : {ids("parser_id"), sources(), others()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

// Kubernetes takes "$(" for the begin of a variable's name, "$$" for a plain "$".
bool refers_to_variable(std::string_view argument) {
  for (std::size_t i = 0; i + 1 < argument.size(); ++i) {
    if (argument[i] != '$') continue;
    if (argument[i + 1] == '(') return true;
    ++i;
  }
  return false;
}

// The only argument that begins with `flag`, without it.
std::string the_argument(const json& arguments, std::string_view flag) {
  std::vector<std::string> found;
  for (const std::string argument : arguments) {
    if (argument.starts_with(flag)) found.push_back(argument.substr(flag.size()));
  }
  EXPECT_EQ(found.size(), 1U) << flag;
  return found.empty() ? "" : found.front();
}

void check_arguments(const json& arguments, const std::string& tenant, const std::string& parser) {
  static constexpr std::array<std::string_view, 7> fixed{"--digest-file=/dev/termination-log",
                                                         "--log-format=text",
                                                         "--push-retry=3",
                                                         "--image-fs-extract-retry=3",
                                                         "--image-download-retry=3",
                                                         "--cache=true",
                                                         "--cache-ttl=336h"};
  static constexpr std::array<std::string_view, 6> with_value{
      "--context=",     "--context-sub-path=", "--dockerfile=",
      "--destination=", "--cache-repo=",       "--build-arg="};
  for (const std::string argument : arguments) {
    const bool known =
        std::ranges::find(fixed, argument) != fixed.end() ||
        std::ranges::any_of(with_value, [&](std::string_view flag) { return argument.starts_with(flag); });
    EXPECT_TRUE(known) << argument;
    EXPECT_FALSE(refers_to_variable(argument)) << argument;
  }
  for (const std::string_view flag : fixed) EXPECT_THAT(arguments, Contains(flag));
  EXPECT_THAT(the_argument(arguments, "--context="),
              AnyOf(MatchesRegex("git://github.com/notifi/[A-Za-z]+(#refs/heads/[a-z]+)?"),
                    StartsWith("https://github.com/notifi/"), StartsWith("s3://bucket/in/"),
                    StartsWith("gs://bucket/"), StartsWith("https://acme.blob.core.windows.net/in/")));
  EXPECT_EQ(the_argument(arguments, "--dockerfile="), "/kaniko/runtime/Dockerfile");
  const std::string destination = the_argument(arguments, "--destination=");
  const std::string image =
      "registry.local/" + build::path_component(tenant) + "/" + build::path_component(parser);
  EXPECT_EQ(destination.substr(0, destination.rfind(':')), image);
  EXPECT_THAT(destination, MatchesRegex("registry.local/[a-z0-9._-]+/[a-z0-9._-]+:[0-9a-f]{32}"));
  EXPECT_EQ(the_argument(arguments, "--cache-repo="),
            "registry.local/" + build::path_component(tenant) + "/cache");
}

void check_labels(const json& labels, const std::string& tenant) {
  for (const std::string label : labels) EXPECT_TRUE(base::is_label_value(label)) << label;
  EXPECT_EQ(labels.at("lambda.notifi.network/third-party-id"), build::label_value(tenant));
  EXPECT_EQ(labels.at("app.kubernetes.io/managed-by"), "knative-lambda-builder");
  EXPECT_EQ(labels.at("lambda.notifi.network/runtime"), "go");
}

// Names of Secrets and ConfigMaps, wherever in the pod they stand.
void check_names(const json& value, const std::string& tenant) {
  const std::string id = build::dns_label(tenant);
  if (value.is_object()) {
    if (const auto secret = value.find("secretName"); secret != value.end()) {
      EXPECT_THAT(*secret, AnyOf(Eq("push-" + id), Eq("source-" + id)));
    }
    if (const auto reference = value.find("secretKeyRef"); reference != value.end()) {
      EXPECT_THAT(reference->at("name"), AnyOf(Eq("git-" + id), Eq("source-" + id)));
    }
    if (const auto map = value.find("configMap"); map != value.end()) {
      EXPECT_EQ(map->at("name"), "lambda-runtime-go");
    }
  }
  if (!value.is_structured()) return;
  for (const json& below : value) check_names(below, tenant);
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> out;
  for (const auto& [key, value] : object.items()) out.insert(key);
  return out;
}

// The same fields as a Job that nobody attacked, with the values that the configuration gives.
void check_form(const json& job, const json& benign) {
  EXPECT_EQ(keys_of(job), keys_of(benign));
  EXPECT_EQ(keys_of(job.at("metadata")), keys_of(benign.at("metadata")));
  EXPECT_EQ(keys_of(job.at("metadata").at("labels")), keys_of(benign.at("metadata").at("labels")));
  EXPECT_EQ(job.at("metadata").at("namespace"), benign.at("metadata").at("namespace"));
  EXPECT_EQ(job.at("metadata").at("name"), benign.at("metadata").at("name"));
  EXPECT_EQ(keys_of(job.at("spec")), keys_of(benign.at("spec")));
  EXPECT_EQ(job.at("spec").at("suspend"), true);
  const json& pod = job.at("/spec/template/spec"_json_pointer);
  const json& benign_pod = benign.at("/spec/template/spec"_json_pointer);
  EXPECT_EQ(keys_of(pod), keys_of(benign_pod));
  ASSERT_EQ(pod.at("containers").size(), 1U);
  const json& container = pod.at("containers").at(0);
  const json& benign_container = benign_pod.at("containers").at(0);
  EXPECT_EQ(container.at("image"), benign_container.at("image"));
  EXPECT_EQ(container.at("securityContext"), benign_container.at("securityContext"));
  for (const auto& [key, value] : job.at("metadata").at("annotations").items()) {
    EXPECT_TRUE(key.starts_with("lambda.notifi.network/")) << key;
    EXPECT_TRUE(value.is_string()) << key;
  }
}

void check_harmless(const JobMaker& maker, const cloudevents::Event& event, const event::JobStart& start) {
  const json job = json::parse(maker.make(event, start).body);
  static const JobMaker other_format(settings(), Format::protobuf);
  EXPECT_EQ(support::ProtobufJob::read(other_format.make(event, start).body), job);
  const cloudevents::Event benign_event = event_of(benign_data());
  const auto benign_start = event::parse_job_start(benign_event, settings());
  ASSERT_TRUE(benign_start);
  check_form(job, json::parse(maker.make(benign_event, *benign_start).body));
  check_labels(job.at("metadata").at("labels"), start.third_party_id);
  check_labels(job.at("/spec/template/metadata/labels"_json_pointer), start.third_party_id);
  EXPECT_TRUE(
      base::is_dns_label(job.at("metadata").at("labels").at("kueue.x-k8s.io/queue-name").get<std::string>()));
  check_names(job.at("/spec/template/spec"_json_pointer), start.third_party_id);
  check_arguments(job.at("/spec/template/spec/containers/0/args"_json_pointer), start.third_party_id,
                  start.parser_id);
}

TEST(HostileFields, AreRefusedByNameOrHarmless) {
  const JobMaker maker(settings());
  const std::vector<Attempt> all = attempts();
  EXPECT_GE(all.size(), 60U);
  for (const Attempt& attempt : all) {
    SCOPED_TRACE(attempt.field + " = " + attempt.value.dump().substr(0, 200));
    json data = benign_data();
    data[json::json_pointer(pointer_to(attempt.field))] = attempt.value;
    const cloudevents::Event event = event_of(data);
    const auto start = event::parse_job_start(event, settings());
    EXPECT_EQ(start.has_value(), !attempt.refused);
    if (start) {
      check_harmless(maker, event, *start);
    } else {
      EXPECT_THAT(start.error().field, StartsWith("data." + attempt.field));
      EXPECT_FALSE(start.error().message.empty());
      EXPECT_FALSE(base::has_control_character(start.error().message));
    }
  }
}

// No id but the victim's own becomes what stands for the victim.
TEST(HostileFields, NoIdBecomesThatOfAnother) {
  std::set<std::string> ids_of_tenants{std::string(victim)};
  for (const Attempt& attempt : ids("third_party_id")) {
    if (!attempt.refused) ids_of_tenants.insert(attempt.value.get<std::string>());
  }
  ids_of_tenants.insert("Some Victim");
  for (auto* const make : {build::label_value, build::dns_label, build::path_component}) {
    std::set<std::string> texts;
    for (const std::string& id : ids_of_tenants) EXPECT_TRUE(texts.insert(make(id)).second) << id;
  }
}

}  // namespace
}  // namespace lambda::job
