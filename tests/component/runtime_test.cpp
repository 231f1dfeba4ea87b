// Kubernetes Events with the real API server (KUBECONFIG).
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/event_recorder.h"
#include "support/imposter.h"
#include "support/kubernetes.h"
#include "support/run.h"

namespace lambda::runtime {
namespace {

using base::milliseconds;
using nlohmann::json;
using support::eventually;
using testing::HasSubstr;

class Recorder : public testing::Test {
 protected:
  EventNote note(const std::string& message, EventType type = EventType::warning) const {
    return {.regarding = {"lambda.notifi.network/v1alpha1",
                          "JobQueue",
                          {space_.name(), "kaniko-jobs"},
                          "some-uid"},
            .type = type,
            .reason = "QueueDiffers",
            .action = "Compare",
            .message = message};
  }

  json events() const {
    const auto found = api_.list(kube::resources::event, {.namespace_name = space_.name()});
    return found ? (*found)["items"] : json::array();
  }
  std::string metrics() const { return registry_.exposition(); }

  support::KubernetesNamespace space_;
  kube::Api api_{space_.client(), support::patience};
  metrics::Registry registry_;
  base::Log log_{base::Level::error};
  EventSettings settings_{.instance = "operator-0"};
};

TEST_F(Recorder, WhatComesAgainIsOneEventThatIsCountedUp) {
  settings_.count_up_every = milliseconds(0);
  EventRecorder recorder(settings_, api_, registry_, log_);
  recorder.record(note("x-max-length is 1"));
  recorder.record(note("x-max-length is 1"));
  recorder.record(note("x-max-length is 1"));
  ASSERT_TRUE(eventually([&] {
    return metrics().find(R"(operator_events_total{outcome="sent"} 3)") != std::string::npos;
  })) << metrics();
  const json found = events();
  ASSERT_EQ(found.size(), 1U) << found;
  EXPECT_EQ(found[0]["note"], "x-max-length is 1");
  EXPECT_EQ(found[0]["reason"], "QueueDiffers");
  EXPECT_EQ(found[0]["type"], "Warning");
  EXPECT_EQ(found[0]["regarding"]["kind"], "JobQueue");
  EXPECT_EQ(found[0]["regarding"]["uid"], "some-uid");
  EXPECT_EQ(found[0]["reportingInstance"], "operator-0");
  EXPECT_EQ(found[0]["series"]["count"], 3);
}

TEST_F(Recorder, AFloodEndsInAFewEvents) {
  settings_.burst_per_object = 5;
  EventRecorder recorder(settings_, api_, registry_, log_);
  for (int i = 0; i < 100; ++i) recorder.record(note("message " + std::to_string(i)));
  ASSERT_TRUE(eventually([&] { return metrics().find(R"({outcome="dropped"} 95)") != std::string::npos; }))
      << metrics();
  EXPECT_EQ(events().size(), 5U);
}

TEST_F(Recorder, AnythingFitsIntoAnEvent) {
  EventRecorder recorder(settings_, api_, registry_, log_);
  recorder.record(note(std::string(5000, 'x') + "\xFF", EventType::normal));
  EventNote long_names = note("long");
  long_names.regarding.key.name = std::string(253, 'n');
  long_names.reason = std::string(500, 'R');
  recorder.record(long_names);
  EXPECT_TRUE(eventually([&] { return events().size() == 2; })) << metrics();
}

TEST_F(Recorder, AnEventThatHasExpiredIsMadeAnew) {
  settings_.count_up_every = milliseconds(0);
  EventRecorder recorder(settings_, api_, registry_, log_);
  recorder.record(note("a"));
  ASSERT_TRUE(eventually([&] { return events().size() == 1; }));
  ASSERT_TRUE(
      api_.remove(kube::resources::event, space_.name(), std::string(events()[0]["metadata"]["name"])));
  recorder.record(note("a"));  // fails, and is forgotten
  recorder.record(note("a"));
  EXPECT_TRUE(eventually([&] { return events().size() == 1; })) << metrics();
  EXPECT_THAT(metrics(), HasSubstr(R"({outcome="failed"} 1)"));
}

TEST_F(Recorder, AnApiServerThatIsAwayHoldsNobodyUp) {
  support::Imposter silent(
      [](const http::Request&, support::Wire& wire) {
        wire.wait_for_the_end();
        return true;
      },
      support::in_order({std::nullopt}));
  settings_.queue_max = 10;
  {
    EventRecorder recorder(settings_, kube::Api(std::make_shared<kube::RestClient>(silent.cluster())),
                           registry_, log_);
    for (int i = 0; i < 100; ++i) recorder.record(note("message " + std::to_string(i)));
    EXPECT_THAT(metrics(), testing::ContainsRegex(R"(\{outcome="dropped"\} (89|90))"));
  }
}

}  // namespace
}  // namespace lambda::runtime
