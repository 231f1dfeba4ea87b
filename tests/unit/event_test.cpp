#include "cloudevents/event.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "event/job_start.h"
#include "event/source.h"

namespace lambda::event {
namespace {

using base::ErrorKind;
using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

// -- Sources
// ------------------------------------------------------------------------------------------------------

const std::vector<std::string> allowed{"github.com", "git.example.com", "git.example.com:8443/team",
                                       "bitbucket.org/acme/app/sub", "gitlab.com/group"};

struct Accepted {
  const char* url;
  const char* context;
  const char* sub_path;
};

TEST(Source, BecomesAGitContext) {
  for (const auto& [url, context, sub_path] : std::vector<Accepted>{
           {"https://github.com/notifi/parsers/0197ad6c10b973b2b854a0e652155b7e",
            "git://github.com/notifi/parsers", "0197ad6c10b973b2b854a0e652155b7e"},
           {"https://github.com/notifi/parsers", "git://github.com/notifi/parsers", ""},
           {"https://github.com/notifi/parsers.git", "git://github.com/notifi/parsers", ""},
           {"https://github.com/notifi/parsers.git/a/b.git", "git://github.com/notifi/parsers", "a/b.git"},
           {"HTTPS://GitHub.COM/Notifi/Parsers", "git://github.com/Notifi/Parsers", ""},
           {"https://git.example.com/a/b/c", "git://git.example.com/a/b/c", ""},
           {"https://git.example.com/a/b/c.git/d/e", "git://git.example.com/a/b/c.git", "d/e"},
           {"https://git.example.com/~user/a+b_c.d", "git://git.example.com/~user/a+b_c.d", ""},
           {"https://git.example.com:8443/team/x.git", "git://git.example.com:8443/team/x.git", ""},
           {"https://bitbucket.org/acme/app/sub", "git://bitbucket.org/acme/app", "sub"},
           {"https://bitbucket.org/acme/app.git/sub/folder", "git://bitbucket.org/acme/app", "sub/folder"},
           {"https://github.com/a/b#main", "git://github.com/a/b#refs/heads/main", ""},
           {"https://github.com/a/b/c#feature/x-1", "git://github.com/a/b#refs/heads/feature/x-1", "c"},
           {"https://github.com/a/b#refs/heads/x", "git://github.com/a/b#refs/heads/x", ""},
           {"https://github.com/a/b#refs/tags/v1.2", "git://github.com/a/b#refs/tags/v1.2", ""},
           {"https://github.com/a/b#0123456789ABCDEF0123456789abcdef01234567",
            "git://github.com/a/b#0123456789abcdef0123456789abcdef01234567", ""}}) {
    const auto source = parse_source(url, {allowed, false});
    ASSERT_TRUE(source) << url << ": " << source.error().message;
    EXPECT_EQ(source->context, context);
    EXPECT_EQ(source->sub_path, sub_path);
    EXPECT_FALSE(source->plain_http);
  }
}

struct RefusedUrl {
  std::string url;
  const char* message;
};

TEST(Source, RefusesWhatIsNotPlainlyAnAllowedRepository) {
  const std::vector<RefusedUrl> all{
      {"", "is no URL"},
      {"github.com/a/b", "is no URL"},
      {"git@github.com:a/b.git", "is no URL"},
      {"http://github.com/a/b", "scheme \"http\"; accepted: https"},
      {"git://github.com/a/b", "scheme \"git\""},
      {"ssh://github.com/a/b", "scheme"},
      {"dir:///workspace", "scheme"},
      {"tar://stdin", "scheme"},
      {"file:///etc", "scheme"},
      {"-https://github.com/a/b", "scheme"},
      {"https://", "host"},
      {"https:///a/b", "host"},
      {"https://github.com", "names no repository"},
      {"https://github.com/", "names no repository"},
      {"https://github.com/a", "names no repository"},
      {"https://github.com/a/.git", "repository name"},
      {"https://github.com/a/-b.git", "segment"},
      {"https://user@github.com/a/b", "user information"},
      {"https://user:secret@github.com/a/b", "user information"},
      {"https://github.com@evil.example/a/b", "user information"},
      {"https://github.com:a@evil.example/a/b", "user information"},
      {"https://127.0.0.1/a/b", "no address"},
      {"https://127.1/a/b", "no address"},
      {"https://2130706433/a/b", "no address"},
      {"https://0x7f.1/a/b", "no address"},
      {"https://0x7f000001/a/b", "no address"},
      {"https://x.0x/a/b", "no address"},
      {"https://[::1]/a/b", "no address"},
      {"https://[::ffff:127.0.0.1]/a/b", "no address"},
      {"https://github.com./a/b", "host"},
      {"https://.github.com/a/b", "host"},
      {"https://git_hub.com/a/b", "host"},
      {"https://github.com:/a/b", "port"},
      {"https://github.com:0/a/b", "port"},
      {"https://github.com:65536/a/b", "port"},
      {"https://github.com:-1/a/b", "port"},
      {"https://github.com:8443/a/b", "allows"},
      {"https://git.example.com:08443/team/b", "allows"},
      {"https://git.example.com:8443/other/b", "allows"},
      {"https://evil.example/a/b", "allows"},
      {"https://notgithub.com/a/b", "allows"},
      {"https://github.com.evil.example/a/b", "allows"},
      {"https://evil.github.com/a/b", "allows"},
      {"https://gitlab.com/group-evil/x", "allows"},
      {"https://gitlab.com/Group/x", "allows"},
      {"https://bitbucket.org/acme/app", "allows"},
      {"https://bitbucket.org/acme/app/submarine", "allows"},
      {"https://gitlab.com/group/../evil/x", "segment \"..\""},
      {"https://gitlab.com/group/./x", "segment \".\""},
      {"https://gitlab.com/group//x", "segment \"\""},
      {"https://gitlab.com/group/x/", "segment \"\""},
      {"https://gitlab.com//group/x", "segment \"\""},
      {"https://gitlab.com/group/-/x", "segment \"-\""},
      {"https://github.com/a/b/--flag", "segment"},
      {"https://github.com/a/b/c://d", "segment"},
      {"https://github.com/a/b/$(id)", "segment"},
      {"https://github.com/a/b/c;d", "segment"},
      {"https://gitlab.com/group/%2e%2e/evil", "percent-encoding"},
      {"https://gitlab.com/group%2fevil/x", "percent-encoding"},
      {"https://gitlab.com/group%5cevil", "percent-encoding"},
      {"https://github.com%00.evil.example/a/b", "percent-encoding"},
      {"https://github.com/a\\b/c", "backslash"},
      {"https://github.com\\@evil.example/a/b", "backslash"},
      {"https://github.com/a/b?x=y", "query"},
      {"https://github.com?/a/b", "query"},
      {"https://github.com/a/b c", "not ASCII"},
      {"https://github.com/a/b\n", "not ASCII"},
      {std::string("https://github.com/a/b\0c", 24), "not ASCII"},
      {"https://github.com/a/\xC3\xA9", "not ASCII"},
      {"https://gith\xD1\x83"
       "b.com/a/b",
       "not ASCII"},
      {"https://github.com/a/b#", "ref \"\""},
      {"https://github.com/a/b#x#y", "ref"},
      {"https://github.com/a/b#main#0123456789abcdef0123456789abcdef01234567", "ref"},
      {"https://github.com/a/b#-x", "ref"},
      {"https://github.com/a/b#x/-y", "ref"},
      {"https://github.com/a/b#refs/pull/1/head", "ref"},
      {"https://github.com/a/b#refs/heads/", "ref"},
      {"https://github.com/a/b#refs/heads/a..b", "ref"},
      {"https://github.com/a/b#a//b", "ref"},
      {"https://github.com/a/b#a.lock", "ref"},
      {"https://github.com/a/b#.a", "ref"},
      {"https://github.com/a/b#a.", "ref"},
      {"https://github.com/a/b#a:b", "ref"},
      {"https://github.com/a/b#a*", "ref"},
      {"https://github.com/a/b#a~1", "ref"},
      {"https://github.com/a/b#@", "ref"},
      {"https://github.com#/a/b", "names no repository"},
      {"https://github.com/" + std::string(2048, 'a'), "bytes; accepted: 2048"}};
  for (const auto& [url, message] : all) {
    const auto source = parse_source(url, {allowed, false});
    ASSERT_FALSE(source) << url << " became " << source->context;
    EXPECT_EQ(source.error().kind, ErrorKind::invalid) << url;
    EXPECT_THAT(source.error().message, HasSubstr(message)) << url;
  }
}

TEST(Source, RepeatsNoPasswordInItsErrors) {
  for (const std::string_view url :
       {"https://user:hunter2@github.com/a/b", "user:hunter2@github.com/a/b",
        "https://user:hunter2@github.com/a b", "ftp://user:hunter2@github.com/a/b"}) {
    EXPECT_THAT(parse_source(url, {allowed, false}).error().message, Not(HasSubstr("hunter2"))) << url;
  }
}

const std::vector<std::string> allowed_archives{"s3://bucket/uploads",
                                                "gs://bucket",
                                                "github.com/acme",
                                                "acme.blob.core.windows.net/sources",
                                                "acme.blob.core.chinacloudapi.cn",
                                                "git.example.com:8443"};

TEST(Source, MayBeAnArchive) {
  struct Archive {
    const char* url;
    SourceKind kind;
    const char* context = nullptr;  // where it is not the URL itself
  };
  for (const auto& [url, kind, context] : std::vector<Archive>{
           {"s3://bucket/uploads/a/context.tar.gz", SourceKind::s3},
           {"S3://bucket/uploads", SourceKind::s3, "s3://bucket/uploads"},
           {"gs://bucket/Context.TGZ", SourceKind::gs},
           {"gs://bucket/any/name~x+y@z", SourceKind::gs},
           {"https://github.com/acme/app/archive/main.tar.gz", SourceKind::archive},
           {"HTTPS://GitHub.com/acme/App.TGZ", SourceKind::archive, "https://github.com/acme/App.TGZ"},
           {"https://git.example.com:8443/x.git/y.tar.gz", SourceKind::archive},
           {"https://acme.blob.core.windows.net/sources/a/b", SourceKind::azure_blob},
           {"https://acme.blob.core.chinacloudapi.cn/c/b.tar.gz", SourceKind::azure_blob}}) {
    const auto source = parse_source(url, {allowed_archives, false});
    ASSERT_TRUE(source) << url << ": " << source.error().message;
    EXPECT_EQ(*source, (Source{context != nullptr ? context : url, "", false, kind})) << url;
  }
}

TEST(Source, RefusesWhatIsNotPlainlyAnAllowedArchive) {
  const std::vector<RefusedUrl> all{
      {"s3://bucket", "names no object"},
      {"s3://bucket/", "names no object"},
      {"s3:///uploads/x", "names no bucket"},
      {"s3://Bucket/uploads/x", "names no bucket"},
      {"s3://bu/uploads/x", "names no bucket"},
      {"s3://bucket:443/uploads/x", "names no bucket"},
      {"s3://key:secret@bucket/uploads/x", "names no bucket"},
      {"s3://a..b/uploads/x", "names no bucket"},
      {"s3://-bucket/uploads/x", "names no bucket"},
      {"s3://arn:aws:s3:::bucket/uploads/x", "names no bucket"},
      {"s3://bucket/uploads-evil/x", "allows"},
      {"s3://bucket/other", "allows"},
      {"s3://bucket2/uploads/x", "allows"},
      {"gs://bucket2/x", "allows"},
      {"s3://bucket/uploads/../other", "segment \"..\""},
      {"s3://bucket/uploads//x", "segment \"\""},
      {"s3://bucket/uploads/x/", "segment \"\""},
      {"s3://bucket/uploads/%2e%2e/x", "percent-encoding"},
      {"s3://bucket/uploads/x?versionId=1", "query"},
      {"s3://bucket/uploads/x#main", "fragment"},
      {"s3://bucket/uploads/x.zip", "can't unpack"},
      {"s3://bucket/uploads/x.tar", "can't unpack"},
      {"s3://bucket/uploads/a://b", "segment"},
      {"gs://bucket/x y", "not ASCII"},
      {"s3a://bucket/uploads/x", "scheme \"s3a\""},
      {"https://github.com/acme/x.tar.gz#main", "fragment"},
      {"https://github.com/acme/x.tar.gz?token=1", "query"},
      {"https://github.com/acme/x.zip", "can't unpack"},
      {"https://github.com/other/x.tar.gz", "allows"},
      {"https://github.com/acme-evil/x.tar.gz", "allows"},
      {"https://github.com:8443/acme/x.tar.gz", "allows"},
      {"https://user:hunter2@github.com/acme/x.tar.gz", "user information"},
      {"https://127.0.0.1/x.tar.gz", "no address"},
      {"http://github.com/acme/x.tar.gz", "scheme \"http\""},
      {"https://github.com/acme/x.blob.core.windows.net/y.tar.gz", ".blob.core."},
      {"https://acme.blob.core.windows.net/sources", "names no object"},
      {"https://acme.blob.core.windows.net/other/x", "allows"},
      {"https://evil.blob.core.windows.net/sources/x", "allows"},
      {"https://acme.blob.core.windows.net.evil.example/sources/x.tar.gz", "allows"},
      {"https://acme.blob.core.windows.net/sources/x?sv=2020&sig=a", "query"},
      {"http://acme.blob.core.windows.net/sources/x", "scheme"}};
  for (const auto& [url, message] : all) {
    const auto source = parse_source(url, {allowed_archives, true});
    ASSERT_FALSE(source) << url << " became " << source->context;
    EXPECT_EQ(source.error().kind, ErrorKind::invalid) << url;
    EXPECT_THAT(source.error().message, HasSubstr(message)) << url;
    EXPECT_THAT(source.error().message, Not(HasSubstr("hunter2"))) << url;
    EXPECT_THAT(source.error().message, Not(HasSubstr("secret@"))) << url;
  }
}

TEST(Source, MayBePlainHttpWhereTheInstallationSaysSo) {
  const auto plain = parse_source("http://git.example.com/a.git", {allowed, true});
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->plain_http);
  EXPECT_EQ(plain->context, "git://git.example.com/a.git");
  EXPECT_FALSE(parse_source("https://git.example.com/a.git", {allowed, true})->plain_http);
}

TEST(Source, IsRefusedWhereNothingIsAllowed) {
  EXPECT_FALSE(parse_source("https://github.com/a/b", {{}, false}));
}

// -- The event
// ----------------------------------------------------------------------------------------------------

json example_data() {
  return json::parse(R"({
    "third_party_id": "0307ea43639b4616b044d190310a26bd",
    "parser_id": "0197ad6c10b973b2b854a0e652155b7e",
    "correlation_id": "c-1",
    "job_name": "kaniko-job-0307ea43639b4616b044d190310a26bd-0197ad6c10b973b2b854a0e652155b7e",
    "parameters": {
      "priority": 1,
      "build_type": "container",
      "runtime": "nodejs18",
      "source_url": "https://github.com/notifi/parsers/0197ad6c10b973b2b854a0e652155b7e",
      "build_timeout": 1800,
      "environment": {"NODE_ENV": "production", "BUILD_MODE": "optimized"}
    },
    "priority": 1
  })");
}

