// kube::Api with the real API server (KUBECONFIG, which `hack/test component` sets).
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kube/answer.h"
#include "kube/api.h"
#include "support/imposter.h"
#include "support/kubernetes.h"
#include "support/run.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;
using base::milliseconds;
using nlohmann::json;
using support::Imposter;
using support::in_order;

// Leases serve as any object here: they are small, and nothing looks after them.
class TheApi : public testing::Test {
 protected:
  json lease(const std::string& name) const {
    return {{"apiVersion", "coordination.k8s.io/v1"},
            {"kind", "Lease"},
            {"metadata", {{"namespace", space_.name()}, {"name", name}, {"labels", {{"test", "yes"}}}}},
            {"spec", {{"holderIdentity", "me"}}}};
  }
  auto get(const std::string& name) const { return api_.get(resources::lease, space_.name(), name); }

  support::KubernetesNamespace space_;
  Api api_{space_.client()};
};

TEST_F(TheApi, CreatesGetsUpdatesAndDeletes) {
  const auto created = api_.create(lease("a"), "tester");
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_TRUE(is_already_there(api_.create(lease("a")).error()));
  json changed = *get("a");
  EXPECT_EQ(changed, *created);
  changed["spec"]["holderIdentity"] = "you";
  const auto updated = api_.update(changed);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)["spec"]["holderIdentity"], "you");
  EXPECT_TRUE(is_stale(api_.update(changed).error()));  // it has the old resource version
  EXPECT_TRUE(api_.remove(resources::lease, space_.name(), "a"));
  EXPECT_EQ(get("a").error().kind, ErrorKind::not_found);
  EXPECT_EQ(api_.remove(resources::lease, space_.name(), "a").error().kind, ErrorKind::not_found);
}

TEST_F(TheApi, AnApplyCreatesAndThenChangesNothingOfTheSame) {
  const ApplyOptions options{.field_manager = "tester"};
  const auto first = api_.apply(lease("a"), options);
  ASSERT_TRUE(first) << first.error().message;
  const auto again = api_.apply(lease("a"), options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)["metadata"]["resourceVersion"], (*first)["metadata"]["resourceVersion"]);
  json other = lease("a");
  other["spec"]["holderIdentity"] = "you";
  const auto refused = api_.apply(other, {.field_manager = "another", .force = false});
  EXPECT_TRUE(is_stale(refused.error())) << refused.error().message;  // 409: it is another manager's field
  EXPECT_EQ((*api_.apply(other, {.field_manager = "another"}))["spec"]["holderIdentity"], "you");
}

