#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kube/answer.h"
#include "kube/object_request.h"
#include "kube/resource.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;
using nlohmann::json;

const json queue = json::parse(R"({"apiVersion": "rabbitmq.com/v1beta1", "kind": "Queue",
                                   "metadata": {"namespace": "rabbitmq-dev", "name": "kaniko-jobs"}})");

TEST(Resource, IsFoundByWhatStandsInAnObject) {
  EXPECT_EQ(resource_of(queue), resources::rabbitmq_queue);
  EXPECT_EQ(find_resource("v1", "Secret"), resources::secret);
  EXPECT_EQ(find_resource("v2", "Secret").error().kind, ErrorKind::unsupported);
  EXPECT_FALSE(resource_of(json::array()));
  EXPECT_FALSE(resource_of(json{{"apiVersion", 1}, {"kind", "Queue"}}));
}

TEST(Resource, IsNamedAsKubectlDoes) {
  EXPECT_EQ(to_string(resources::rabbitmq_queue), "queues.rabbitmq.com");
  EXPECT_EQ(to_string(resources::secret), "secrets");
}

TEST(ObjectRequest, PathsAreThoseOfTheKind) {
  EXPECT_EQ(get_object(resources::secret, "a", "b")->target, "/api/v1/namespaces/a/secrets/b");
  EXPECT_EQ(get_object(resources::rabbitmq_queue, "a", "b.c:d")->target,
            "/apis/rabbitmq.com/v1beta1/namespaces/a/queues/b.c%3Ad");
  EXPECT_EQ(get_object(resources::custom_resource_definition, "", "b")->target,
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/b");
}

TEST(ObjectRequest, ANameThatIsNoSegmentOfAPathIsRefused) {
  for (const char* const name : {"", ".", "..", "a/b", "a%2Fb", "a\nb"}) {
    EXPECT_EQ(get_object(resources::secret, "a", name).error().kind, ErrorKind::invalid) << name;
    EXPECT_FALSE(delete_object(resources::secret, "a", name)) << name;
    EXPECT_FALSE(patch_object(resources::secret, "a", name, PatchKind::merge, {})) << name;
  }
  EXPECT_FALSE(get_object(resources::secret, "", "b"));  // would be a path of another kind
  EXPECT_FALSE(delete_object(resources::secret, "a/b", "c"));
  EXPECT_FALSE(list_objects(resources::secret, {.namespace_name = ".."}));
}

TEST(ObjectRequest, AListSaysWhichAndHowMany) {
  EXPECT_EQ(list_objects(resources::job, {})->target, "/apis/batch/v1/jobs");
  EXPECT_EQ(
      list_objects(resources::job,
                   {.namespace_name = "n", .label_selector = "a=b,c!=d", .field_selector = "metadata.name=x"},
                   {.limit = 500, .continue_token = "t&=", .resource_version = "0"})
          ->target,
      "/apis/batch/v1/namespaces/n/jobs?labelSelector=a%3Db%2Cc%21%3Dd&fieldSelector=metadata.name%3Dx"
      "&limit=500&continue=t%26%3D&resourceVersion=0");
}

TEST(ObjectRequest, AWatchBeginsWhereTheListEnded) {
  EXPECT_EQ(
      watch_objects(resources::pod, {.namespace_name = "n"},
                    {.resource_version = "7", .timeout = std::chrono::minutes(5)})
          ->target,
      "/api/v1/namespaces/n/pods?watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=300");
}

TEST(ObjectRequest, ALogIsThatOfOneContainerAndNoObject) {
  const auto request = read_log("n", "p", "kaniko", 300);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->target, "/api/v1/namespaces/n/pods/p/log?container=kaniko&tailLines=300");
  EXPECT_EQ(request->accept, "*/*");
  EXPECT_FALSE(read_log("n", "../secrets", "kaniko", 300));
}