cloudevents::Event event_of(std::string data) {
  cloudevents::Event event;
  event.id = "e-1";
  event.source = "s";
  event.type = job_start_type;
  event.data = std::move(data);
  return event;
}

base::Result<JobStart> parse(std::string data) {
  return parse_job_start(event_of(std::move(data)), config::Build{});
}

// The example with one field changed: `pointer` as in "/parameters/priority".
base::Result<JobStart> parse_with(const std::string& pointer, const json& value) {
  json data = example_data();
  data[json::json_pointer(pointer)] = value;
  return parse(data.dump());
}

base::Result<JobStart> parse_without(const std::string& parent, const std::string& name) {
  json data = example_data();
  data[json::json_pointer(parent)].erase(name);
  return parse(data.dump());
}

TEST(JobStart, ReadsTheDocumentsExample) {
  const auto start = parse(example_data().dump());
  ASSERT_TRUE(start) << describe(start.error());
  EXPECT_EQ(start->third_party_id, "0307ea43639b4616b044d190310a26bd");
  EXPECT_EQ(start->parser_id, "0197ad6c10b973b2b854a0e652155b7e");
  EXPECT_EQ(start->correlation_id, "c-1");
  EXPECT_THAT(start->job_name, HasSubstr("kaniko-job-0307"));
  EXPECT_EQ(start->priority, 1);
  EXPECT_EQ(start->runtime, "nodejs18");
  EXPECT_EQ(start->source,
            (Source{"git://github.com/notifi/parsers", "0197ad6c10b973b2b854a0e652155b7e", false}));
  EXPECT_EQ(start->timeout, seconds(1800));
  EXPECT_THAT(start->environment,
              ElementsAre(Pair("BUILD_MODE", "optimized"), Pair("NODE_ENV", "production")));
}

