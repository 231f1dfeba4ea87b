// Objects of a JobQueue at the real API server: which it makes, puts right, and leaves alone. A Lease stands
// for all kinds: it needs no definition that somebody has to install.
#include "reconcile/children.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "api/reasons.h"
#include "base/log.h"
#include "metrics/registry.h"
#include "support/imposter.h"
#include "support/kubernetes.h"
#include "support/run.h"

namespace lambda::reconcile {
namespace {

using judgement::Repaired;
using nlohmann::json;
using testing::ElementsAre;
using testing::EndsWith;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AChild : public testing::Test {
 protected:
  AChild() { queue_.meta.key = {.namespace_name = space_.name(), .name = "kaniko-jobs"}; }

  json lease(const json& labels, const std::string& holder) const {
    return {{"apiVersion", "coordination.k8s.io/v1"},
            {"kind", "Lease"},
            {"metadata", {{"namespace", space_.name()}, {"name", "a"}, {"labels", labels}}},
            {"spec", {{"holderIdentity", holder}}}};
  }
  json wanted() const { return lease(desired::labels_of(queue_), "wanted"); }

  AppliedChildren apply() {
    auto applied = Children(api_, watches_).apply(queue_, {wanted()}, {});
    EXPECT_TRUE(applied) << describe(applied.error());
    return applied ? std::move(*applied) : AppliedChildren();
  }

  json live() {
    const auto found = api_.get(kube::resources::lease, space_.name(), "a");
    EXPECT_TRUE(found) << describe(found.error());
    return found.value_or(json());
  }

  void make_by_hand(const json& labels) {
    const auto made = api_.create(lease(labels, "somebody"), "kubectl-create");
    ASSERT_TRUE(made) << describe(made.error());
  }

  void set_labels(const json& labels) {
    const auto patched = api_.patch(kube::resources::lease, space_.name(), "a", kube::PatchKind::merge,
                                    {{"metadata", {{"labels", labels}}}}, {.field_manager = "kubectl-label"});
    ASSERT_TRUE(patched) << describe(patched.error());
  }

  void expect_as_wanted() {
    const json found = live();
    EXPECT_EQ(found["spec"]["holderIdentity"], "wanted");
    EXPECT_EQ(found["metadata"]["labels"], wanted()["metadata"]["labels"]);
  }

  void expect_left_alone(std::string_view reason, const std::string& message) {
    const json before = live();
    const AppliedChildren applied = apply();
    ASSERT_THAT(applied.troubles, SizeIs(1));
    EXPECT_EQ(applied.troubles[0].trouble.reason, reason);
    EXPECT_THAT(applied.troubles[0].trouble.message, HasSubstr(message));
    EXPECT_FALSE(applied.changed());
    EXPECT_EQ(live(), before);
  }

  static auto repaired(const char* change) {
    return ElementsAre(Field("text", &Repaired::text, EndsWith(change)));
  }

  support::KubernetesNamespace space_;
  api::JobQueue queue_;
  kube::Api api_{space_.client(), support::patience};
  metrics::Registry registry_;
  base::Log log_{base::Level::error};
  Watches watches_{space_.name(),
                   {.on_job_queue = [](const api::ObjectKey&) {},
                    .on_redrive = [](const api::ObjectKey&) {},
                    .on_child = [](const std::optional<api::ObjectKey>&) {}},
                   space_.client(),
                   registry_,
                   log_};
};

TEST_F(AChild, IsMadeAndThenLeftAsItIs) {
  EXPECT_THAT(apply().repaired, repaired("was missing"));
  expect_as_wanted();
  const json before = live();
  EXPECT_THAT(apply().repaired, IsEmpty());
  EXPECT_EQ(live(), before);
}

TEST_F(AChild, ThatLostItsLabelsIsPutRight) {
  apply();
  set_labels({{"app.kubernetes.io/managed-by", nullptr},
              {"lambda.notifi.network/job-queue", nullptr},
              {"lambda.notifi.network/job-queue-namespace", nullptr}});
  EXPECT_THAT(apply().repaired, repaired("was edited"));
  expect_as_wanted();
}

TEST_F(AChild, ThatSomebodyElseMadeIsNotTakenOver) {
  make_by_hand({{"app", "theirs"}});
  expect_left_alone(api::reason::foreign_object, "hand it over by the label");
}

TEST_F(AChild, ThatIsHandedOverIsTakenOver) {
  make_by_hand(json::object());
  set_labels({{"app.kubernetes.io/managed-by", "knative-lambda-operator"}});
  EXPECT_THAT(apply().repaired, repaired("was edited"));
  expect_as_wanted();
}

TEST_F(AChild, OfAnotherJobQueueIsLeftToIt) {
  apply();
  set_labels({{"lambda.notifi.network/job-queue", "older"}});
  expect_left_alone(api::reason::claimed, "belongs to JobQueue " + space_.name() + "/older");
}

// Its controller, which puts its finalizer back at once, would delete the queue by figures that are some
// seconds old. An imposter, because nobody can be that fast on purpose.
TEST_F(AChild, OfTheBrokerIsDeletedOnlyInTheStateWithoutFinalizers) {
  json queue = {{"apiVersion", "rabbitmq.com/v1beta1"},
                {"kind", "Queue"},
                {"metadata",
                 {{"namespace", "rabbitmq-dev"},
                  {"name", "kaniko-jobs"},
                  {"uid", "one"},
                  {"resourceVersion", "7"},
                  {"finalizers", {"deletion.finalizers.queues.rabbitmq.com"}}}}};
  std::vector<std::string> versions;  // that were asked to be deleted
  support::Imposter imposter([&](const http::Request& request) -> std::optional<http::Response> {
    if (request.method == "GET") return http::Response{200, "", queue.dump(), {}};
    if (request.method == "PATCH") {
      json patched = queue;
      patched["metadata"]["resourceVersion"] = "8" + std::to_string(versions.size());
      return http::Response{200, "", patched.dump(), {}};
    }
    const json deletion = json::parse(request.body);
    versions.push_back(deletion.value("/preconditions/resourceVersion"_json_pointer, ""));
    if (versions.size() == 2) return http::Response{200, "", R"({"kind": "Status"})", {}};
    return http::Response{409, "", R"({"kind": "Status", "reason": "Conflict", "message": "changed"})", {}};
  });
  const kube::Api api(std::make_shared<kube::RestClient>(imposter.cluster()), support::patience);
  const auto removed = Children(api, watches_).remove(queue, {});
  ASSERT_TRUE(removed) << describe(removed.error());
  EXPECT_THAT(versions, ElementsAre("80", "81"));
}

}  // namespace
}  // namespace lambda::reconcile
