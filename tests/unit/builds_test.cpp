// A build's life, from what Kubernetes 1.34 and Kaniko say of it to its verdict and its events.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "builds/build.h"
#include "builds/pod.h"
#include "builds/reasons.h"
#include "builds/result_event.h"
#include "builds/verdict.h"
#include "builds/waiting.h"
#include "cloudevents/json.h"

namespace lambda::builds {
namespace {

using build::FailureClass;
using build::Outcome;
using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr auto digest = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

CalendarTime at(const char* text) {
  return *base::parse_rfc3339(text);
}

// ---------------------------------------------------------------------------------------------------------------------
// What Kubernetes sends

json job_json(const json& patch = json::object()) {
  json out = json::parse(R"({
    "metadata": {
      "name": "kaniko-job-3d1b6c0a", "namespace": "knative-lambda-builds", "uid": "6f2c8f2e-0b0e-4f5e-9b51-0e6f5b8a9f10",
      "creationTimestamp": "2026-03-01T10:00:00Z",
      "labels": {
        "app.kubernetes.io/name": "kaniko-job", "app.kubernetes.io/managed-by": "knative-lambda-builder",
        "lambda.notifi.network/third-party-id": "h-00000000000000000000000000000000",
        "lambda.notifi.network/parser-id": "parser-7"},
      "annotations": {
        "lambda.notifi.network/third-party-id": "Tenant One!", "lambda.notifi.network/event-id": "e-1",
        "lambda.notifi.network/event-source": "network.notifi.tenant", "lambda.notifi.network/correlation-id": "c-1",
        "lambda.notifi.network/traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "lambda.notifi.network/ttl-after-finished": "3600"}},
    "spec": {
      "activeDeadlineSeconds": 1800, "suspend": false,
      "template": {"spec": {"containers": [{"name": "kaniko", "args": [
        "--context=git://git.example/org/repo", "--destination=registry.local/tenant-one/parser-7:abc",
        "--destination=registry.local/tenant-one/parser-7:latest"]}]}}},
    "status": {"startTime": "2026-03-01T10:00:04Z", "active": 1, "ready": 0}})");
  out.merge_patch(patch);
  return out;
}

json condition(const char* type, const char* reason, const char* message, const char* status = "True") {
  return {{"type", type},
          {"status", status},
          {"reason", reason},
          {"message", message},
          {"lastProbeTime", "2026-03-01T10:01:00Z"},
          {"lastTransitionTime", "2026-03-01T10:01:00Z"}};
}

Build build_of(const json& patch = json::object()) {
  const auto out = read_build(job_json(patch));
  EXPECT_TRUE(out.has_value());
  return *out;
}

Build failed_build(const char* reason, const char* message) {
  return build_of(
      {{"status",
        {{"conditions",
          {condition("FailureTarget", reason, message), condition("Failed", reason, message)}}}}});
}

Build failed_build() {
  return failed_build("BackoffLimitExceeded", "Job has reached the specified backoff limit");
}

json pod_json(const json& status) {
  return {
      {"metadata",
       {{"name", "kaniko-job-3d1b6c0a-x7k2p"},
        {"namespace", "knative-lambda-builds"},
        {"uid", "p-1"},
        {"creationTimestamp", "2026-03-01T10:00:05Z"},
        {"labels",
         {{"batch.kubernetes.io/job-name", "kaniko-job-3d1b6c0a"}, {"job-name", "kaniko-job-3d1b6c0a"}}}}},
      {"spec", {{"containers", {{{"name", "kaniko"}}, {{"name", "a-sidecar"}}}}}},
      {"status", status}};
}

Pod pod_of(const json& status, bool deleting = false) {
  json object = pod_json(status);
  if (deleting) object["metadata"]["deletionTimestamp"] = "2026-03-01T10:00:30Z";
  const auto out = read_pod(object);
  EXPECT_TRUE(out.has_value());
  return *out;
}

json container_statuses(const json& state) {
  return json::array(
      {{{"name", "a-sidecar"}, {"state", {{"running", {{"startedAt", "2026-03-01T10:00:01Z"}}}}}},
       {{"name", "kaniko"}, {"state", state}}});
}

Pod waiting_pod(const char* reason, const char* message) {
  json waiting = {{"reason", reason}};
  if (*message != '\0') waiting["message"] = message;
  return pod_of({{"phase", "Pending"}, {"containerStatuses", container_statuses({{"waiting", waiting}})}});
}

Pod unscheduled_pod(const char* message) {
  return pod_of(
      {{"phase", "Pending"}, {"conditions", {condition("PodScheduled", "Unschedulable", message, "False")}}});
}

Pod running_pod(bool deleting = false) {
  return pod_of(
      {{"phase", "Running"},
       {"containerStatuses", container_statuses({{"running", {{"startedAt", "2026-03-01T10:00:10Z"}}}})}},
      deleting);
}

Pod ended_pod(const char* reason, int exit_code, const json& more = json::object(), bool deleting = false) {
  json status = {{"phase", exit_code == 0 ? "Succeeded" : "Failed"},
                 {"containerStatuses", container_statuses({{"terminated",
                                                            {{"reason", reason},
                                                             {"exitCode", exit_code},
                                                             {"startedAt", "2026-03-01T10:00:10Z"},
                                                             {"finishedAt", "2026-03-01T10:00:50Z"}}}})}};
  if (exit_code == 0)
    status["containerStatuses"][1]["state"]["terminated"]["message"] = std::string(digest) + "\n";
  status.merge_patch(more);
  return pod_of(status, deleting);
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

TEST(ReadBuild, TakesWhatIsNeededOfAJob) {
  const Build build = build_of();
  EXPECT_EQ(to_string(build.key), "knative-lambda-builds/kaniko-job-3d1b6c0a");
  EXPECT_EQ(build.third_party_id, "Tenant One!") << "the id, not its hash";
  EXPECT_EQ(build.parser_id, "parser-7") << "the label, where it holds the id";
  EXPECT_EQ(build.image, "registry.local/tenant-one/parser-7:abc");
  EXPECT_EQ(build.started, at("2026-03-01T10:00:04Z"));
  EXPECT_EQ(build.deadline, std::chrono::minutes(30));
  EXPECT_EQ(build.ttl_after_finished, std::chrono::hours(1));
  EXPECT_EQ(build.priority, 1);
  EXPECT_EQ(build.attempt, 0U);
  EXPECT_FALSE(build.suspended || build.admitted_by_us || build.cancel_on_newer || build.deleting ||
               build.failing);
  EXPECT_FALSE(build.over());
}

TEST(ReadBuild, KnowsOneThatWaitsForItsAdmission) {
  const Build build = build_of({{"metadata",
                                 {{"labels", {{"lambda.notifi.network/admission", "operator"}}},
                                  {"annotations",
                                   {{"lambda.notifi.network/priority", "7"},
                                    {"lambda.notifi.network/attempt", "2"},
                                    {"lambda.notifi.network/on-newer", "cancel"},
                                    {"lambda.notifi.network/oom-retry-memory", "8Gi"}}}}},
                                {"spec", {{"suspend", true}}},
                                {"status", {{"startTime", nullptr}}}});
  EXPECT_TRUE(build.suspended && build.admitted_by_us && build.cancel_on_newer);
  EXPECT_EQ(build.priority, 7);
  EXPECT_EQ(build.attempt, 2U);
  EXPECT_EQ(build.oom_retry_memory, "8Gi");
  EXPECT_FALSE(build.started);
}

TEST(ReadBuild, HasNoTtlToSetWhereTheJobHasOne) {
  EXPECT_FALSE(build_of({{"spec", {{"ttlSecondsAfterFinished", 600}}}}).ttl_after_finished);
}

TEST(ReadBuild, KnowsTheEndFromTheConditionsThatAreTrue) {
  const Build failing =
      build_of({{"status", {{"conditions", {condition("FailureTarget", "Superseded", "m")}}}}});
  EXPECT_TRUE(failing.failing);
  EXPECT_FALSE(failing.over()) << "its pods are not gone yet";

  const Build ended = failed_build();
  ASSERT_TRUE(ended.over());
  EXPECT_EQ(ended.end->reason, "BackoffLimitExceeded");
  EXPECT_EQ(ended.end->time, at("2026-03-01T10:01:00Z"));

  const Build nearly =
      build_of({{"status", {{"conditions", {condition("SuccessCriteriaMet", "CompletionsReached", "")}}}}});
  EXPECT_FALSE(nearly.over());
  EXPECT_FALSE(build_of({{"status", {{"conditions", {condition("Failed", "x", "", "False")}}}}}).over());
}

TEST(ReadBuild, RefusesWhatIsNoJobOfTheBuilders) {
  EXPECT_FALSE(read_build(json()));
  EXPECT_FALSE(read_build(json::parse(R"({"metadata": {"name": "x"}})")));
  EXPECT_FALSE(
      read_build(job_json({{"metadata", {{"labels", {{"app.kubernetes.io/managed-by", "helm"}}}}}})));
}

TEST(ReadBuild, PutsUpWithAnnotationsThatNobodyOfOursWrote) {
  const Build build = build_of({{"metadata",
                                 {{"annotations",
                                   {{"lambda.notifi.network/priority", "99"},
                                    {"lambda.notifi.network/attempt", "-1"},
                                    {"lambda.notifi.network/ttl-after-finished", "soon"}}}}},
                                {"spec", {{"activeDeadlineSeconds", -5}, {"template", nullptr}}},
                                {"status", {{"startTime", "yesterday"}, {"conditions", "none"}}}});
  EXPECT_EQ(build.priority, 1);
  EXPECT_EQ(build.attempt, 0U);
  EXPECT_FALSE(build.ttl_after_finished);
  EXPECT_EQ(build.deadline.count(), 0);
  EXPECT_FALSE(build.started);
}

TEST(ReadPod, ReadsTheFirstContainerOfTheSpecification) {
  const Pod pod = ended_pod("Completed", 0);
  EXPECT_EQ(pod.job_name, "kaniko-job-3d1b6c0a");
  EXPECT_EQ(pod.container_started, at("2026-03-01T10:00:10Z")) << "not the sidecar's";
  EXPECT_EQ(pod.container_finished, at("2026-03-01T10:00:50Z"));
  EXPECT_EQ(pod.exit_code, 0);
  EXPECT_EQ(pod.termination_message, std::string(digest) + "\n");
}

TEST(ReadPod, RefusesWhatIsNoPodOfAJob) {
  EXPECT_FALSE(read_pod(json()));
  json other = pod_json({{"phase", "Running"}});
  other["metadata"].erase("labels");
  EXPECT_FALSE(read_pod(other));
}

TEST(ReadPod, TakesAContainerThatNeverStartedForOne) {
  const Pod pod = ended_pod("ContainerStatusUnknown", 137,
                            {{"containerStatuses", json::array({{{"name", "kaniko"},
                                                                 {"state",
                                                                  {{"terminated",
                                                                    {{"reason", "ContainerStatusUnknown"},
                                                                     {"exitCode", 137},
                                                                     {"startedAt", nullptr},
                                                                     {"finishedAt", nullptr}}}}}}})}});
  EXPECT_FALSE(pod.container_started || pod.container_finished);
}

// ---------------------------------------------------------------------------------------------------------------------
// Waiting

struct WaitRow {
  std::string name;
  std::optional<Pod> pod;
  std::vector<EventNote> events;
  bool asks_for_events;
  std::string_view reason;
  bool can_heal;
  std::string told;  // part of the message
};

class WhyWaiting : public testing::TestWithParam<WaitRow> {};

TEST_P(WhyWaiting, NamesTheCauseAndWhetherItHeals) {
  const WaitRow& row = GetParam();
  const Pod* const pod = row.pod ? &*row.pod : nullptr;
  EXPECT_EQ(needs_events(build_of(), pod), row.asks_for_events);
  const auto waiting = why_waiting(build_of(), pod, row.events);
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->reason, row.reason);
  EXPECT_EQ(waiting->can_heal, row.can_heal);
  EXPECT_THAT(waiting->message, HasSubstr(row.told));
}

EventNote mount_event(const std::string& cause) {
  return {"FailedMount", "MountVolume.SetUp failed for volume \"v\" : " + cause};
}

INSTANTIATE_TEST_SUITE_P(
    Image, WhyWaiting,
    testing::Values(
        WaitRow{
            "Missing",
            waiting_pod("ErrImagePull", "rpc error: code = NotFound desc = failed to pull and unpack image"),
            {},
            false,
            reason::image_unavailable,
            false,
            "ErrImagePull: rpc error: code = NotFound"},
        WaitRow{"BackOff",
                waiting_pod("ImagePullBackOff",
                            "Back-off pulling image \"r/k:1\": ErrImagePull: dial tcp: i/o timeout"),
                {},
                false,
                reason::image_unavailable,
                false,
                "i/o timeout"},
        WaitRow{"InvalidName",
                waiting_pod("InvalidImageName",
                            "Failed to apply default image tag \"K:1\": invalid reference format"),
                {},
                false,
                reason::image_unavailable,
                false,
                "invalid reference format"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Container, WhyWaiting,
    testing::Values(
        WaitRow{"SecretOfVariable",
                waiting_pod("CreateContainerConfigError", "secret \"git\" not found"),
                {},
                false,
                reason::secret_missing,
                false,
                "secret \"git\" not found"},
        WaitRow{"KeyOfSecret",
                waiting_pod("CreateContainerConfigError", "couldn't find key token in Secret builds/git"),
                {},
                false,
                reason::secret_missing,
                false,
                "key token"},
        WaitRow{"ConfigMapOfVariable",
                waiting_pod("CreateContainerConfigError", "configmap \"env\" not found"),
                {},
                false,
                reason::config_map_missing,
                false,
                "configmap \"env\""},
        WaitRow{"KeyOfConfigMap",
                waiting_pod("CreateContainerConfigError", "couldn't find key a in ConfigMap builds/env"),
                {},
                false,
                reason::config_map_missing,
                false,
                "key a"},
        WaitRow{"RunAsNonRoot",
                waiting_pod("CreateContainerConfigError",
                            "container has runAsNonRoot and image will run as root"),
                {},
                false,
                reason::container_refused,
                false,
                "runAsNonRoot"},
        WaitRow{"Runtime",
                waiting_pod("CreateContainerError", "failed to generate container spec"),
                {},
                false,
                reason::container_refused,
                false,
                "container spec"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Volume, WhyWaiting,
    testing::Values(
        WaitRow{"Secret",
                waiting_pod("ContainerCreating", ""),
                {mount_event("secret \"registry\" not found")},
                true,
                reason::secret_missing,
                false,
                "secret \"registry\" not found"},
        WaitRow{"SecretKey",
                waiting_pod("ContainerCreating", ""),
                {mount_event("references non-existent secret key: .dockerconfigjson")},
                true,
                reason::secret_missing,
                false,
                ".dockerconfigjson"},
        WaitRow{"ConfigMap",
                waiting_pod("ContainerCreating", ""),
                {mount_event("configmap \"runtimes\" not found")},
                true,
                reason::config_map_missing,
                false,
                "configmap \"runtimes\" not found"},
        WaitRow{"ConfigMapKey",
                waiting_pod("ContainerCreating", ""),
                {mount_event("configmap references non-existent config key: nodejs22")},
                true,
                reason::config_map_missing,
                false,
                "nodejs22"},
        WaitRow{"CauseBeforeTimeout",
                waiting_pod("ContainerCreating", ""),
                {{"Scheduled", "Successfully assigned"},
                 mount_event("secret \"registry\" not found"),
                 {"FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition"}},
                true,
                reason::secret_missing,
                false,
                "registry"},
        WaitRow{"HealedSince",
                waiting_pod("ContainerCreating", ""),
                {mount_event("secret \"registry\" not found"), {"Pulling", "Pulling image \"r/k:1\""}},
                true,
                reason::starting,
                true,
                "Pulling image"},
        WaitRow{"CacheNotSynced",
                waiting_pod("ContainerCreating", ""),
                {mount_event("failed to sync secret cache: timed out waiting for the condition")},
                true,
                reason::starting,
                true,
                "failed to sync"},
        WaitRow{"Sandbox",
                waiting_pod("ContainerCreating", ""),
                {{"FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=\"bridge\" failed"}},
                true,
                reason::starting,
                true,
                "sandbox"},
        WaitRow{"NothingSaid",
                waiting_pod("ContainerCreating", ""),
                {},
                true,
                reason::starting,
                true,
                "being created"},
        WaitRow{
            "NoNodeYet", pod_of({{"phase", "Pending"}}), {}, true, reason::starting, true, "no node yet"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Node, WhyWaiting,
    testing::Values(
        WaitRow{"Capacity",
                unscheduled_pod("0/1 nodes are available: 1 Insufficient memory. no new claims to "
                                "deallocate, preemption: 0/1 "
                                "nodes are available: 1 No preemption victims found for incoming pod."),
                {},
                false,
                reason::unschedulable,
                true,
                "Insufficient memory"},
        WaitRow{
            "SelectorOnly",
            unscheduled_pod(
                "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. no new claims "
                "to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for "
                "scheduling."),
            {},
            false,
            reason::node_selector_impossible,
            false,
            "affinity/selector"},
        WaitRow{
            "SelectorOnlyAndNoMore",
            unscheduled_pod("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
            {},
            false,
            reason::node_selector_impossible,
            false,
            "affinity/selector"},
        WaitRow{"SelectorAndCapacity",
                unscheduled_pod(
                    "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node "
                    "affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful."),
                {},
                false,
                reason::unschedulable,
                true,
                "Insufficient cpu"},
        WaitRow{
            "SelectorAndTaint",
            unscheduled_pod(
                "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had "
                "untolerated taint(s)."),
            {},
            false,
            reason::unschedulable,
            true,
            "taint"},
        WaitRow{"AffinityOfAVolume",
                unscheduled_pod(
                    "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity."),
                {},
                false,
                reason::unschedulable,
                true,
                "PersistentVolume"},
        WaitRow{"NoNodes",
                unscheduled_pod("no nodes available to schedule pods"),
                {},
                false,
                reason::unschedulable,
                true,
                "no nodes"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    NoPod, WhyWaiting,
    testing::Values(
        WaitRow{"Quota",
                std::nullopt,
                {{"FailedCreate",
                  "Error creating: pods \"kaniko-job-3d1b6c0a-x7k2p\" is forbidden: exceeded quota: builds, "
                  "requested: "
                  "pods=1, used: pods=4, limited: pods=4"}},
                true,
                reason::quota_exceeded,
                true,
                "exceeded quota: builds"},
        WaitRow{"PodSecurity",
                std::nullopt,
                {{"FailedCreate",
                  "Error creating: pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\""}},
                true,
                reason::pod_refused,
                true,
                "violates PodSecurity"},
        WaitRow{"ServiceAccount",
                std::nullopt,
                {{"FailedCreate",
                  "Error creating: pods \"p\" is forbidden: error looking up service account builds/kaniko: "
                  "serviceaccount \"kaniko\" not found"}},
                true,
                reason::pod_refused,
                true,
                "serviceaccount \"kaniko\" not found"},
        WaitRow{"LastWordCounts",
                std::nullopt,
                {{"FailedCreate", "violates PodSecurity"},
                 {"FailedCreate", "exceeded quota: builds"},
                 {"Resumed", "Job resumed"}},
                true,
                reason::quota_exceeded,
                true,
                "exceeded quota"},
        WaitRow{"NothingSaid", std::nullopt, {}, true, reason::starting, true, "not made its pod"}),
    [](const auto& info) { return info.param.name; });

TEST(WhyWaiting, SaysNothingOfABuildThatDoesNotWait) {
  const Pod waiting = waiting_pod("ErrImagePull", "x");
  const Pod running = running_pod();
  const Pod ended = ended_pod("Error", 1);
  const json deleting = {{"metadata", {{"deletionTimestamp", "2026-03-01T10:00:30Z"}}}};
  const json failing = {{"status", {{"conditions", {condition("FailureTarget", "ImageUnavailable", "m")}}}}};
  for (const Build& build :
       {build_of({{"spec", {{"suspend", true}}}}), failed_build(), build_of(deleting), build_of(failing)}) {
    EXPECT_FALSE(why_waiting(build, &waiting, {}));
    EXPECT_FALSE(needs_events(build, nullptr));
  }
  for (const Pod* const pod : {&running, &ended}) {
    EXPECT_FALSE(why_waiting(build_of(), pod, {mount_event("secret \"x\" not found")}));
    EXPECT_FALSE(needs_events(build_of(), pod));
  }
}

TEST(WhyWaiting, KeepsItsMessageShortAndOnOneLine) {
  const std::string long_text = "a\nb\x1b[31m" + std::string(5000, 'x');
  const auto waiting = why_waiting(build_of(), nullptr, {{"FailedCreate", long_text}});
  ASSERT_TRUE(waiting);
  EXPECT_LE(waiting->message.size(), 1024U);
  EXPECT_THAT(waiting->message, StartsWith("a bxxx"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Verdicts

struct EndRow {
  std::string name;
  Build build;
  Evidence evidence;
  Outcome outcome;
  std::optional<FailureClass> failure_class;
  std::string_view reason;
  std::string told;  // part of the message
};

class Judge : public testing::TestWithParam<EndRow> {};

TEST_P(Judge, FindsOutcomeClassAndReason) {
  const EndRow& row = GetParam();
  const Verdict verdict = judge(row.build, row.evidence);
  EXPECT_EQ(to_string(verdict.outcome), to_string(row.outcome));
  EXPECT_EQ(verdict.failure_class ? to_string(*verdict.failure_class) : "none",
            row.failure_class ? to_string(*row.failure_class) : "none");
  EXPECT_EQ(verdict.reason, row.reason);
  EXPECT_THAT(verdict.message, HasSubstr(row.told));
  EXPECT_THAT(reason::all_verdicts, Contains(verdict.reason));
  const auto again = parse_verdict(to_text(verdict));
  ASSERT_TRUE(again) << describe(again.error());
  EXPECT_EQ(*again, verdict);
}

// What Kaniko prints between its start and its end.
std::string log_of(const std::string& last) {
  return "time=\"2026-03-01T10:00:11Z\" level=info msg=\"Retrieving image manifest registry.local/base:1\"\n"
         "time=\"2026-03-01T10:00:12Z\" level=info msg=\"Running: [/bin/sh -c make]\"\n" +
         last + "\n";
}

// cobra's page, shortened: the real one has 7.5 KB.
std::string usage_of(const std::string& error) {
  std::string out =
      "Error: " + error +
      "\nUsage:\n  executor [flags]\n  executor [command]\n\nAvailable Commands:\n  completion  Generate the "
      "autocompletion script\n  help        Help about any command\n\nFlags:\n";
  for (int i = 0; i < 60; ++i)
    out += "      --flag-" + std::to_string(i) + " string   " + std::string(100, 'x') + "\n";
  return out + "\nUse \"executor [command] --help\" for more information about a command.\n\n";
}

Evidence failed_with(const std::string& log) {
  return {.pod = ended_pod("Error", 1), .waiting = {}, .log_tail = log};
}

constexpr auto deadline_message = "Job was active longer than specified deadline";

Build late_build() {
  return failed_build("DeadlineExceeded", deadline_message);
}

Evidence waited_for(std::string_view reason, const std::string& message) {
  return {.pod = waiting_pod("ContainerCreating", ""),
          .waiting = Waiting{.reason = std::string(reason), .message = message, .can_heal = true},
          .log_tail = {}};
}

const auto name_of_row = [](const auto& info) { return info.param.name; };

INSTANTIATE_TEST_SUITE_P(
    Memory, Judge,
    testing::Values(
        EndRow{
            "OfRun",
            failed_build(),
            {.pod = ended_pod("OOMKilled", 255),
             .waiting = {},
             .log_tail = log_of(
                 "error building image: error building stage: failed to execute command: waiting for process "
                 "to exit: signal: killed")},
            Outcome::failed,
            FailureClass::oom,
            reason::out_of_memory,
            "exit code 255"},
        EndRow{"OfKaniko",
               failed_build(),
               {.pod = ended_pod("OOMKilled", 137), .waiting = {}, .log_tail = log_of("x")},
               Outcome::failed,
               FailureClass::oom,
               reason::out_of_memory,
               "exit code 137"},
        EndRow{"KilledButNotForMemory", failed_build(),
               failed_with("error building image: error building stage: failed to execute command: waiting "
                           "for process to "
                           "exit: signal: killed"),
               Outcome::failed, FailureClass::dockerfile, reason::command_failed, "signal: killed"}),
    name_of_row);

INSTANTIATE_TEST_SUITE_P(
    Source, Judge,
    testing::Values(
        EndRow{"Unreachable", failed_build(),
               failed_with(
                   usage_of("error resolving source context: Get \"https://git.example/o/r/info/refs?service="
                            "git-upload-pack\": dial tcp 192.0.2.1:443: connect: connection refused")),
               Outcome::failed, FailureClass::source, reason::source_unavailable,
               "error resolving source context: Get \"https://git.example"},
        EndRow{"Forbidden", failed_build(),
               failed_with(usage_of("error resolving source context: authentication required: Unauthorized")),
               Outcome::failed, FailureClass::source, reason::source_unavailable, "authentication required"},
        EndRow{"SubPathMissing", failed_build(),
               failed_with(usage_of(
                   "error resolving source context: stat /kaniko/buildcontext/x: no such file or directory")),
               Outcome::failed, FailureClass::source, reason::source_unavailable,
               "stat /kaniko/buildcontext/x"},
        EndRow{"WithoutUsage", failed_build(),
               failed_with("error resolving source context: object does not exist\n"), Outcome::failed,
               FailureClass::source, reason::source_unavailable, "object does not exist"}),
    name_of_row);

INSTANTIATE_TEST_SUITE_P(
    Dockerfile, Judge,
    testing::Values(
        EndRow{
            "Run",
            failed_build(),
            {.pod = ended_pod("Error", 42),
             .waiting = {},
             .log_tail = log_of(
                 "error building image: error building stage: failed to execute command: waiting for process "
                 "to exit: exit status 42")},
            Outcome::failed,
            FailureClass::dockerfile,
            reason::command_failed,
            "exit status 42"},
        EndRow{
            "Copy", failed_build(),
            failed_with(log_of(
                "error building image: error building stage: failed to optimize instructions: failed to get "
                "files used from context: failed to get fileinfo for /kaniko/buildcontext/a: lstat "
                "/kaniko/buildcontext/a: no such file or directory")),
            Outcome::failed, FailureClass::dockerfile, reason::copy_failed, "lstat"},
        EndRow{"Syntax", failed_build(),
               failed_with("error building image: parsing dockerfile: dockerfile parse error line 2: unknown "
                           "instruction: RUNN"),
               Outcome::failed, FailureClass::dockerfile, reason::dockerfile_invalid,
               "unknown instruction: RUNN"},
        EndRow{"Missing", failed_build(),
               failed_with(usage_of(
                   "error resolving dockerfile path: please provide a valid path to a Dockerfile within the "
                   "build context with --dockerfile")),
               Outcome::failed, FailureClass::dockerfile, reason::dockerfile_missing,
               "valid path to a Dockerfile"},
        EndRow{"BaseImageUnknown", failed_build(),
               failed_with(
                   "error building image: unable to complete operation after 3 attempts, last error: GET "
                   "https://index.docker.io/v2/library/nope/manifests/1: MANIFEST_UNKNOWN: manifest unknown"),
               Outcome::failed, FailureClass::dockerfile, reason::base_image_unavailable, "MANIFEST_UNKNOWN"},
        EndRow{"BaseImageRefused", failed_build(),
               failed_with("error building image: GET https://index.docker.io/v2/library/nope/manifests/1: "
                           "UNAUTHORIZED: "
                           "authentication required; [map[Action:pull]]"),
               Outcome::failed, FailureClass::dockerfile, reason::base_image_unavailable, "UNAUTHORIZED"},
        EndRow{
            "BaseImageRegistryAway", failed_build(),
            failed_with(
                "error building image: Get \"https://registry.local/v2/\": dial tcp 192.0.2.1:443: connect: "
                "connection refused"),
            Outcome::failed, FailureClass::infrastructure, reason::registry_unreachable,
            "connection refused"},
        EndRow{"Disk", failed_build(),
               failed_with(
                   "error building image: error building stage: failed to get filesystem from image: write "
                   "/usr/lib/x: no space left on device"),
               Outcome::failed, FailureClass::infrastructure, reason::disk_full, "no space left"},
        EndRow{"AnythingElse", failed_build(),
               failed_with("error building image: error building stage: failed to execute command: "
                           "identifying uid and gid "
                           "for user nobody: user nobody is not a uid and does not exist on the system"),
               Outcome::failed, FailureClass::dockerfile, reason::instruction_failed, "user nobody"}),
    name_of_row);

INSTANTIATE_TEST_SUITE_P(
    Push, Judge,
    testing::Values(
        EndRow{
            "Check", failed_build(),
            failed_with("error checking push permissions -- make sure you entered the correct tag name, and "
                        "that you are "
                        "authenticated correctly, and try again: checking push permission for \"r/a\": POST "
                        "https://r/v2/a/blobs/uploads/: UNAUTHORIZED: authentication required"),
            Outcome::failed, FailureClass::push, reason::push_refused, "UNAUTHORIZED"},
        EndRow{
            "Away", failed_build(),
            failed_with(
                "error pushing image: failed to push to destination r/a:1: Put \"https://r/v2/a\": dial tcp: "
                "connection refused"),
            Outcome::failed, FailureClass::push, reason::push_failed, "connection refused"},
        EndRow{"SeveralLines", failed_build(),
               failed_with(log_of(
                   "error pushing image: failed to push to destination r/a:1: PUT https://r/v2/a: unexpected "
                   "status code 413\n<html>\n<body>too large</body>\n</html>")),
               Outcome::failed, FailureClass::push, reason::push_failed, "413 <html> <body>too large"}),
    name_of_row);

// The log holds what the Dockerfile's commands print too.
INSTANTIATE_TEST_SUITE_P(
    Faked, Judge,
    testing::Values(
        EndRow{"PushByRun", failed_build(),
               failed_with(log_of(
                   "error pushing image: UNAUTHORIZED\nerror building image: error building stage: failed to "
                   "execute command: waiting for process to exit: exit status 1")),
               Outcome::failed, FailureClass::dockerfile, reason::command_failed, "exit status 1"},
        EndRow{"UsageByRun", failed_build(),
               failed_with(usage_of("error resolving source context: x") +
                           "error building image: error building stage: failed to execute command: waiting "
                           "for process to "
                           "exit: exit status 1\n"),
               Outcome::failed, FailureClass::dockerfile, reason::command_failed, "exit status 1"},
        EndRow{"WithinALine", failed_build(), failed_with(log_of("echo error pushing image: no")),
               Outcome::failed, FailureClass::unknown, reason::exit_code,
               "exit code 1 (Error); its log ends with: echo error"},
        EndRow{"LongBeforeTheEnd", failed_build(),
               failed_with("error pushing image: x\n1\n2\n3\n4\n5\n6\n7\n8\n"), Outcome::failed,
               FailureClass::unknown, reason::exit_code, "ends with: 8"}),
    name_of_row);

INSTANTIATE_TEST_SUITE_P(
    Platform, Judge,
    testing::Values(
        EndRow{"Flag", failed_build(), failed_with(usage_of("unknown flag: --bogus")), Outcome::failed,
               FailureClass::infrastructure, reason::kaniko_refused, "unknown flag: --bogus"},
        EndRow{"Evicted",
               failed_build(),
               {.pod = ended_pod("Error", 137,
                                 {{"reason", "Evicted"},
                                  {"message", "The node was low on resource: memory."},
                                  {"conditions",
                                   {condition("DisruptionTarget", "TerminationByKubelet",
                                              "The node was low")}}}),
                .waiting = {},
                .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::evicted,
               "low on resource: memory"},
        EndRow{"Preempted",
               failed_build(),
               {.pod = ended_pod(
                    "Error", 137,
                    {{"conditions",
                      {condition("DisruptionTarget", "PreemptionByScheduler",
                                 "default-scheduler: preempting to accommodate a higher priority pod")}}}),
                .waiting = {},
                .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::disrupted,
               "higher priority pod"},
        EndRow{"Drained",
               failed_build(),
               {.pod = pod_of({{"phase", "Running"},
                               {"conditions",
                                {condition("DisruptionTarget", "EvictionByEvictionAPI",
                                           "Eviction API: evicting")}}},
                              true),
                .waiting = {},
                .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::disrupted,
               "Eviction API"},
        EndRow{"NodeLost",
               failed_build(),
               {.pod = pod_of({{"phase", "Running"},
                               {"reason", "NodeLost"},
                               {"message", "Node n1 which was running pod is unresponsive"}}),
                .waiting = {},
                .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::node_lost,
               "unresponsive"},
        EndRow{"NodeCameBack",
               failed_build(),
               {.pod = ended_pod("ContainerStatusUnknown", 137), .waiting = {}, .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::node_lost,
               "nobody knows"},
        EndRow{"RefusedByKubelet",
               failed_build(),
               {.pod = pod_of({{"phase", "Failed"},
                               {"reason", "OutOfcpu"},
                               {"message", "Node didn't have enough resource: cpu"}}),
                .waiting = {},
                .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::pod_failed,
               "OutOfcpu: Node"},
        EndRow{"NotStarted",
               failed_build(),
               {.pod = ended_pod("StartError", 128), .waiting = {}, .log_tail = {}},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::container_refused,
               "StartError"},
        EndRow{"PodDeletedWhileItRan",
               failed_build(),
               {.pod = running_pod(true), .waiting = {}, .log_tail = log_of("x")},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::pod_deleted,
               "deleted its pod"},
        EndRow{"PodDeletedAndKilled",
               failed_build(),
               {.pod = ended_pod("Error", 137, json::object(), true), .waiting = {}, .log_tail = log_of("x")},
               Outcome::failed,
               FailureClass::infrastructure,
               reason::pod_deleted,
               "deleted its pod"},
        EndRow{"PodDeletedAfterItFailed",
               failed_build(),
               {.pod = ended_pod("Error", 1, json::object(), true),
                .waiting = {},
                .log_tail = "error pushing image: DENIED"},
               Outcome::failed,
               FailureClass::push,
               reason::push_refused,
               "DENIED"}),
    name_of_row);

INSTANTIATE_TEST_SUITE_P(Unknown, Judge,
                         testing::Values(EndRow{"NeitherPodNorLog",
                                                failed_build(),
                                                {},
                                                Outcome::failed,
                                                FailureClass::unknown,
                                                reason::evidence_gone,
                                                "Job has reached the specified backoff limit"},
                                         EndRow{"PodThatWentUnseen",
                                                failed_build(),
                                                {.pod = running_pod(), .waiting = {}, .log_tail = {}},
                                                Outcome::failed,
                                                FailureClass::unknown,
                                                reason::evidence_gone,
                                                "could be read"},
                                         EndRow{"NoLog", failed_build(), failed_with(""), Outcome::failed,
                                                FailureClass::unknown, reason::exit_code,
                                                "exit code 1 (Error); it left no log"},
                                         EndRow{"LateAndUnseen",
                                                late_build(),
                                                {},
                                                Outcome::timeout,
                                                FailureClass::unknown,
                                                reason::deadline_exceeded,
                                                "nobody saw whether it ran"}),
                         name_of_row);

INSTANTIATE_TEST_SUITE_P(
    Deadline, Judge,
    testing::Values(
        EndRow{"WhileItRan",
               late_build(),
               {.pod = running_pod(true), .waiting = {}, .log_tail = log_of("x")},
               Outcome::timeout,
               FailureClass::timeout,
               reason::deadline_exceeded,
               "30m after its release"},
        EndRow{"ForAnImage", late_build(), waited_for(reason::image_unavailable, "ErrImagePull: not found"),
               Outcome::timeout, FailureClass::infrastructure, reason::deadline_exceeded,
               "before it ran: ImageUnavailable: ErrImagePull: not found"},
        EndRow{"ForASecret", late_build(), waited_for(reason::secret_missing, "secret \"x\" not found"),
               Outcome::timeout, FailureClass::infrastructure, reason::deadline_exceeded,
               "secret \"x\" not found"},
        EndRow{"ForANode", late_build(), waited_for(reason::unschedulable, "0/1 nodes are available"),
               Outcome::timeout, FailureClass::infrastructure, reason::deadline_exceeded, "0/1 nodes"},
        EndRow{"ForAQuota",
               late_build(),
               {.pod = {},
                .waiting =
                    Waiting{.reason = "QuotaExceeded", .message = "exceeded quota: builds", .can_heal = true},
                .log_tail = {}},
               Outcome::timeout,
               FailureClass::infrastructure,
               reason::deadline_exceeded,
               "exceeded quota: builds"},
        EndRow{"ForNothingThatIsKnown",
               late_build(),
               {.pod = waiting_pod("ContainerCreating", ""), .waiting = {}, .log_tail = {}},
               Outcome::timeout,
               FailureClass::infrastructure,
               reason::deadline_exceeded,
               "before it ran"}),
    name_of_row);

INSTANTIATE_TEST_SUITE_P(
    Ours, Judge,
    testing::Values(EndRow{"Superseded",
                           failed_build("Superseded", "kaniko-job-9 is newer"),
                           {.pod = running_pod(true), .waiting = {}, .log_tail = {}},
                           Outcome::superseded,
                           std::nullopt,
                           reason::superseded,
                           "kaniko-job-9 is newer"},
                    EndRow{"Watchdog",
                           failed_build("ImageUnavailable", "ErrImagePull: not found, for 5m"),
                           {.pod = waiting_pod("ErrImagePull", "x"), .waiting = {}, .log_tail = {}},
                           Outcome::failed,
                           FailureClass::infrastructure,
                           reason::image_unavailable,
                           "ErrImagePull: not found, for 5m"},
                    EndRow{"NodeSelector",
                           failed_build("NodeSelectorImpossible", "0/1 nodes"),
                           {},
                           Outcome::failed,
                           FailureClass::infrastructure,
                           reason::node_selector_impossible,
                           "0/1 nodes"}),
    name_of_row);

Build complete_build() {
  return build_of({{"status",
                    {{"completionTime", "2026-03-01T10:00:55Z"},
                     {"conditions",
                      {condition("SuccessCriteriaMet", "CompletionsReached", "Reached expected number"),
                       condition("Complete", "CompletionsReached", "Reached expected number")}}}}});
}

TEST(JudgeComplete, TakesTheDigestOfAContainerThatEndedWell) {
  const Verdict verdict =
      judge(complete_build(), {.pod = ended_pod("Completed", 0), .waiting = {}, .log_tail = "x"});
  EXPECT_EQ(verdict.outcome, Outcome::complete);
  EXPECT_FALSE(verdict.failure_class);
  EXPECT_EQ(verdict.digest, digest);
  EXPECT_EQ(verdict.container_started, at("2026-03-01T10:00:10Z"));
  EXPECT_EQ(verdict.finished, at("2026-03-01T10:00:50Z"));
  EXPECT_EQ(verdict.log_tail, "") << "nobody has to look into it";
}

TEST(JudgeComplete, HasNoDigestThatNobodySaw) {
  EXPECT_EQ(judge(complete_build(), {}).digest, "");
  EXPECT_EQ(judge(complete_build(), {}).finished, at("2026-03-01T10:00:55Z"));
  Pod pod = ended_pod("Completed", 0);
  pod.termination_message = "sha256:short";
  EXPECT_EQ(judge(complete_build(), {.pod = pod, .waiting = {}, .log_tail = {}}).digest, "");
  pod = ended_pod("Error", 1);
  pod.termination_message = digest;
  EXPECT_EQ(judge(failed_build(), {.pod = pod, .waiting = {}, .log_tail = {}}).digest, "")
      << "it is written before the push";
}

TEST(JudgeFailed, KeepsTheErrorAndNotThePageOfUsage) {
  const Verdict verdict =
      judge(failed_build(), failed_with("before\n" + usage_of("error resolving source context: gone")));
  EXPECT_EQ(verdict.log_tail, "before\nError: error resolving source context: gone");
}

TEST(JudgeFailed, SaysItInOneShortLine) {
  const Verdict verdict =
      judge(failed_build(), failed_with("error building image: " + std::string(3000, 'x') + "\n\x1b[31mred"));
  EXPECT_LE(verdict.message.size(), 1024U);
  EXPECT_THAT(verdict.message, Not(HasSubstr("\n")));
  EXPECT_THAT(verdict.message, StartsWith("error building image: xxx"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Log tails

struct TailRow {
  std::string name;
  std::string raw;
  std::size_t max_bytes;
  std::string clean;
};

class CleanLogTail : public testing::TestWithParam<TailRow> {};

TEST_P(CleanLogTail, LeavesWhatAPersonCanRead) {
  EXPECT_EQ(clean_log_tail(GetParam().raw, GetParam().max_bytes), GetParam().clean);
}

INSTANTIATE_TEST_SUITE_P(Rows, CleanLogTail,
                         testing::Values(TailRow{"Colours", "\x1b[36mINFO\x1b[0m[0001] a\x1b[1;31mb\x1b[K",
                                                 100, "INFO[0001] ab"},
                                         TailRow{"Title",
                                                 "\x1b]0;title\x07"
                                                 "a\x1b]8;;http://x\x1b\\b",
                                                 100, "ab"},
                                         TailRow{"TwoByteEscapes", "\x1b(Ba\x1b=b\x1b", 100, "ab"},
                                         TailRow{"CarriageReturns", "a\r\nb\rc\r", 100, "a\nb\nc"},
                                         TailRow{"Controls",
                                                 std::string("a\0b\x01"
                                                             "c\x7f"
                                                             "d\te\xC2\x85"
                                                             "f",
                                                             12),
                                                 100, "abcd ef"},
                                         TailRow{"BrokenUtf8",
                                                 "a\xFF"
                                                 "b\xC3(",
                                                 100, "a?b?("},
                                         TailRow{"CutInFrontOfIt",
                                                 "\x82\xAC"
                                                 "abc",
                                                 100, "abc"},
                                         TailRow{"EmptyLinesAtTheEnds", "\n\na\n\nb\n\n", 100, "a\n\nb"},
                                         TailRow{"WholeLines", "first\nsecond\nthird", 14, "second\nthird"},
                                         TailRow{"ExactlyALine", "first\nsecond", 6, "second"},
                                         TailRow{"OneLongLine", "0123456789", 4, "6789"},
                                         TailRow{"BetweenCharacters", "a€€€", 5, "€"},
                                         TailRow{"Nothing", "", 10, ""}, TailRow{"NoRoom", "abc", 0, ""}),
                         [](const auto& info) { return info.param.name; });

// Of pieces that are awkward where they meet.
std::string awkward_text(std::mt19937& random) {
  static const std::vector<std::string> pieces{"a",
                                               "word ",
                                               "\n",
                                               "\r",
                                               "\t",
                                               "€",
                                               "\xF0\x9F\x98\x80",
                                               "\x1b",
                                               "\x1b[",
                                               "31m",
                                               "\x1b]0;",
                                               "\x07",
                                               "\x1b\\",
                                               "\xC2",
                                               "\x85",
                                               "\xE2\x82",
                                               "\x80",
                                               "\xFF",
                                               std::string(1, '\0'),
                                               "\x7f"};
  std::string out;
  const std::size_t count = random() % 60;
  for (std::size_t i = 0; i < count; ++i) out += pieces[random() % pieces.size()];
  return out;
}

bool is_clean(const std::string& text) {
  std::string without_newlines = text;
  std::erase(without_newlines, '\n');
  return base::is_valid_utf8(text) && !base::has_control_character(without_newlines);
}

TEST(CleanLogTailOfAnything, IsValidBoundedAndStaysAsItIs) {
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same texts each time
  for (int round = 0; round < 20'000; ++round) {
    const std::string raw = awkward_text(random);
    const std::size_t max_bytes = random() % 40;
    const std::string clean = clean_log_tail(raw, max_bytes);
    ASSERT_LE(clean.size(), max_bytes) << testing::PrintToString(raw);
    ASSERT_TRUE(is_clean(clean)) << testing::PrintToString(raw);
    ASSERT_EQ(clean_log_tail(clean, max_bytes), clean) << testing::PrintToString(raw);
    ASSERT_THAT(clean_log_tail(raw, 10'000), testing::EndsWith(clean));
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Verdicts as text

TEST(VerdictText, ComesBackForAnyVerdict) {
  std::mt19937 random(2);  // NOLINT(bugprone-random-generator-seed): the same verdicts each time
  for (int round = 0; round < 2'000; ++round) {
    const std::string text = awkward_text(random);
    Build build = failed_build();
    build.end->message = text;
    build.end->complete = random() % 4 == 0;
    build.end->reason =
        std::vector<std::string>{"Superseded", "DeadlineExceeded", "SecretMissing", "Other"}[random() % 4];
    Evidence evidence{.pod = {}, .waiting = {}, .log_tail = text};
    if (random() % 2 == 0) evidence.pod = ended_pod("Error", 1);
    const Verdict verdict = judge(build, evidence);
    const auto again = parse_verdict(to_text(verdict));
    ASSERT_TRUE(again) << to_text(verdict);
    ASSERT_EQ(*again, verdict);
    ASSERT_LE(verdict.message.size(), 1024U);
  }
}

TEST(VerdictText, RefusesWhatIsNone) {
  for (const char* const text :
       {"", "null", "[]", "{}", R"({"outcome":"complete"})",
        R"({"outcome":"done","finished_at":"2026-03-01T10:00:00Z"})",
        R"({"outcome":"failed","finished_at":"2026-03-01T10:00:00Z"})",
        R"({"outcome":"complete","class":"push","finished_at":"2026-03-01T10:00:00Z"})",
        R"({"outcome":"failed","class":"other","finished_at":"2026-03-01T10:00:00Z"})",
        R"({"outcome":"complete","finished_at":"noon"})",
        R"({"outcome":"complete","finished_at":"2026-03-01T10:00:00Z","started_at":"noon"})",
        R"({"outcome":"complete","finished_at":"2026-03-01T10:00:00Z","more":"x"})",
        R"({"outcome":"complete","finished_at":"2026-03-01T10:00:00Z","digest":1})"}) {
    const auto parsed = parse_verdict(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, base::ErrorKind::invalid) << text;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Events

constexpr auto operator_source = "/knative-lambda/operator";

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// tests/house/test_build_result_schema.py holds the golden events against the schema.
void expect_golden(const std::string& name, const cloudevents::Event& event) {
  const std::string path = std::string(LAMBDA_GOLDEN_DIR) + "/build_result_" + name + ".json";
  const json actual = json::parse(cloudevents::encode_json(event));
  const json expected = json::parse(file_text(path), nullptr, false);
  EXPECT_EQ(expected, actual) << path << " should be\n" << actual.dump(2);
}

TEST(ResultEvents, AreTheGoldenOnes) {
  expect_golden("started", started_event(build_of(), at("2026-03-01T10:00:10Z"), operator_source));
  const Evidence well{.pod = ended_pod("Completed", 0), .waiting = {}, .log_tail = {}};
  expect_golden("complete", result_event(complete_build(), judge(complete_build(), well), operator_source));
  const Evidence badly =
      failed_with(log_of("make: *** [all] Error 2\nerror building image: error building stage: failed to "
                         "execute command: waiting for "
                         "process to exit: exit status 2"));
  expect_golden("failed", result_event(failed_build(), judge(failed_build(), badly), operator_source));
  const Evidence waited = waited_for(reason::quota_exceeded, "exceeded quota: builds");
  expect_golden("timeout", result_event(late_build(), judge(late_build(), waited), operator_source));
  const Build superseded = failed_build("Superseded", "kaniko-job-9 is newer");
  expect_golden("superseded", result_event(superseded, judge(superseded, {}), operator_source));
}

TEST(ResultEvents, AreTheSameBytesForTheSameBuild) {
  const Verdict verdict = judge(failed_build(), failed_with("x"));
  EXPECT_EQ(result_event(failed_build(), verdict, "s"), result_event(failed_build(), verdict, "s"));
  EXPECT_EQ(result_event(failed_build(), *parse_verdict(to_text(verdict)), "s"),
            result_event(failed_build(), verdict, "s"));
}

TEST(ResultEvents, HaveOnlyTheExtensionsThatAreKnown) {
  Build build = complete_build();
  build.correlation_id.clear();
  build.third_party_id.clear();
  build.parser_id.clear();
  build.traceparent = "no trace";
  EXPECT_THAT(result_event(build, judge(build, {}), "s").extensions, testing::IsEmpty());
}

TEST(ResultEvents, CountNoTimeBackwards) {
  Build build = complete_build();
  build.created = at("2026-03-01T10:00:08Z");  // another machine's clock
  const json data = json::parse(started_event(build, at("2026-03-01T10:00:10Z"), "s").data);
  EXPECT_EQ(data["queued_seconds"], 0);
  EXPECT_EQ(data["waiting_seconds"], 6);
}

// ---------------------------------------------------------------------------------------------------------------------
// Words

TEST(OutcomeWords, ComeBack) {
  for (const Outcome outcome : build::all_outcomes)
    EXPECT_EQ(build::parse_outcome(to_string(outcome)), outcome);
  for (const FailureClass each : build::all_failure_classes)
    EXPECT_EQ(build::parse_failure_class(to_string(each)), each);
  EXPECT_FALSE(build::parse_outcome("Complete"));
  EXPECT_FALSE(build::parse_failure_class(""));
}

std::vector<std::string> words_of(const auto& values) {
  std::vector<std::string> out;
  for (const auto each : values) out.emplace_back(to_string(each));
  return out;
}

TEST(BuildDocuments, HaveEveryWord) {
  const std::string root = LAMBDA_SOURCE_DIR;
  const std::string document = file_text(root + "/docs/builds.md");
  for (const auto& words :
       {std::vector<std::string_view>(reason::all_waiting.begin(), reason::all_waiting.end()),
        std::vector<std::string_view>(reason::all_verdicts.begin(), reason::all_verdicts.end())}) {
    for (const auto word : words) EXPECT_THAT(document, HasSubstr("| `" + std::string(word) + "` |"));
  }
  for (const auto& word : words_of(build::all_failure_classes))
    EXPECT_THAT(document, HasSubstr("`" + word + "`"));
  const json schema = json::parse(file_text(root + "/docs/schemas/build-result.json"));
  EXPECT_EQ(schema["properties"]["outcome"]["enum"], json(words_of(build::all_outcomes)));
  EXPECT_EQ(schema["properties"]["class"]["enum"], json(words_of(build::all_failure_classes)));
}

}  // namespace
}  // namespace lambda::builds
