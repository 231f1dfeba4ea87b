// Builds at the real API server, with its Job controller; the test is their kubelet, and an imposter the sink
// of their result events.
#include "follow/follow.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "build/identity.h"
#include "builds/result_event.h"
#include "cloudevents/http.h"
#include "kube/resource.h"
#include "metrics/registry.h"
#include "support/imposter.h"
#include "support/kubernetes.h"

namespace lambda::follow {
namespace {

using base::milliseconds;
using cloudevents::Event;
using nlohmann::json;
using testing::HasSubstr;

constexpr std::chrono::seconds patience{60};

// Receives events, and answers what the test says.
class Receiver {
 public:
  std::string url() const { return "http://127.0.0.1:" + std::to_string(imposter_.port()) + "/results"; }

  void answer_with(unsigned status) {
    const std::lock_guard lock(mutex_);
    status_ = status;
  }

  std::vector<Event> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

  // The first of that type, once it is there.
  Event wait_for(std::string_view type, std::string_view subject) const {
    std::unique_lock lock(mutex_);
    const Event* found = nullptr;
    const bool came = changed_.wait_for(lock, patience, [&] {
      for (const Event& event : events_) {
        if (event.type == type && event.subject == subject) found = &event;
      }
      return found != nullptr;
    });
    EXPECT_TRUE(came) << type << " of " << subject << " did not come";
    return came ? *found : Event();
  }

  void wait_for_requests(std::size_t count) const {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, patience, [&] { return requests_ >= count; }));
  }

