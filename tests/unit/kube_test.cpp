#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/base64.h"
#include "kube/answer.h"
#include "kube/cluster.h"
#include "kube/request.h"
#include "kube/retry.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;
using base::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST(Request, ACreateAsksForMetadataOnlyAndNoFieldValidation) {
  const Request expected{
      Method::post, "/apis/batch/v1/namespaces/builds/jobs?fieldValidation=Ignore",
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
      "{}"};
  EXPECT_EQ(create_job("builds", "{}"), expected);
  EXPECT_EQ(create_job("builds", "k8s", protobuf_type)->content_type, "application/vnd.kubernetes.protobuf");
}

TEST(Request, ADryRunIsStrictAndWritesNothing) {
  EXPECT_EQ(dry_run_create_job("builds", "{}")->target,
            "/apis/batch/v1/namespaces/builds/jobs?dryRun=All&fieldValidation=Strict");
}

TEST(Request, AnEmptyOrStrangeNameMakesNoRequest) {
  EXPECT_EQ(get_job_metadata("builds", "a")->target, "/apis/batch/v1/namespaces/builds/jobs/a");
  EXPECT_FALSE(get_job_metadata("builds", ""));  // would be a list
  EXPECT_FALSE(get_job_metadata("", "a"));
  EXPECT_FALSE(get_job_metadata("builds", "a/../../x"));
  EXPECT_FALSE(create_job("builds?x", "{}"));
}

TEST(Request, ATokenReviewAsksForOneAudience) {
  const Request expected{Method::post, "/apis/authentication.k8s.io/v1/tokenreviews", "application/json",
                         R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview",)"
                         R"("spec":{"audiences":["builder"],"token":"a\"b"}})"};
  EXPECT_EQ(review_token("a\"b", "builder"), expected);
  EXPECT_FALSE(review_token("", "builder"));
  EXPECT_FALSE(review_token("token", ""));  // would be a review for any audience
  EXPECT_FALSE(review_token("\xFF", "builder"));
}

struct Meaning {
  unsigned status;
  const char* reason;
  ErrorKind kind;
};

TEST(Answer, StatusAndReasonSayWhoseTroubleItIs) {
  const Meaning meanings[] = {
      {400, "BadRequest", ErrorKind::invalid},
      {401, "Unauthorized", ErrorKind::unauthenticated},
      {403, "Forbidden", ErrorKind::forbidden},
      {404, "NotFound", ErrorKind::not_found},
      {409, "AlreadyExists", ErrorKind::conflict},
      {409, "Conflict", ErrorKind::unavailable},  // a quota that was changed meanwhile
      {413, "RequestEntityTooLarge", ErrorKind::too_large},
      {422, "Invalid", ErrorKind::invalid},
      {429, "TooManyRequests", ErrorKind::unavailable},
      {500, "InternalError", ErrorKind::unavailable},
      {503, "ServiceUnavailable", ErrorKind::unavailable},
      {504, "Timeout", ErrorKind::timeout},
      {302, "", ErrorKind::unavailable},
      {418, "", ErrorKind::unavailable},
  };
  for (const Meaning& meaning : meanings) {
    const Answer answer{
        meaning.status, std::string(R"({"kind":"Status","reason":")") + meaning.reason + R"("})", {}};
    EXPECT_EQ(to_error(answer).kind, meaning.kind) << meaning.status << " " << meaning.reason;
  }
}

TEST(Answer, TheErrorQuotesTheApiServerAndNamesTheField) {
  const Answer answer{422,
                      R"({"kind":"Status","reason":"Invalid","message":"Job \"x\" is invalid",
                          "details":{"causes":[{"field":"spec.template","message":"Required"}]}})",
                      seconds(7)};
  const base::Error error = to_error(answer);
  EXPECT_THAT(error.message, HasSubstr("422 Invalid: Job \"x\" is invalid"));
  EXPECT_EQ(error.field, "spec.template");
  EXPECT_EQ(error.retry_after, seconds(7));
  EXPECT_EQ(error.http_status, 422U);
}

