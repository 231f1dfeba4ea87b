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

namespace lambda::job {
namespace {

using nlohmann::json;

// Each type of field that Kubernetes has, and those whose members stand among another's in JSON.
constexpr std::string_view patch_of_all_types = R"({
  "metadata": {"labels": {"team": "builds"}, "finalizers": ["example.org/a"]},
  "spec": {
    "backoffLimit": 6, "suspend": true, "parallelism": 2, "activeDeadlineSeconds": 5000000000,
    "podFailurePolicy": {"rules": [
      {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 200]}},
      {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]},
    "template": {"metadata": {"annotations": {"empty": ""}}, "spec": {
      "nodeSelector": {"pool": "builds"}, "tolerations": [{"key": "builds", "operator": "Exists"}],
      "securityContext": {"fsGroup": 5000, "seccompProfile": {"type": "RuntimeDefault"}},
      "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
        [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast", "faster"]}]}]}}},
      "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
      "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "b", "configMap": {"name": "c"}},
                  {"name": "h", "emptyDir": {}},
                  {"name": "d", "projected": {"sources": [{"secret": {"name": "e", "optional": true}},
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}}],
      "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always",
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": 0.5}},
        "env": [{"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}],
        "envFrom": [{"prefix": "p", "secretRef": {"name": "s"}}],
        "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
        "livenessProbe": {"periodSeconds": 5, "httpGet": {"path": "/", "port": 80}},
        "startupProbe": {"tcpSocket": {"port": "probe"}}}]}}}})";

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
  patched.job_patch = patch_of_all_types;
  for (const config::Build& configured : {plain, patched}) {
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