 private:
  http::Response take(const http::Request& request) {
    std::vector<cloudevents::Header> headers;
    std::string content_type;
    for (const auto& [name, value] : request.headers) {
      headers.push_back({name, value});
      if (base::equals_ignoring_case(name, "content-type")) content_type = value;
    }
    auto event = cloudevents::decode_http(content_type, headers, request.body);
    const std::lock_guard lock(mutex_);
    ++requests_;
    http::Response response;
    response.status = event ? status_ : 400;
    if (event && status_ < 300) events_.push_back(std::move(*event));
    changed_.notify_all();
    return response;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  unsigned status_ = 202;
  std::size_t requests_ = 0;
  std::vector<Event> events_;
  support::Imposter imposter_{[this](const http::Request& request) { return take(request); }};
};

class ABuild : public testing::Test {
 protected:
  ABuild() {
    settings_.namespace_name = space_.name();
    settings_.watchdog = milliseconds(1'000);
    settings_.results.sink = receiver_.url();
    settings_.results.max_retry_delay = milliseconds(200);
  }
  ~ABuild() override { stop(); }

  void start() {
    following_ = std::jthread([this](const std::stop_token& stop) {
      run(settings_, "", {api_, space_.client(), may_write_, registry_, log_}, stop);
    });
  }
  void stop() { following_ = {}; }

  // As the builder makes them. Returns its name.
  std::string create(const std::string& id, const std::string& tenant = "tenant-a",
                     const json& more = json::object()) {
    const std::string name = build::job_name({.source = "test", .id = id});
    const json labels{{"app.kubernetes.io/managed-by", "knative-lambda-builder"},
                      {"lambda.notifi.network/third-party-id", tenant},
                      {"lambda.notifi.network/parser-id", "parser"}};
    const json event{{"specversion", "1.0"},
                     {"id", id},
                     {"source", "test"},
                     {"type", "network.notifi.lambda.job.start"},
                     {"data", {{"third_party_id", tenant}, {"parser_id", "parser"}}}};
    json job{{"apiVersion", "batch/v1"},
             {"kind", "Job"},
             {"metadata",
              {{"name", name},
               {"namespace", space_.name()},
               {"labels", labels},
               {"annotations",
                {{"lambda.notifi.network/event-id", id},
                 {"lambda.notifi.network/event-source", "test"},
                 {"lambda.notifi.network/correlation-id", "c-" + id},
                 {"lambda.notifi.network/event", event.dump()},
                 {"lambda.notifi.network/ttl-after-finished", "3600"}}}}},
             {"spec",
              {{"backoffLimit", 0},
               {"activeDeadlineSeconds", 600},
               {"template",
                {{"metadata", {{"labels", labels}}},
                 {"spec",
                  {{"restartPolicy", "Never"},
                   {"containers",
                    {{{"name", "kaniko"},
                      {"image", "registry.test/kaniko"},
                      {"args", {"--destination=registry.test/" + tenant + "/parser:1"}}}}}}}}}}}};
    job.merge_patch(more);
    const auto created = api_.create(job, "test");
    EXPECT_TRUE(created) << describe(created.error());
    return name;
  }

  json get(const std::string& name) {
    const auto job = api_.get(kube::resources::job, space_.name(), name);
    EXPECT_TRUE(job) << describe(job.error());
    return job.value_or(json::object());
  }

  template <class Condition>
  json wait_until(const std::string& name, const char* what, Condition holds) {
    const base::TimePoint end = base::Clock::now() + patience;
    json job = get(name);
    while (!holds(job)) {
      if (base::Clock::now() > end) {
        ADD_FAILURE() << what << ": " << job.dump(1);
        break;
      }
      std::this_thread::yield();
      job = get(name);
    }
    return job;
  }

  json wait_until_settled(const std::string& name) {
    return wait_until(name, "it is not settled", [](const json& job) {
      return base::at(job["metadata"]["labels"], "lambda.notifi.network/outcome").is_string();
    });
  }

  // What a kubelet does. Returns the pod's name.
  std::string pod_of(const std::string& job) {
    const base::TimePoint end = base::Clock::now() + patience;
    while (base::Clock::now() < end) {
      const auto list = api_.list(
          kube::resources::pod,
          {.namespace_name = space_.name(), .label_selector = "batch.kubernetes.io/job-name=" + job});
      if (list && !(*list)["items"].empty()) return (*list)["items"][0]["metadata"]["name"];
    }
    ADD_FAILURE() << job << " has no pod";
    return {};
  }

  void set_status(const std::string& pod, const json& status) {
    const auto set = api_.patch(kube::resources::pod, space_.name(), pod, kube::PatchKind::merge,
                                {{"status", status}}, {.status = true});
    EXPECT_TRUE(set) << describe(set.error());
  }

  static json container(const json& state) {
    return json::array({{{"name", "kaniko"},
                         {"image", "registry.test/kaniko"},
                         {"imageID", ""},
                         {"ready", false},
                         {"restartCount", 0},
                         {"state", state}}});
  }

  void run_pod(const std::string& job) {
    set_status(pod_of(job),
               {{"phase", "Running"},
                {"containerStatuses", container({{"running", {{"startedAt", "2026-01-01T00:00:00Z"}}}})}});
  }

  void end_pod(const std::string& job, int exit_code, const std::string& reason,
               const std::string& message = "") {
    set_status(pod_of(job), {{"phase", exit_code == 0 ? "Succeeded" : "Failed"},
                             {"containerStatuses", container({{"terminated",
                                                               {{"exitCode", exit_code},
                                                                {"reason", reason},
                                                                {"message", message},
                                                                {"startedAt", "2026-01-01T00:00:00Z"},
                                                                {"finishedAt", "2026-01-01T00:00:07Z"}}}})}});
  }

  static std::string outcome_of(const json& job) {
    return job["metadata"]["labels"].value("lambda.notifi.network/outcome", "");
  }
  static json data_of(const Event& event) { return json::parse(event.data, nullptr, false); }

  support::KubernetesNamespace space_;
  kube::Api api_{space_.client()};
  base::WriteGuard may_write_;
  metrics::Registry registry_;
  base::Log log_{base::Level::error};
  Receiver receiver_;
  config::Builds settings_;
  std::jthread following_;
};

constexpr const char* digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST_F(ABuild, ThatIsCompleteIsToldAndThenItsJobMayGo) {
  start();
  const std::string name = create("1");
  run_pod(name);
  const Event started = receiver_.wait_for(builds::started_type, name);
  EXPECT_EQ(started.extensions.at("thirdpartyid"), "tenant-a");
  EXPECT_FALSE(get(name)["spec"].contains("ttlSecondsAfterFinished"));

  end_pod(name, 0, "Completed", digest);
  const Event complete = receiver_.wait_for(builds::complete_type, name);
  EXPECT_EQ(data_of(complete)["digest"], digest);
  EXPECT_EQ(data_of(complete)["build_seconds"], 7);
  EXPECT_EQ(complete.extensions.at("correlationid"), "c-1");
  const json job = wait_until_settled(name);
  EXPECT_EQ(outcome_of(job), "complete");
  EXPECT_EQ(job["spec"]["ttlSecondsAfterFinished"], 3600);
}

TEST_F(ABuild, KeepsItsJobWhileTheSinkIsAway) {
  receiver_.answer_with(503);
  start();
  const std::string name = create("1");
  end_pod(name, 1, "Error");
  wait_until(name, "no result", [](const json& job) {
    return base::at(job["metadata"]["annotations"], "lambda.notifi.network/result").is_string();
  });
  receiver_.wait_for_requests(3);
  EXPECT_EQ(outcome_of(get(name)), "");
  EXPECT_FALSE(get(name)["spec"].contains("ttlSecondsAfterFinished"));

  // Another leader goes on with what stands on the Job.
  stop();
  receiver_.answer_with(202);
  start();
  const Event failed = receiver_.wait_for(builds::failed_type, name);
  EXPECT_EQ(failed.id, base::text_at(get(name), "/metadata/uid") + ".failed");
  EXPECT_EQ(wait_until_settled(name)["spec"]["ttlSecondsAfterFinished"], 3600);
}

TEST_F(ABuild, IsGivenUpAfterItsTime) {
  receiver_.answer_with(400);
  settings_.results.give_up_after = milliseconds(1);
  start();
  const std::string name = create("1");
  end_pod(name, 0, "Completed", digest);
  EXPECT_EQ(outcome_of(wait_until_settled(name)), "complete");
  EXPECT_THAT(registry_.exposition(), HasSubstr(R"(operator_build_results_total{outcome="given_up"} 1)"));
}

TEST_F(ABuild, IsReleasedWithinTheLimits) {
  settings_.admission = {.max_running = 3, .max_running_per_tenant = 2};
  const json suspended{{"metadata", {{"labels", {{"lambda.notifi.network/admission", "operator"}}}}},
                       {"spec", {{"suspend", true}}}};
  std::vector<std::string> all;
  for (const char* const id : {"1", "2", "3", "4"}) all.push_back(create(id, "tenant-a", suspended));
  for (const char* const id : {"5", "6"}) all.push_back(create(id, "tenant-b", suspended));
  start();
  const auto is_released = [](const json& job) { return !job["spec"].value("suspend", false); };
  std::size_t ended = 0;
  while (ended < all.size()) {
    std::map<std::string, int> running;
    std::string next;
    const base::TimePoint end = base::Clock::now() + patience;
    while (next.empty()) {
      ASSERT_LT(base::Clock::now(), end) << "nobody is released";
      for (const std::string& name : all) {
        const json job = get(name);
        const bool over = base::at(job["status"], "completionTime").is_string();
        if (is_released(job) && !over) next = name;
      }
    }
    for (const std::string& name : all) {
      const json job = get(name);
      if (is_released(job) && !base::at(job["status"], "completionTime").is_string()) {
        ++running[job["metadata"]["labels"]["lambda.notifi.network/third-party-id"]];
      }
    }
    EXPECT_LE(running["tenant-a"], 2);
    EXPECT_LE(running["tenant-a"] + running["tenant-b"], 3);
    end_pod(next, 0, "Completed", digest);
    wait_until_settled(next);
    ++ended;
  }
}

TEST_F(ABuild, ThatWaitsForItsTurnSaysItsPosition) {
  settings_.admission = {.max_running = 1, .max_running_per_tenant = 1};
  const json suspended{{"metadata", {{"labels", {{"lambda.notifi.network/admission", "operator"}}}}},
                       {"spec", {{"suspend", true}}}};
  create("1", "tenant-a", suspended);
  create("2", "tenant-b", suspended);
  create("3", "tenant-c", suspended);
  start();
  std::string told;
  const base::TimePoint end = base::Clock::now() + patience;
  while (told.find("position 2") == std::string::npos && base::Clock::now() < end) {
    told.clear();
    for (const char* const id : {"1", "2", "3"}) {
      const json annotations = get(build::job_name({.source = "test", .id = id}))["metadata"]["annotations"];
      told += annotations.value("lambda.notifi.network/waiting", "");
    }
  }
  EXPECT_THAT(told, HasSubstr("position 2"));
}

TEST_F(ABuild, IsSupersededByANewerOneSuspendedOrRunning) {
  const json cancel{{"metadata", {{"annotations", {{"lambda.notifi.network/on-newer", "cancel"}}}}}};
  json suspended = cancel;
  suspended["spec"]["suspend"] = true;
  const std::string waits = create("1", "tenant-a", suspended);
  const std::string runs = create("2", "tenant-b", cancel);
  run_pod(runs);
  start();
  receiver_.wait_for(builds::started_type, runs);
  // Newer by its second, or else by its name: not the same second decides here.
  wait_until(runs, "a second passed", [&](const json&) {
    return std::chrono::system_clock::now() >
           *base::parse_rfc3339(base::text_at(get(runs), "/metadata/creationTimestamp")) +
               std::chrono::milliseconds(1'000);
  });
  create("3", "tenant-a", suspended);
  create("4", "tenant-b", cancel);
  for (const std::string& name : {waits, runs}) {
    EXPECT_EQ(outcome_of(wait_until_settled(name)), "superseded");
    EXPECT_EQ(data_of(receiver_.wait_for(builds::failed_type, name))["outcome"], "superseded");
  }
}

TEST_F(ABuild, ThatCanNotStartIsEndedByTheWatchdog) {
  start();
  const std::string name = create("1");
  set_status(pod_of(name),
             {{"phase", "Pending"},
              {"containerStatuses",
               container({{"waiting", {{"reason", "ErrImagePull"}, {"message", "no such image"}}}})}});
  const Event failed = receiver_.wait_for(builds::failed_type, name);
  EXPECT_EQ(data_of(failed)["class"], "infrastructure");
  EXPECT_THAT(std::string(data_of(failed)["message"]), HasSubstr("no such image"));
  const json job = wait_until_settled(name);
  EXPECT_EQ(base::text_at(job, "/status/conditions/0/reason"), "ImageUnavailable");
}

TEST_F(ABuild, WhoseDeadlinePassesWhileItWaitsTellsWhy) {
  settings_.watchdog = std::chrono::hours(1);
  start();
  const std::string name = create("1", "tenant-a", {{"spec", {{"activeDeadlineSeconds", 8}}}});
  set_status(pod_of(name),
             {{"phase", "Pending"},
              {"containerStatuses",
               container({{"waiting", {{"reason", "ErrImagePull"}, {"message", "no such image"}}}})}});
  const Event timeout = receiver_.wait_for(builds::timeout_type, name);
  EXPECT_EQ(data_of(timeout)["class"], "infrastructure");
  EXPECT_THAT(std::string(data_of(timeout)["message"]), HasSubstr("no such image"));
}

TEST_F(ABuild, ThatRanOutOfMemoryIsTriedOnceMore) {
  start();
  const std::string name =
      create("1", "tenant-a",
             {{"metadata", {{"annotations", {{"lambda.notifi.network/oom-retry-memory", "3Gi"}}}}}});
  run_pod(name);
  end_pod(name, 255, "OOMKilled");
  const Event failed = receiver_.wait_for(builds::failed_type, name);
  EXPECT_EQ(data_of(failed)["class"], "oom");
  const std::string retry = data_of(failed).value("retried_as", "");
  EXPECT_EQ(retry, build::job_name({.source = "test", .id = "1", .redrive_attempt = 1}));
  EXPECT_EQ(base::text_at(get(retry), "/spec/template/spec/containers/0/resources/limits/memory"), "3Gi");

  run_pod(retry);
  end_pod(retry, 255, "OOMKilled");
  EXPECT_EQ(data_of(receiver_.wait_for(builds::failed_type, retry)).value("retried_as", ""), "");
  EXPECT_EQ(outcome_of(wait_until_settled(retry)), "failed");
}

}  // namespace
}  // namespace lambda::follow