TEST(JobStart, HasDefaultsForWhatIsLeftOut) {
  const auto start =
      parse(R"({"third_party_id":"t","parser_id":"p","parameters":{"source_url":"https://github.com/a/b"}})");
  ASSERT_TRUE(start) << describe(start.error());
  EXPECT_EQ(start->correlation_id, "e-1");
  EXPECT_EQ(start->job_name, "");
  EXPECT_EQ(start->priority, 1);
  EXPECT_EQ(start->runtime, "");
  EXPECT_EQ(start->timeout, seconds(1800));
  EXPECT_TRUE(start->environment.empty());
}

TEST(JobStart, TakesNullForAbsent) {
  for (const std::string name :
       {"/correlation_id", "/job_name", "/priority", "/parameters/priority", "/parameters/build_type",
        "/parameters/runtime", "/parameters/build_timeout", "/parameters/environment"}) {
    EXPECT_TRUE(parse_with(name, nullptr)) << name;
  }
}

TEST(JobStart, LetsUnknownFieldsPass) {
  EXPECT_TRUE(parse_with("/parameters/shiny_new", json::object({{"a", 1}})));
}

TEST(JobStart, TakesTheOuterPriorityThenTheInner) {
  json data = example_data();
  data["priority"] = 0;
  data["parameters"]["priority"] = 10;
  EXPECT_EQ(parse(data.dump())->priority, 0);
  data.erase("priority");
  EXPECT_EQ(parse(data.dump())->priority, 10);
  data["parameters"].erase("priority");
  EXPECT_EQ(parse(data.dump())->priority, 1);
}

TEST(JobStart, RequiresTheRequiredFields) {
  for (const auto& [parent, name] : std::vector<std::pair<std::string, std::string>>{
           {"", "third_party_id"}, {"", "parser_id"}, {"", "parameters"}, {"/parameters", "source_url"}}) {
    const auto start = parse_without(parent, name);
    ASSERT_FALSE(start) << name;
    EXPECT_EQ(start.error().message, "is required");
    EXPECT_EQ(start.error().field, parent.empty() ? "data." + name : "data.parameters." + name);
  }
}

struct RefusedField {
  std::string pointer;
  json value;
  std::string message;
  std::string field = {};  // where it is not the pointer's own path
};

std::string path_of(std::string pointer) {
  for (char& c : pointer) c = c == '/' ? '.' : c;
  return "data" + pointer;
}

TEST(JobStart, RefusesFieldsAndNamesThem) {
  json many = json::object();
  for (int i = 0; i < 65; ++i) many["N" + std::to_string(i)] = "";
  const std::string environment = "/parameters/environment";
  const std::vector<RefusedField> all{
      {"/third_party_id", 5, "type number; accepted: string"},
      {"/third_party_id", nullptr, "is required"},
      {"/third_party_id", "", "is required"},
      {"/third_party_id", std::string(257, 'x'), "257 bytes; accepted: at most 256"},
      {"/third_party_id", "a\nb", "control characters"},
      {"/third_party_id", std::string("a\0b", 3), "control characters"},
      {"/parser_id", json::array(), "type array"},
      {"/correlation_id", 1, "type number"},
      {"/correlation_id", std::string(257, 'x'), "at most 256"},
      {"/job_name", std::string(1025, 'x'), "at most 1024"},
      {"/priority", "1", "type string; accepted: integer"},
      {"/priority", 1.0, "accepted: integer"},
      {"/priority", true, "type boolean"},
      {"/priority", -1, "is -1; accepted: 0 to 10"},
      {"/priority", 11, "is 11; accepted: 0 to 10"},
      {"/priority", 18446744073709551615ULL, "accepted: 0 to 10"},
      {"/parameters/priority", "high", "type string"},
      {"/parameters", "x", "type string; accepted: object"},
      {"/parameters", json::array(), "type array; accepted: object"},
      {"/parameters/build_type", "vm", "accepted: \"container\", \"function\""},
      {"/parameters/build_type", 1, "type number"},
      {"/parameters/runtime", "node js", "letters, digits"},
      {"/parameters/runtime", "../x", "letters, digits"},
      {"/parameters/runtime", std::string(64, 'x'), "at most 63"},
      {"/parameters/source_url", 1, "type number"},
      {"/parameters/source_url", "https://evil.example/a/b", "allows"},
      {"/parameters/source_url", "https://github.com/a/../b", "segment"},
      {"/parameters/build_timeout", 0, "is 0; accepted: 1 to 7200"},
      {"/parameters/build_timeout", 7201, "is 7201; accepted: 1 to 7200"},
      {"/parameters/build_timeout", "1800", "type string; accepted: integer"},
      {environment, json::array(), "type array; accepted: object"},
      {environment, many, "has 65 names; accepted: 64"},
      {environment, {{"A", std::string(32768, 'x')}}, "accepted: 32768"},
      {environment, {{"", "x"}}, "the name \"\""},
      {environment, {{"1A", "x"}}, "the name \"1A\""},
      {environment, {{"A-B", "x"}}, "the name"},
      {environment, {{"A=B", "x"}}, "the name"},
      {environment, {{"HTTP_PROXY", "x"}}, "proxies"},
      {environment, {{"https_proxy", "x"}}, "proxies"},
      {environment, {{"No_Proxy", "x"}}, "proxies"},
      {environment, {{"A", 1}}, "type number; accepted: string", "data.parameters.environment.A"},
      {environment, {{"A", true}}, "type boolean", "data.parameters.environment.A"},
      {environment, {{"A", nullptr}}, "type null", "data.parameters.environment.A"},
      {environment, {{"A", "x\nRUN evil"}}, "control character", "data.parameters.environment.A"},
      {environment, {{"A", std::string("\0", 1)}}, "control character", "data.parameters.environment.A"}};
  for (const RefusedField& bad : all) {
    const auto start = parse_with(bad.pointer, bad.value);
    ASSERT_FALSE(start) << bad.pointer << " " << bad.value;
    EXPECT_EQ(start.error().kind, ErrorKind::invalid);
    EXPECT_EQ(start.error().field, bad.field.empty() ? path_of(bad.pointer) : bad.field);
    EXPECT_THAT(start.error().message, HasSubstr(bad.message)) << bad.pointer << " " << bad.value;
  }
}

TEST(JobStart, AcceptsFieldsAtTheirBounds) {
  EXPECT_TRUE(parse_with("/third_party_id", std::string(256, 'x')));
  EXPECT_TRUE(parse_with("/third_party_id", "tenant / é"));
  EXPECT_TRUE(parse_with("/parameters/build_timeout", 1));
  EXPECT_TRUE(parse_with("/parameters/build_timeout", 7200));
  EXPECT_TRUE(parse_with("/parameters/environment", {{"_a1", "tab\t and = and $(x) and é"}}));
  EXPECT_TRUE(parse_with("/parameters/environment", {{"A", std::string(32 * 1024 - 1, 'x')}}));
}

TEST(JobStart, BuildsAFunctionOfAConfiguredRuntime) {
  config::Build settings;
  settings.runtimes = {{"go", {}}, {"nodejs18", {}}};
  json data = example_data();
  data["parameters"]["build_type"] = "function";
  auto start = parse_job_start(event_of(data.dump()), settings);
  ASSERT_TRUE(start) << describe(start.error());
  EXPECT_EQ(start->build_type, BuildType::function);
  EXPECT_EQ(start->runtime, "nodejs18");
  for (const json& runtime : {json("nodejs20"), json(nullptr), json(""), json("GO"), json("g")}) {
    data["parameters"]["runtime"] = runtime;
    start = parse_job_start(event_of(data.dump()), settings);
    ASSERT_FALSE(start) << runtime;
    EXPECT_EQ(start.error().field, "data.parameters.runtime");
    EXPECT_THAT(start.error().message, HasSubstr("accepted: go, nodejs18")) << runtime;
  }
  start = parse_job_start(event_of(data.dump()), {});
  EXPECT_THAT(start.error().message, HasSubstr("build.runtimes of the installation is empty"));
}

TEST(JobStart, IsTheSameByItsDirectType) {
  cloudevents::Event event = event_of(example_data().dump());
  const auto job_start = parse_job_start(event, {});
  event.type = build_start_type;
  const auto build_start = parse_job_start(event, {});
  ASSERT_TRUE(build_start) << describe(build_start.error());
  EXPECT_EQ(build_start->source, job_start->source);
  EXPECT_EQ(build_start->environment, job_start->environment);
}

TEST(JobStart, ReadsTheRedriveAttempt) {
  cloudevents::Event event = event_of(example_data().dump());
  EXPECT_EQ(parse_job_start(event, {}).value().redrive_attempt, 0U);
  for (const char* attempt : {"1", "2", "1000"}) {
    event.extensions["lambdaattempt"] = attempt;
    EXPECT_EQ(std::to_string(parse_job_start(event, {}).value().redrive_attempt), attempt);
  }
  for (const char* wrong : {"0", "-1", "1001", "01", "+1", " 1", "1.0", "one", "", "4294967297"}) {
    event.extensions["lambdaattempt"] = wrong;
    const auto start = parse_job_start(event, {});
    ASSERT_FALSE(start) << wrong;
    EXPECT_EQ(start.error().kind, ErrorKind::invalid);
    EXPECT_EQ(start.error().field, "lambdaattempt");
    EXPECT_THAT(start.error().message, HasSubstr("accepted: 1 to 1000"));
  }
}

// The event around the data takes a level, and all of it has to be read back from the annotation.
TEST(JobStart, LeavesALevelOfNestingToTheEvent) {
  const auto nested = [](std::size_t levels) {
    json data = example_data();
    data["deep"] = json::parse(std::string(levels - 1, '[') + std::string(levels - 1, ']'));
    return data.dump();
  };
  EXPECT_TRUE(parse(nested(63)));
  EXPECT_EQ(parse(nested(64)).error().field, "data");
}

struct RefusedData {
  std::string data;
  const char* message;
};

TEST(JobStart, RefusesDataThatIsNoJsonObject) {
  for (const auto& [data, message] :
       std::vector<RefusedData>{{"", "is required"},
                                {"{", "is not JSON"},
                                {"[]", "type array; accepted: object"},
                                {"\"{}\"", "type string; accepted: object"},
                                {R"({"priority":1,"priority":2})", "more than once"},
                                {std::string(1 << 20, '['), "nested deeper"}}) {
    const auto start = parse(data);
    ASSERT_FALSE(start);
    EXPECT_EQ(start.error().field, "data");
    EXPECT_THAT(start.error().message, HasSubstr(message));
  }
}

TEST(JobStart, RefusesOtherTypesAndMediaTypes) {
  cloudevents::Event event = event_of(example_data().dump());
  event.type = "other";
  EXPECT_EQ(parse_job_start(event, {}).error().field, "type");
  event.type = job_start_type;
  event.datacontenttype = "text/plain";
  EXPECT_EQ(parse_job_start(event, {}).error().field, "datacontenttype");
  EXPECT_EQ(parse_job_start(event, {}).error().kind, ErrorKind::unsupported);
}

}  // namespace
}  // namespace lambda::event
