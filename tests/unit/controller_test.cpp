#include "runtime/controller.h"

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lambda::runtime {
namespace {

using api::ObjectKey;
using base::milliseconds;
using testing::HasSubstr;

class AController : public testing::Test {
 protected:
  // Runs until `reconcile` has called stop().
  void run(const Reconcile& reconcile, const std::vector<std::string>& keys) {
    Controller controller(
        {.kind = "Thing", .threads = 3, .retries = {.backoff = {milliseconds(1), milliseconds(1)}}},
        reconcile, registry_, log_);
    for (const std::string& key : keys) controller.queue().add({"n", key});
    controller.run(stop_.get_token());
  }
  void stop() { stop_.request_stop(); }
  std::string metrics() const { return registry_.exposition(); }

  metrics::Registry registry_;
  base::Log log_{base::Level::error, -1};
  std::stop_source stop_;
};

TEST_F(AController, CallsForEachKeyAndCountsWhatCameOfIt) {
  std::mutex mutex;
  std::map<std::string, int> calls;
  run(
      [&](const ObjectKey& key, const std::stop_token&) -> base::Result<Action> {
        const std::lock_guard lock(mutex);
        ++calls[key.name];
        if (calls.size() == 3) stop();
        return Action::await_change();
      },
      {"a", "b", "c", "a"});
  EXPECT_THAT(calls,
              testing::ElementsAre(testing::Pair("a", 1), testing::Pair("b", 1), testing::Pair("c", 1)));
  EXPECT_THAT(metrics(), HasSubstr(R"(operator_reconcile_total{kind="Thing",outcome="done"} 3)"));
  EXPECT_THAT(metrics(), HasSubstr(R"(operator_reconcile_duration_seconds_count{kind="Thing"} 3)"));
}

TEST_F(AController, TriesAgainAfterAnErrorAnExceptionAndOnRequest) {
  std::atomic<int> calls = 0;
  run(
      [&](const ObjectKey&, const std::stop_token&) -> base::Result<Action> {
        switch (++calls) {
          case 1:
            return base::fail(base::ErrorKind::unavailable, "away");
          case 2:
            throw std::runtime_error("nobody thought of that");
          case 3:
            return tl::unexpected(base::Error{base::ErrorKind::unavailable, "stale", "", std::nullopt, 409});
          case 4:
            return Action::requeue(milliseconds(1));
          default:
            stop();
            return Action::await_change();
        }
      },
      {"a"});
  EXPECT_EQ(calls, 5);
  EXPECT_THAT(metrics(), HasSubstr(R"({kind="Thing",outcome="failed"} 2)"));
  EXPECT_THAT(metrics(), HasSubstr(R"({kind="Thing",outcome="stale"} 1)"));
  EXPECT_THAT(metrics(), HasSubstr(R"({kind="Thing",outcome="requeued"} 1)"));
  EXPECT_THAT(metrics(), HasSubstr(R"({kind="Thing",outcome="done"} 1)"));
}

TEST_F(AController, AReconcileThatIsUnderWayIsWaitedFor) {
  std::atomic<bool> was_asked_to_stop = false;
  run(
      [&](const ObjectKey&, const std::stop_token& asked) -> base::Result<Action> {
        stop();
        was_asked_to_stop = asked.stop_requested();
        return Action::await_change();
      },
      {"a"});
  EXPECT_TRUE(was_asked_to_stop);
}

}  // namespace
}  // namespace lambda::runtime