TEST(Answer, BodiesThatAreNoStatusAreSurvived) {
  for (const char* body : {"", "<html>", "[]", "null", R"({"reason":5,"message":[],"details":7})",
                           R"({"details":{"causes":{}}})", R"({"details":{"causes":[1]}})", "\xFF\xFE"}) {
    EXPECT_EQ(to_error(Answer{503, body, {}}).kind, ErrorKind::unavailable) << body;
  }
}

TEST(RetryPolicy, WaitsLongerEachTimeAndEndsAfterItsRetries) {
  const RetryPolicy policy{2, {milliseconds(100)}};
  const base::Error error{ErrorKind::unavailable, "", ""};
  const base::TimePoint now{};
  const base::Random most = [] { return 0.99; };
  EXPECT_EQ(policy.next_delay(0, error, now, now + seconds(10), most), milliseconds(99));
  EXPECT_EQ(policy.next_delay(1, error, now, now + seconds(10), most), milliseconds(198));
  EXPECT_EQ(policy.next_delay(2, error, now, now + seconds(10), most), std::nullopt);
}

TEST(RetryPolicy, HonoursRetryAfterAndTheDeadline) {
  const RetryPolicy policy;
  base::Error error{ErrorKind::unavailable, "", "", seconds(3)};
  const base::TimePoint now{};
  const base::Random least = [] { return 0.0; };
  EXPECT_EQ(policy.next_delay(0, error, now, now + seconds(10), least), seconds(3));
  EXPECT_EQ(policy.next_delay(0, error, now, now + seconds(2), least), std::nullopt);
  error.retry_after = seconds(9'000'000'000'000'000);
  EXPECT_EQ(policy.next_delay(0, error, now, now + seconds(10), least), std::nullopt);
}

TEST(RetryPolicy, DoesNotRepeatWhatOnlyAPersonMends) {
  const RetryPolicy policy;
  const base::TimePoint now{};
  for (const ErrorKind kind :
       {ErrorKind::invalid, ErrorKind::forbidden, ErrorKind::not_found, ErrorKind::conflict}) {
    EXPECT_EQ(policy.next_delay(0, {kind, "", ""}, now, now + seconds(10), [] { return 0.0; }), std::nullopt);
  }
}

class Files : public testing::Test {
 protected:
  Files() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kube-test-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Files() override { std::filesystem::remove_all(folder_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string kubeconfig(const std::string& cluster, const std::string& user) {
    return write("kubeconfig",
                 "current-context: c\n"
                 "contexts: [{name: other, context: {}}, {name: c, context: {cluster: k, user: u}}]\n"
                 "clusters: [{name: k, cluster: " +
                     cluster +
                     "}]\n"
                     "users: [{name: u, user: " +
                     user + "}]\n");
  }

  std::string folder_;
};

using Kubeconfig = Files;
using InCluster = Files;
using Token = Files;

TEST_F(Kubeconfig, GivesTheCurrentContextWithDataOrFiles) {
  write("client.crt", "CERT");
  const auto cluster = load_kubeconfig(kubeconfig(
      "{server: 'https://[::1]:6443/prefix/', certificate-authority-data: " + base::to_base64("CA") +
          ", tls-server-name: api}",
      "{token: secret, client-certificate: client.crt, client-key-data: " + base::to_base64("KEY") + "}"));
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_EQ(cluster->url(), "https://[::1]:6443/prefix");
  EXPECT_EQ(cluster->ca_pem, "CA");
  EXPECT_EQ(cluster->server_name(), "api");
  EXPECT_EQ(cluster->token, "secret");
  EXPECT_EQ(cluster->client_certificate_pem, "CERT");
  EXPECT_EQ(cluster->client_key_pem, "KEY");
}

TEST_F(Kubeconfig, WhatItCannotHonourIsRefusedByName) {
  const std::string server = "server: 'https://h'";
  const std::pair<std::string, std::string> refused[] = {
      {kubeconfig("{" + server + ", insecure-skip-tls-verify: true}", "{}"), "insecure-skip-tls-verify"},
  };
  for (const auto& [file, field] : refused) EXPECT_EQ(load_kubeconfig(file).error().field, field);
  EXPECT_EQ(load_kubeconfig(kubeconfig("{" + server + "}", "{exec: {command: x}}")).error().field,
            "users.user.exec");
  EXPECT_EQ(
      load_kubeconfig(kubeconfig("{" + server + ", certificate-authority-data: '*'}", "{}")).error().field,
      "certificate-authority-data");
}

TEST_F(Kubeconfig, BrokenFilesAreErrorsThatNameTheFile) {
  for (const char* content : {"", "[", "a: b", "current-context: nowhere", "42",
                              "current-context: c\ncontexts: [{name: c, context: {cluster: missing}}]"}) {
    const auto cluster = load_kubeconfig(write("broken", content));
    ASSERT_FALSE(cluster) << content;
    EXPECT_THAT(cluster.error().message, HasSubstr("broken"));
  }
  EXPECT_THAT(load_kubeconfig(folder_ + "/missing").error().message, HasSubstr("missing"));
}

TEST_F(Kubeconfig, ServersAreUrlsOfHostAndPort) {
  for (const char* bad :
       {"ftp://h", "h:1", "https://", "https://h:0", "https://h:x", "https://u@h", "https://[::1"}) {
    EXPECT_FALSE(load_kubeconfig(kubeconfig("{server: '" + std::string(bad) + "'}", "{}"))) << bad;
  }
  EXPECT_EQ(load_kubeconfig(kubeconfig("{server: 'http://127.0.0.1:1'}", "{}"))->url(), "http://127.0.0.1:1");
}

TEST_F(InCluster, ReadsWhatKubernetesMounts) {
  write("ca.crt", "CA");
  const std::map<std::string, std::string> environment{{"KUBERNETES_SERVICE_HOST", "10.0.0.1"},
                                                       {"KUBERNETES_SERVICE_PORT", "443"}};
  const auto get = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  const auto cluster = in_cluster(get, folder_);
  ASSERT_TRUE(cluster);
  EXPECT_EQ(cluster->url(), "https://10.0.0.1:443");
  EXPECT_EQ(cluster->token_file, folder_ + "/token");
  EXPECT_THAT(in_cluster([](const char*) { return nullptr; }, folder_).error().message,
              HasSubstr("kubernetes.kubeconfig"));
}

TEST_F(Token, IsReadAgainAfterAMinuteOrWhenRefused) {
  Cluster cluster;
  cluster.token_file = write("token", "first\n");
  BearerToken token(cluster);
  const base::TimePoint start{};
  EXPECT_EQ(token.current(start), "first");
  write("token", "second");
  EXPECT_EQ(token.current(start + seconds(59)), "first");
  EXPECT_EQ(token.current(start + seconds(60)), "second");
  write("token", "third");
  EXPECT_TRUE(token.refresh());
  EXPECT_EQ(token.current(start + seconds(61)), "third");
}

TEST_F(Token, AFileThatVanishesLeavesTheLastToken) {
  Cluster cluster;
  cluster.token_file = write("token", "first");
  BearerToken token(cluster);
  EXPECT_EQ(token.current(base::TimePoint{}), "first");
  std::filesystem::remove(cluster.token_file);
  EXPECT_EQ(token.current(base::TimePoint{} + seconds(120)), "first");
}

TEST_F(Token, AFixedTokenHasNothingToReadAgain) {
  Cluster cluster;
  cluster.token = "fixed";
  BearerToken token(cluster);
  EXPECT_EQ(token.current(base::TimePoint{}), "fixed");
  EXPECT_FALSE(token.refresh());
}

}  // namespace
}  // namespace lambda::kube
