// What the real API server (KUBECONFIG, which `hack/test component` sets) reads of our Jobs.
#include "job/job.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "kube/answer.h"
#include "kube/cluster.h"
#include "kube/rest_client.h"
#include "support/job_patch.h"

namespace lambda::job {
namespace {

using nlohmann::json;

config::Build settings() {
  config::Build out;
  out.namespace_name = "default";
  out.followed_by_operator = true;
  out.resources = {{{"cpu", "500m"}}, {{"memory", "4Gi"}}};
  return out;
}

class RealApi : public testing::Test {
 protected:
  kube::Answer send(const kube::Request& request) {
    return client_.send(request, base::milliseconds(30'000)).value();
  }

  // The whole object as the API server would store it, without what it makes up anew each time.
  json dry_run(const Job& job) {
    auto request = kube::create_job(job.namespace_name, job.body, job.content_type).value();
    request.target += "&dryRun=All";
    request.accept = kube::json_type;
    const kube::Answer answer = send(request);
    if (!answer.ok()) throw std::runtime_error(answer.body);
    json object = json::parse(answer.body);
    json& metadata = object["metadata"];
    for (const char* const key : {"uid", "creationTimestamp", "managedFields"}) metadata.erase(key);
    // Times apart, what manages a field is the same too; the Job's uid stands in labels and in the selector.
    object["spec"].erase("selector");
    for (json* const labels : {&metadata["labels"], &object["spec"]["template"]["metadata"]["labels"]}) {
      labels->erase("controller-uid");
      labels->erase("batch.kubernetes.io/controller-uid");
    }
    return object;
  }

 private:
  static kube::Cluster cluster() {
    const char* const kubeconfig = std::getenv("KUBECONFIG");
    if (kubeconfig == nullptr) throw std::runtime_error("no KUBECONFIG: run hack/test component");
    return kube::load_kubeconfig(kubeconfig).value();
  }

  kube::RestClient client_{cluster()};
};

TEST_F(RealApi, ReadsTheSameFromProtobufAsFromJson) {
  config::Build plain = settings();
  plain.registry_secret = "push-{third_party_id}";
  config::Build patched = settings();
  patched.job_patch = support::patch_of_all_types;
  config::Build with_a_number = settings();
  with_a_number.job_patch = R"({"spec": {"template": {"spec": {"initContainers": [
      {"name": "i", "image": "i", "resources": {"requests": {"cpu": 0.5}}}]}}}})";
  for (const config::Build& configured : {plain, patched, with_a_number}) {
    const JobMaker protobuf(configured, Format::protobuf);
    ASSERT_FALSE(protobuf.why_json()) << base::describe(*protobuf.why_json());
    const json from_json = dry_run(JobMaker(configured).make_reference());
    EXPECT_EQ(dry_run(protobuf.make_reference()), from_json);
    EXPECT_EQ(from_json.at("/metadata/annotations/lambda.notifi.network~1event-id"_json_pointer),
              "preflight");
  }
}

TEST_F(RealApi, SaysAsJsonWhatItRefuses) {
  config::Build refused = settings();
  refused.job_patch = R"({"spec": {"activeDeadlineSeconds": -1}})";
  const Job job = JobMaker(refused, Format::protobuf).make_reference();
  const base::Error error =
      kube::to_error(send(kube::create_job(job.namespace_name, job.body, job.content_type).value()));
  EXPECT_EQ(error.kind, base::ErrorKind::invalid);
  EXPECT_EQ(error.field, "spec.activeDeadlineSeconds");
  EXPECT_THAT(error.message, testing::HasSubstr("must be greater than or equal to 0"));
}

}  // namespace
}  // namespace lambda::job