TEST(ObjectRequest, ACreateGoesToTheKindAndAnUpdateToTheObject) {
  const auto create = create_object(queue, "us");
  EXPECT_EQ(create->method, Method::post);
  EXPECT_EQ(create->target, "/apis/rabbitmq.com/v1beta1/namespaces/rabbitmq-dev/queues?fieldManager=us");
  EXPECT_EQ(json::parse(create->body), queue);
  const auto update = update_object(queue);
  EXPECT_EQ(update->method, Method::put);
  EXPECT_EQ(update->target, "/apis/rabbitmq.com/v1beta1/namespaces/rabbitmq-dev/queues/kaniko-jobs");
  json nowhere = queue;
  nowhere["metadata"].erase("namespace");
  EXPECT_FALSE(create_object(nowhere));
  EXPECT_FALSE(update_object(nowhere));
}

TEST(ObjectRequest, AnApplyHasAManagerAndItsOwnMediaType) {
  const auto apply = apply_object(queue, {.field_manager = "us"});
  EXPECT_EQ(apply->method, Method::patch);
  EXPECT_EQ(apply->content_type, "application/apply-patch+yaml");
  EXPECT_EQ(
      apply->target,
      "/apis/rabbitmq.com/v1beta1/namespaces/rabbitmq-dev/queues/kaniko-jobs?fieldManager=us&force=true");
  EXPECT_EQ(
      apply_object(queue, {.field_manager = "us", .force = false, .status = true, .dry_run = true})->target,
      "/apis/rabbitmq.com/v1beta1/namespaces/rabbitmq-dev/queues/kaniko-jobs/"
      "status?fieldManager=us&dryRun=All");
  EXPECT_FALSE(apply_object(queue, {}));
}

TEST(ObjectRequest, PatchesAreOfTwoKinds) {
  const auto merge =
      patch_object(resources::job_queue, "n", "q", PatchKind::merge, finalizers_patch({"f"}, "9"));
  EXPECT_EQ(merge->content_type, "application/merge-patch+json");
  EXPECT_EQ(merge->body, R"({"metadata":{"finalizers":["f"],"resourceVersion":"9"}})");
  const auto patch =
      patch_object(resources::job_queue, "n", "q", PatchKind::json, json::array(), {.status = true});
  EXPECT_EQ(patch->content_type, "application/json-patch+json");
  EXPECT_THAT(patch->target, testing::EndsWith("/jobqueues/q/status"));
}

TEST(ObjectRequest, ADeleteIsOfThatVeryObject) {
  const auto request = delete_object(resources::job, "n", "j",
                                     {.uid = "u", .resource_version = "3", .propagation = "Background"});
  EXPECT_EQ(request->method, Method::del);
  EXPECT_EQ(json::parse(request->body),
            json::parse(R"({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
                            "preconditions": {"uid": "u", "resourceVersion": "3"}})"));
  EXPECT_FALSE(json::parse(delete_object(resources::job, "n", "j")->body).contains("preconditions"));
}

Answer conflict(const char* reason) {
  return {409, R"({"kind":"Status","reason":")" + std::string(reason) + R"("})", std::nullopt};
}

TEST(Answer, TheTwo409sAreToldApart) {
  const base::Error there = to_error(conflict("AlreadyExists"));
  const base::Error stale = to_error(conflict("Conflict"));
  EXPECT_TRUE(is_already_there(there));
  EXPECT_FALSE(is_stale(there));
  EXPECT_TRUE(is_stale(stale));
  EXPECT_FALSE(is_already_there(stale));
  const base::Error other{.kind = ErrorKind::conflict, .message = "of ours", .field = {}};
  EXPECT_FALSE(is_already_there(other));
}

TEST(Answer, AStatusOutOfAWatchIsAnErrorToo) {
  const base::Error gone =
      to_error(json{{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old"}});
  EXPECT_TRUE(is_expired(gone));
  EXPECT_THAT(gone.message, testing::HasSubstr("too old"));
  EXPECT_EQ(to_error(json("nonsense")).kind, ErrorKind::unavailable);
}

}  // namespace
}  // namespace lambda::kube