TEST_F(TheApi, AnApplyToAnotherStateOrAnotherObjectIsStale) {
  const auto first = api_.apply(lease("a"), {.field_manager = "tester"});
  ASSERT_TRUE(first) << first.error().message;
  json of_old_state = lease("a");
  of_old_state["metadata"]["resourceVersion"] = (*first)["metadata"]["resourceVersion"];
  of_old_state["spec"]["holderIdentity"] = "you";
  ASSERT_TRUE(api_.apply(of_old_state, {.field_manager = "tester"}));
  of_old_state["spec"]["holderIdentity"] = "them";
  EXPECT_TRUE(is_stale(api_.apply(of_old_state, {.field_manager = "tester"}).error()));
  json of_another = lease("a");
  of_another["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000";
  EXPECT_TRUE(is_stale(api_.apply(of_another, {.field_manager = "tester"}).error()));
}

TEST_F(TheApi, FinalizersAreSetInOneStateOnly) {
  const auto created = api_.create(lease("a"));
  ASSERT_TRUE(created) << created.error().message;
  const std::string version = (*created)["metadata"]["resourceVersion"];
  const auto patch = [&](const json& finalizers, const std::string& resource_version) {
    return api_.patch(resources::lease, space_.name(), "a", PatchKind::merge,
                      finalizers_patch(finalizers, resource_version));
  };
  const auto patched = patch({"example.com/f"}, version);
  ASSERT_TRUE(patched) << patched.error().message;
  EXPECT_TRUE(is_stale(patch(json::array(), version).error()));
  const auto deleted = api_.remove(resources::lease, space_.name(), "a");
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_TRUE((*deleted)["metadata"].contains("deletionTimestamp"));
  EXPECT_TRUE(patch(json::array(), (*deleted)["metadata"]["resourceVersion"]));
  EXPECT_EQ(get("a").error().kind, ErrorKind::not_found);
}

TEST_F(TheApi, AJsonPatchTestsWhatItChanges) {
  ASSERT_TRUE(api_.create(lease("a")));
  const auto patch = [&](const char* expected) {
    return api_.patch(resources::lease, space_.name(), "a", PatchKind::json,
                      {{{"op", "test"}, {"path", "/spec/holderIdentity"}, {"value", expected}},
                       {{"op", "replace"}, {"path", "/spec/holderIdentity"}, {"value", "you"}}});
  };
  EXPECT_FALSE(patch("them"));
  EXPECT_EQ((*patch("me"))["spec"]["holderIdentity"], "you");
}

TEST_F(TheApi, ADeleteIsOfThatVeryObject) {
  const auto created = api_.create(lease("a"));
  ASSERT_TRUE(created) << created.error().message;
  const auto remove = [&](const DeleteOptions& options) {
    return api_.remove(resources::lease, space_.name(), "a", options);
  };
  EXPECT_TRUE(is_stale(remove({.uid = "00000000-0000-0000-0000-000000000000"}).error()));
  EXPECT_TRUE(is_stale(remove({.resource_version = "1"}).error()));
  EXPECT_TRUE(remove({.uid = (*created)["metadata"]["uid"]}));
}

TEST_F(TheApi, ListsByPagesAndSelectors) {
  for (const char* const name : {"a", "b", "c"}) ASSERT_TRUE(api_.create(lease(name)));
  const Selection all{.namespace_name = space_.name(), .label_selector = "test=yes"};
  const auto first = api_.list(resources::lease, all, {.limit = 2});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ((*first)["items"].size(), 2U);
  const auto rest =
      api_.list(resources::lease, all, {.limit = 2, .continue_token = (*first)["metadata"]["continue"]});
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_EQ((*rest)["items"].size(), 1U);
  const auto one =
      api_.list(resources::lease, {.namespace_name = space_.name(), .field_selector = "metadata.name=b"});
  EXPECT_EQ((*one)["items"][0]["metadata"]["name"], "b");
  EXPECT_TRUE((*api_.list(resources::lease,
                          {.namespace_name = space_.name(), .label_selector = "test!=yes"}))["items"]
                  .empty());
}

TEST_F(TheApi, AKindThatIsNotInstalledIsNotFound) {
  const Resource no_such{"no-such.example.com/v1", "Thing", "things"};
  EXPECT_EQ(api_.list(no_such, {}).error().kind, ErrorKind::not_found);
}

TEST(AnApi, AsksBeforeItWritesAndNotBeforeItReads) {
  Imposter imposter(in_order({http::Response{200, "", "{}", {}}}));
  const auto client = std::make_shared<RestClient>(imposter.cluster());
  int asked = 0;
  const Api refused(client, support::patience, [&]() -> base::Result<milliseconds> {
    ++asked;
    return base::fail(ErrorKind::unavailable, "not we");
  });
  const json object{
      {"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"namespace", "n"}, {"name", "s"}}}};
  EXPECT_FALSE(refused.create(object));
  EXPECT_FALSE(refused.update(object));
  EXPECT_FALSE(refused.apply(object, {.field_manager = "m"}));
  EXPECT_FALSE(refused.patch(resources::secret, "n", "s", PatchKind::merge, json::object()));
  EXPECT_EQ(refused.remove(resources::secret, "n", "s").error().message, "not we");
  EXPECT_EQ(asked, 5);
  EXPECT_TRUE(imposter.requests().empty());
  EXPECT_TRUE(refused.get(resources::secret, "n", "s"));
  EXPECT_EQ(asked, 5);
}

TEST(AnApi, AWriteGetsNoMoreTimeThanItIsAllowed) {
  Imposter imposter(
      [](const http::Request&, support::Wire& wire) {
        wire.wait_for_the_end();
        return true;
      },
      in_order({std::nullopt}));
  const Api api(std::make_shared<RestClient>(imposter.cluster()), support::patience,
                [] { return base::Result<milliseconds>(50); });
  EXPECT_EQ(api.remove(resources::secret, "n", "s").error().kind, ErrorKind::timeout);
}

TEST(AnApi, KeepsTheEndOfALogHoweverLongItIs) {
  support::Imposter imposter(
      [](const http::Request& request, support::Wire& wire) {
        if (!request.path.ends_with("/log")) return false;
        wire.begin();
        for (int i = 0; i < 1000; ++i) wire.chunk(std::string(1000, 'x'));
        wire.chunk("the end");
        wire.end();
        return true;
      },
      [](const http::Request&) { return support::status_answer(404, "NotFound"); });
  const Api api(std::make_shared<RestClient>(imposter.cluster()));
  EXPECT_EQ(api.log_tail("n", "p", "kaniko", 300, 10), "xxxthe end");
  EXPECT_EQ(api.log_tail("n", "p", "kaniko", 300, 2'000'000)->size(), 1'000'007U);
}

TEST(AnApi, AnAnswerThatIsNoObjectIsUnavailable) {
  Imposter imposter(in_order({http::Response{200, "", "<html>", {}}, http::Response{200, "", "[]", {}}}));
  const Api api(std::make_shared<RestClient>(imposter.cluster()));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(api.get(resources::secret, "n", "s").error().kind, ErrorKind::unavailable);
}

}  // namespace
}  // namespace lambda::kube
