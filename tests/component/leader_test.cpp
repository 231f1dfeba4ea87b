// Leader election with the real API server (KUBECONFIG): one leads, the next follows, and who was away knows
// it.
#include "runtime/leader.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "support/imposter.h"
#include "support/kubernetes.h"
#include "support/run.h"
#include "support/tcp_proxy.h"

namespace lambda::runtime {
namespace {

using base::milliseconds;
using nlohmann::json;
using support::eventually;

const std::string lease_name = "leader";

LeaderSettings settings_for(const std::string& namespace_name, const std::string& identity) {
  return {.lease = {namespace_name, lease_name},
          .identity = identity,
          .duration = milliseconds(6'000),
          .renew_every = milliseconds(200),
          .request_timeout = milliseconds(4'000),
          .retry = milliseconds(50),
          .margin = milliseconds(1'000)};
}

class Leaders : public testing::Test {
 protected:
  std::unique_ptr<LeaderElector> start(const std::string& identity) {
    return std::make_unique<LeaderElector>(settings_for(space_.name(), identity), space_.client(), registry_,
                                           log_);
  }

  std::unique_ptr<LeaderElector> start(const LeaderSettings& settings, const support::TcpProxy& proxy) {
    kube::Cluster cluster = support::real_cluster();
    cluster.tls_server_name = cluster.server_name();
    cluster.host = "127.0.0.1";
    cluster.port = proxy.port();
    return std::make_unique<LeaderElector>(settings, std::make_shared<kube::RestClient>(cluster), registry_,
                                           log_);
  }

  json lease() const {
    const auto found = api_.get(kube::resources::lease, space_.name(), lease_name);
    return found ? *found : json::object();
  }
  std::string holder() const { return lease().value("/spec/holderIdentity"_json_pointer, ""); }

  support::KubernetesNamespace space_;
  kube::Api api_{space_.client(), support::patience};
  metrics::Registry registry_;
  base::Log log_{base::Level::error};
};

// With a lease so long, nobody can have waited for its end.
TEST_F(Leaders, OneLeadsAndTheNextFollowsItsResignationAtOnce) {
  LeaderSettings settings = settings_for(space_.name(), "first");
  settings.duration = std::chrono::hours(1);
  auto first = std::make_unique<LeaderElector>(settings, space_.client(), registry_, log_);
  EXPECT_EQ(first->wait_until_leading({}), 1U);
  settings.identity = "second";
  LeaderElector second(settings, space_.client(), registry_, log_);
  const json before = lease();
  EXPECT_TRUE(eventually([&] { return lease() != before; }));  // renewed, and still the same
  EXPECT_EQ(holder(), "first");
  EXPECT_FALSE(second.leads());
  first->resign();
  EXPECT_FALSE(first->leads());
  EXPECT_EQ(second.wait_until_leading({}), 1U);
  EXPECT_EQ(holder(), "second");
  EXPECT_GE(lease()["spec"]["leaseTransitions"], 1);
}

TEST_F(Leaders, ALeaderThatVanishesIsFollowedAfterItsLeaseAndNeverDoTwoLead) {
  const kube::Cluster cluster = support::real_cluster();
  support::TcpProxy proxy(cluster.host, cluster.port);
  const auto first = start(settings_for(space_.name(), "first"), proxy);
  const auto term = first->wait_until_leading({});
  const auto second = start("second");
  std::atomic<bool> both = false;
  std::jthread watcher([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      both = both || (second->leads() && first->leads());
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  proxy.refuse(true);
  proxy.cut();
  EXPECT_TRUE(first->wait_until_lost(*term, {}));
  EXPECT_FALSE(first->may_write(*term));
  EXPECT_TRUE(second->wait_until_leading({}));
  // Before one leads after the other, between two looks of the watcher.
  watcher.request_stop();
  watcher.join();
  EXPECT_FALSE(both);
  proxy.refuse(false);
  second->resign();
  EXPECT_GT(first->wait_until_leading({}), term);
}

TEST_F(Leaders, ALeaseThatWasTakenByHandIsLost) {
  const auto leader = start("first");
  const auto term = leader->wait_until_leading({});
  const auto patched = api_.patch(kube::resources::lease, space_.name(), lease_name, kube::PatchKind::merge,
                                  {{"spec", {{"holderIdentity", "somebody"}, {"leaseDurationSeconds", 1}}}});
  ASSERT_TRUE(patched) << patched.error().message;
  EXPECT_TRUE(leader->wait_until_lost(*term, {}));
  EXPECT_GT(leader->wait_until_leading({}), term);  // nobody renews it
  EXPECT_FALSE(leader->may_write(*term));           // and who works for the old term may not go on
}

TEST_F(Leaders, ALeaseThatWasDeletedIsMadeAnewByItsLeader) {
  const auto leader = start("first");
  ASSERT_TRUE(leader->wait_until_leading({}));
  ASSERT_TRUE(api_.remove(kube::resources::lease, space_.name(), lease_name));
  EXPECT_TRUE(eventually([&] { return holder() == "first" && leader->leads(); }));
}

TEST_F(Leaders, ALeaseThatWasDeletedIsNotTakenBeforeItWouldHaveEnded) {
  const json held{{"metadata", {{"namespace", "n"}, {"name", lease_name}, {"resourceVersion", "1"}}},
                  {"spec", {{"holderIdentity", "other"}, {"leaseDurationSeconds", 3600}}}};
  std::atomic<int> reads = 0;
  support::Imposter imposter([&](const http::Request& request) -> std::optional<http::Response> {
    if (request.query.find("watch=true") != std::string::npos)
      return http::Response{200, "", json{{"type", "DELETED"}, {"object", held}}.dump() + "\n", {}};
    return ++reads == 1 ? http::Response{200, "", held.dump(), {}} : support::status_answer(404, "NotFound");
  });
  LeaderElector leader(settings_for("n", "second"), std::make_shared<kube::RestClient>(imposter.cluster()),
                       registry_, log_);
  EXPECT_TRUE(eventually([&] { return reads >= 2; }));
  leader.resign();
  for (const std::string& request : imposter.requests()) EXPECT_THAT(request, testing::StartsWith("GET "));
}

// After a restart the API server no longer has the events since a Lease was written that nobody renews any
// more.
TEST_F(Leaders, AWatchThatIsRefusedInAnEventIsAskedForWithPauses) {
  constexpr int watches_seen = 4;
  const json held{{"metadata", {{"namespace", "n"}, {"name", lease_name}, {"resourceVersion", "1"}}},
                  {"spec", {{"holderIdentity", "other"}, {"leaseDurationSeconds", 3600}}}};
  const json expired{{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old"}};
  std::atomic<int> watches = 0;
  support::Imposter imposter([&](const http::Request& request) -> std::optional<http::Response> {
    if (request.query.find("watch=true") == std::string::npos)
      return http::Response{200, "", held.dump(), {}};
    ++watches;
    return http::Response{200, "", json{{"type", "ERROR"}, {"object", expired}}.dump() + "\n", {}};
  });
  const LeaderSettings settings = settings_for("n", "second");
  const auto began = std::chrono::steady_clock::now();
  LeaderElector leader(settings, std::make_shared<kube::RestClient>(imposter.cluster()), registry_, log_);
  EXPECT_TRUE(eventually([&] { return watches >= watches_seen; }));
  EXPECT_GE(std::chrono::steady_clock::now() - began, (watches_seen - 1) * settings.retry);
}

// A Lease with a resource version, as an API server would keep it.
class StoredLease {
 public:
  http::Response answer(const http::Request& request) {
    const std::lock_guard lock(mutex_);
    if (request.method == "GET")
      return lease_.is_null() ? support::status_answer(404, "NotFound")
                              : http::Response{200, "", lease_.dump(), {}};
    json wanted = json::parse(request.body);
    const std::string version = wanted["metadata"].value("resourceVersion", "0");
    if (version != std::to_string(version_)) return support::status_answer(409, "Conflict");
    wanted["metadata"]["resourceVersion"] = std::to_string(++version_);
    lease_ = std::move(wanted);
    return {200, "", lease_.dump(), {}};
  }

  json get() const {
    const std::lock_guard lock(mutex_);
    return lease_;
  }

 private:
  mutable std::mutex mutex_;
  json lease_;
  int version_ = 0;
};

// The creation of the Lease, or its first renewal.
TEST_F(Leaders, ALeaseIsGivenBackAlsoWhenTheAnswerToAWriteWasNotWaitedFor) {
  for (const int unanswered : {1, 2}) {
    StoredLease lease;
    std::atomic<int> writes = 0;
    std::atomic<bool> arrived = false;
    support::Imposter imposter(
        [&](const http::Request& request, support::Wire& wire) {
          if (request.method == "GET" || ++writes != unanswered) return false;
          lease.answer(request);
          arrived = true;
          wire.wait_for_the_end();
          return true;
        },
        [&](const http::Request& request) { return lease.answer(request); });
    LeaderSettings settings = settings_for("n", "first");
    settings.request_timeout = support::patience;
    LeaderElector leader(settings, std::make_shared<kube::RestClient>(imposter.cluster()), registry_, log_);
    EXPECT_TRUE(eventually([&] { return arrived.load(); }));
    EXPECT_EQ(lease.get()["spec"]["holderIdentity"], "first");
    leader.resign();
    EXPECT_EQ(lease.get()["spec"]["holderIdentity"], "") << unanswered;
  }
}

TEST_F(Leaders, AStopEndsEveryWait) {
  const auto leader = start("first");
  const auto term = leader->wait_until_leading({});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(leader->wait_until_lost(*term, stop.get_token()));
  EXPECT_FALSE(leader->wait_until_leading(stop.get_token()));
  const auto other = start("second");
  EXPECT_FALSE(other->wait_until_leading(stop.get_token()));
}

// ---------------------------------------------------------------------------------------------------------------------
// A process that is stopped with SIGSTOP past its lease. It is this program once more, as
// AStoppedLeader.DISABLED_Writes.

const std::string written_name = "written";

json written_by(const std::string& who, const std::string& namespace_name) {
  return {{"apiVersion", "coordination.k8s.io/v1"},
          {"kind", "Lease"},
          {"metadata", {{"namespace", namespace_name}, {"name", written_name}}},
          {"spec", {{"holderIdentity", who}}}};
}

std::string writer_of(const json& written) {
  return written.value("/spec/holderIdentity"_json_pointer, "");
}

// Writes as fast as it can while it leads, and ends when somebody else has written.
TEST(AStoppedLeader, DISABLED_Writes) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char* const namespace_name = std::getenv("LAMBDA_TEST_NAMESPACE");
  ASSERT_NE(namespace_name, nullptr);
  const auto client = std::make_shared<kube::RestClient>(support::real_cluster());
  metrics::Registry registry;
  base::Log log(base::Level::warning);
  LeaderElector leader(settings_for(namespace_name, "child"), client, registry, log);
  std::uint64_t term = 0;
  const kube::Api api(client, support::patience, [&] { return leader.may_write(term); });
  while (true) {
    const auto found = api.get(kube::resources::lease, namespace_name, written_name);
    if (found && writer_of(*found) != "child") break;
    if (!found && found.error().kind != base::ErrorKind::not_found) continue;
    if (leader.leads()) term = leader.wait_until_leading({}).value_or(0);
    auto written = found ? api.update(*found) : api.create(written_by("child", namespace_name));
    while (written) written = api.update(*written);
  }
  // Without a resource version nothing but the end of its term keeps it from that.
  const auto late = api.patch(kube::resources::lease, namespace_name, written_name, kube::PatchKind::merge,
                              {{"spec", {{"holderIdentity", "child"}}}});
  EXPECT_FALSE(late);
}

class Child {
 public:
  explicit Child(const std::string& namespace_name) {
    ::setenv("LAMBDA_TEST_NAMESPACE", namespace_name.c_str(), 1);
    std::string program = "/proc/self/exe";
    std::string filter = "--gtest_filter=AStoppedLeader.DISABLED_Writes";
    std::string disabled = "--gtest_also_run_disabled_tests";
    char* const arguments[] = {program.data(), filter.data(), disabled.data(), nullptr};
    if (::posix_spawn(&pid_, program.c_str(), nullptr, nullptr, arguments, environ) != 0) pid_ = 0;
  }
  ~Child() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool runs() const { return pid_ > 0; }
  /// False if it had ended before.
  bool stop() {
    ::kill(pid_, SIGSTOP);
    int status = 0;
    ::waitpid(pid_, &status, WUNTRACED);
    if (!WIFSTOPPED(status)) pid_ = 0;
    return WIFSTOPPED(status);
  }
  void go_on() const { ::kill(pid_, SIGCONT); }
  int wait() {
    int status = 0;
    if (pid_ > 0) ::waitpid(std::exchange(pid_, 0), &status, 0);
    return status;
  }

 private:
  pid_t pid_ = 0;
};

TEST_F(Leaders, WhoWasStoppedPastItsLeaseChangesNothingWhenItGoesOn) {
  const auto written = [&] { return api_.get(kube::resources::lease, space_.name(), written_name); };
  Child child(space_.name());
  ASSERT_TRUE(child.runs());
  ASSERT_TRUE(eventually([&] { return written().has_value(); }));
  ASSERT_TRUE(child.stop());
  const auto next = start("next");
  ASSERT_TRUE(next->wait_until_leading({}));
  // What the new leader does first: from now on a request that was on its way when the other stopped is
  // stale.
  json mine = *written();
  mine["spec"]["holderIdentity"] = "next";
  const auto by_next = api_.update(mine);
  ASSERT_TRUE(by_next) << by_next.error().message;
  child.go_on();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(*written(), *by_next);
  EXPECT_EQ(holder(), "next");
}

}  // namespace
}  // namespace lambda::runtime
