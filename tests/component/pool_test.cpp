// The pool against an imposter of the API server: what it makes of every answer.
#include "pool/pool.h"

#include <atomic>
#include <future>
#include <map>
#include <string>

#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "pool/attempt.h"
#include "support/imposter.h"
#include "support/run.h"

namespace lambda::pool {
namespace {

namespace asio = boost::asio;
using support::Imposter;
using support::in_order;
using support::job_metadata_answer;
using support::status_answer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const http::Response created{201, "", "{}", {}};
const http::Response exists = status_answer(409, "AlreadyExists");
constexpr const char* create_request = "POST /apis/batch/v1/namespaces/builds/jobs?fieldValidation=Ignore";
constexpr const char* get_request = "GET /apis/batch/v1/namespaces/builds/jobs/kaniko-job-e1";

Creation creation(const std::string& event_id = "e1", const std::string& tenant = "tenant") {
  Creation out;
  out.job = {"kaniko-job-" + event_id, "builds", "{}"};
  out.event_source = "source";
  out.event_id = event_id;
  out.tenant = tenant;
  out.deadline = base::Clock::now() + support::patience;
  return out;
}

// Holds every create back until it is opened.
class Gate {
 public:
  Imposter::Script then_created() {
    return [opened = opened_](const http::Request&) {
      opened.wait();
      return created;
    };
  }
  void open() { open_.set_value(); }

 private:
  std::promise<void> open_;
  std::shared_future<void> opened_ = open_.get_future().share();
};

config::AsyncJobCreator quick_settings() {
  config::AsyncJobCreator settings;
  settings.worker_count = 2;
  settings.retry_delay = base::milliseconds(1);
  return settings;
}

config::AsyncJobCreator one_worker() {
  config::AsyncJobCreator settings = quick_settings();
  settings.worker_count = 1;
  return settings;
}

// A pool whose API server is the imposter.
class PoolTest : public testing::Test {
 protected:
  void start(const kube::Cluster& cluster, const config::AsyncJobCreator& settings = quick_settings()) {
    pool_ = std::make_unique<Pool>(io_.get_executor(), settings, base::milliseconds(10'000),
                                   *kube::Endpoint::make(cluster), job::Job{"reference", "builds", "{}"},
                                   log_, registry_);
  }
  void start(Imposter::Script script, const config::AsyncJobCreator& settings = quick_settings()) {
    imposter_ = std::make_unique<Imposter>(std::move(script));
    start(imposter_->cluster(), settings);
  }
  Outcome create(Creation what = creation()) { return support::run(io_, pool_->create(std::move(what))); }

  // Begins a creation; its outcome comes while others run.
  std::shared_ptr<std::optional<Outcome>> begin(Creation what) {
    auto outcome = std::make_shared<std::optional<Outcome>>();
    asio::co_spawn(io_, pool_->create(std::move(what)),
                   [outcome](const std::exception_ptr&, Outcome ended) { *outcome = std::move(ended); });
    return outcome;
  }

  asio::io_context io_{1};
  base::Log log_{base::Level::error, ::open("/dev/null", O_WRONLY)};
  metrics::Registry registry_;
  std::unique_ptr<Imposter> imposter_;
  std::unique_ptr<Pool> pool_;
};

TEST_F(PoolTest, OneWriteCreatesAJob) {
  start(in_order({created}));
  EXPECT_EQ(create().ending, Ending::created);
  EXPECT_THAT(imposter_->requests(), ElementsAre(create_request));
  EXPECT_EQ(pool_->stats().created, 1U);
  EXPECT_THAT(registry_.exposition(), HasSubstr("kaniko_job_creation_success_total 1"));
}

// Promise 2 and 3: a redelivery meets 409, and only then is the Job looked at.
TEST_F(PoolTest, AJobOfTheSameEventIsADuplicate) {
  start(in_order({exists, job_metadata_answer("source", "e1")}));
  EXPECT_EQ(create().ending, Ending::duplicate);
  EXPECT_THAT(imposter_->requests(), ElementsAre(create_request, get_request));
}

TEST_F(PoolTest, AJobOfAnotherEventIsNoDuplicate) {
  for (const auto& metadata : {job_metadata_answer("source", "other"), job_metadata_answer("other", "e1"),
                               http::Response{200, "", "{}", {}}, http::Response{200, "", "no json", {}}}) {
    start(in_order({exists, metadata}));
    const Outcome outcome = create();
    EXPECT_EQ(outcome.ending, Ending::refused);
    EXPECT_EQ(outcome.error.kind, base::ErrorKind::conflict);
  }
}

TEST_F(PoolTest, AJobThatVanishedAfterThe409IsCreatedAgain) {
  start(in_order({exists, status_answer(404, "NotFound"), created}));
  EXPECT_EQ(create().ending, Ending::created);
}

TEST_F(PoolTest, AJobThatAppearsAndVanishesForEverIsNotChasedForEver) {
  start([](const http::Request& request) {
    return request.method == "POST" ? exists : status_answer(404, "NotFound");
  });
  EXPECT_EQ(create().ending, Ending::unavailable);
  EXPECT_LE(imposter_->requests().size(), 4U * 4U);
}

TEST_F(PoolTest, AJobThatIsBeingDeletedIsNoDuplicate) {
  start(
      in_order({exists, job_metadata_answer("source", "e1", R"(,"deletionTimestamp":"2024-01-01T00:00:00Z")"),
                created}));
  EXPECT_EQ(create().ending, Ending::created);
}

TEST_F(PoolTest, WhatPassesIsTriedAgain) {
  start(in_order({status_answer(503, "ServiceUnavailable"), status_answer(429, "TooManyRequests"),
                  status_answer(409, "Conflict"), created}));
  EXPECT_EQ(create().ending, Ending::created);
  EXPECT_EQ(pool_->stats().retries, 3U);
}

TEST_F(PoolTest, RetriesEnd) {
  start(in_order({status_answer(500, "InternalError")}));
  const Outcome outcome = create();
  EXPECT_EQ(outcome.ending, Ending::unavailable);
  EXPECT_EQ(imposter_->requests().size(), 4U);  // one try and maxRetries: 3
  EXPECT_THAT(pool_->stats().last_error, HasSubstr("500 InternalError"));
}

// The API server may have created the Job and failed to say so: its 409 is then no duplicate.
TEST_F(PoolTest, A409AfterAnUnclearTryIsOurOwnJob) {
  start(in_order({status_answer(500, "InternalError"), exists, job_metadata_answer("source", "e1")}));
  EXPECT_EQ(create().ending, Ending::created);
}

TEST_F(PoolTest, A409AfterABrokenConnectionIsOurOwnJob) {
  // Two creations warm both workers' connections; then the imposter takes a create and hangs up.
  start(in_order({created, created, std::nullopt, exists, job_metadata_answer("source", "e1")}));
  create(creation("warm1"));
  create(creation("warm2"));
  EXPECT_EQ(create().ending, Ending::created);
}

// A create that never left this machine made no Job: the one that is there is somebody else's delivery.
TEST_F(PoolTest, A409AfterARefusedConnectionIsADuplicate) {
  kube::Cluster away;
  {
    away = Imposter(in_order({std::nullopt})).cluster();
  }
  Imposter here(in_order({exists, job_metadata_answer("source", "e1")}));
  bool may_be_ours = false;
  const auto try_once = [&](const kube::Cluster& cluster) {
    kube::Connection connection(io_.get_executor(), *kube::Endpoint::make(cluster));
    return support::run(
        io_, try_create(connection, creation(), base::Clock::now() + support::patience, may_be_ours));
  };
  EXPECT_FALSE(try_once(away));
  EXPECT_FALSE(may_be_ours);
  EXPECT_EQ(try_once(here.cluster()), Found::exists);
}

TEST_F(PoolTest, ACreateThatWasWrittenMayBeOurs) {
  Imposter hangs_up(in_order({std::nullopt}));
  kube::Connection connection(io_.get_executor(), *kube::Endpoint::make(hangs_up.cluster()));
  bool may_be_ours = false;
  EXPECT_FALSE(support::run(
      io_, try_create(connection, creation(), base::Clock::now() + support::patience, may_be_ours)));
  EXPECT_TRUE(may_be_ours);
}

// Promise 6: environment is not poison.
TEST_F(PoolTest, OurOwnSidesTroubleIsUnavailableWithoutAFlood) {
  for (const auto& [status, reason] :
       std::map<unsigned, std::string>{{401, "Unauthorized"}, {403, "Forbidden"}, {404, "NotFound"}}) {
    start(in_order({status_answer(status, reason)}));
    const Outcome outcome = create();
    EXPECT_EQ(outcome.ending, Ending::unavailable) << status;
    EXPECT_GE(outcome.error.retry_after.value_or(std::chrono::seconds(0)).count(), 10) << status;
    EXPECT_EQ(imposter_->requests().size(), 2U) << status << ": the create, and the control experiment";
  }
}

// Answers a creation so, and the dry run of the reference Job otherwise.
Imposter::Script refusing(const http::Response& refusal, const http::Response& control) {
  return [refusal, control](const http::Request& request) {
    return request.query.find("dryRun") == std::string::npos ? refusal : control;
  };
}

http::Response invalid_field(const std::string& field) {
  http::Response response = status_answer(422, "Invalid");
  response.body =
      R"({"kind":"Status","status":"Failure","reason":"Invalid","message":"no","details":{"causes":[{"field":")" +
      field + R"("}]}})";
  return response;
}

// Promise 6: only what the event itself makes impossible is its own fault.
TEST_F(PoolTest, WhatTheEventMakesImpossibleIsRefusedAtOnce) {
  for (const auto& refusal : {status_answer(413, "RequestEntityTooLarge"),
                              invalid_field("spec.template.spec.containers[0].args[1]")}) {
    start(refusing(refusal, created));
    EXPECT_EQ(create().ending, Ending::refused) << refusal.status;
    EXPECT_EQ(imposter_->requests().size(), 2U) << "the create, and the control experiment";
  }
}

TEST_F(PoolTest, WhatAPolicyOrTheConfigurationMakesImpossibleIsOurSidesTrouble) {
  for (const auto& refusal :
       {status_answer(400, "BadRequest"), status_answer(422, "Invalid"),
        invalid_field("spec.template.spec.containers[0].image"), invalid_field("spec.backoffLimit")}) {
    start(refusing(refusal, created));
    EXPECT_EQ(create().ending, Ending::unavailable) << refusal.body;
  }
}

TEST_F(PoolTest, JobsOfOneTenantThatAPolicyRefusesHoldBackNobodyElse) {
  start(refusing(status_answer(403, "Forbidden"), created));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(create(creation("e" + std::to_string(i))).ending, Ending::unavailable);
  }
  EXPECT_TRUE(pool_->api_works());
}

TEST_F(PoolTest, WhereEveryJobIsRefusedTheyAreTriedOneAtATime) {
  start(refusing(status_answer(403, "Forbidden"), status_answer(403, "Forbidden")));
  for (int i = 0; i < 5; ++i) create(creation("e" + std::to_string(i)));
  EXPECT_FALSE(pool_->api_works());
}

TEST_F(PoolTest, WhereEveryJobIsRefusedNoEventIsToBlame) {
  start(refusing(invalid_field("metadata.labels"), invalid_field("metadata.labels")));
  for (const char* event : {"e1", "e2", "e3"}) EXPECT_EQ(create(creation(event)).ending, Ending::unavailable);
  EXPECT_EQ(imposter_->requests().size(), 4U) << "three creates, and one control experiment for all of them";
}

TEST_F(PoolTest, AWaitingRetryHoldsNoWorker) {
  config::AsyncJobCreator settings = one_worker();
  settings.retry_delay = base::milliseconds(60'000);
  start(
      [](const http::Request& request) {
        return request.body == "slow" ? status_answer(500, "InternalError") : created;
      },
      settings);
  Creation slow = creation("slow");
  slow.job.body = "slow";
  slow.deadline = base::Clock::now() + std::chrono::hours(2);
  const auto waiting = begin(slow);
  support::run_until(io_, [&] { return pool_->stats().waiting_for_retry == 1; });
  EXPECT_EQ(create().ending, Ending::created);
  EXPECT_FALSE(*waiting);
}

// Promise 2: deliveries of one event that meet here share one write.
TEST_F(PoolTest, AnEventThatIsUnderWayIsJoined) {
  Gate gate;
  start(gate.then_created());
  const auto first = begin(creation());
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  const auto second = begin(creation());
  gate.open();
  support::run_until(io_, [&] { return *first && *second; });
  EXPECT_EQ((*first)->ending, Ending::created);
  EXPECT_EQ((*second)->ending, Ending::duplicate);
  EXPECT_THAT(imposter_->requests(), ElementsAre(create_request));
}

// The first who waits leaves at its deadline; the creation goes on for the second.
TEST_F(PoolTest, WhoJoinsMayOutwaitWhoCameFirst) {
  Gate gate;
  start(gate.then_created(), one_worker());
  const auto in_hand = begin(creation("1"));
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  Creation impatient = creation("2");
  impatient.deadline = base::Clock::now() + base::milliseconds(20);
  const auto first = begin(impatient);
  const auto second = begin(creation("2"));
  support::run_until(io_, [&] { return first->has_value(); });
  EXPECT_EQ((*first)->error.kind, base::ErrorKind::timeout);
  gate.open();
  support::run_until(io_, [&] { return second->has_value(); });
  EXPECT_TRUE((*second)->safe());
}

// An API server that is away is tried by one creation at a time, whatever waits.
TEST_F(PoolTest, WhileTheApiServerIsAwayOneCreationAtATimeIsTried) {
  std::atomic<bool> away = true;
  start([&away](const http::Request&) -> std::optional<http::Response> {
    if (away) return std::nullopt;  // hangs up
    return created;
  });
  std::vector<std::shared_ptr<std::optional<Outcome>>> outcomes;
  for (int i = 0; i < 10; ++i) outcomes.push_back(begin(creation(std::to_string(i))));
  support::run_until(io_, [&] { return pool_->stats().breaker == "open"; });
  EXPECT_LE(imposter_->requests().size(), 6U);
  away = false;
  for (const auto& outcome : outcomes) support::run_until(io_, [&] { return outcome->has_value(); });
  for (const auto& outcome : outcomes) EXPECT_TRUE((*outcome)->safe()) << (*outcome)->error.message;
  EXPECT_EQ(pool_->stats().breaker, "closed");
  EXPECT_THAT(registry_.exposition(), HasSubstr("kubernetes_api_breaker_open 0"));
}

TEST_F(PoolTest, AFullQueueSaysSo) {
  config::AsyncJobCreator settings = one_worker();
  settings.max_queue_size = 2;
  settings.max_queue_per_tenant = 1;
  Gate gate;
  start(gate.then_created(), settings);
  const auto in_hand = begin(creation("1"));
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  const auto queued = begin(creation("2"));
  support::run_until(io_, [&] { return pool_->stats().queue_size == 1; });
  const Outcome tenant_full = create(creation("3"));
  EXPECT_THAT(tenant_full.error.message, HasSubstr("this tenant's share"));
  const auto other = begin(creation("4", "other"));
  support::run_until(io_, [&] { return pool_->stats().queue_size == 2; });
  EXPECT_THAT(create(creation("5", "third")).error.message, StartsWith("the queue is full"));
  EXPECT_GE(create(creation("5", "third")).error.retry_after.value_or(std::chrono::seconds(0)).count(), 1);
  gate.open();
  support::run_until(io_, [&] { return *in_hand && *queued && *other; });
  EXPECT_EQ(pool_->stats().created, 3U);
}

TEST_F(PoolTest, AnEventWhoseDeadlinePassedInTheQueueIsNotStarted) {
  Gate gate;
  start(gate.then_created(), one_worker());
  const auto in_hand = begin(creation("1"));
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  Creation late = creation("late");
  late.deadline = base::Clock::now() + base::milliseconds(1);
  EXPECT_EQ(create(late).error.kind, base::ErrorKind::timeout);
  gate.open();
  support::run_until(io_, [&] { return in_hand->has_value() && pool_->stats().queue_size == 0; });
  EXPECT_EQ(imposter_->requests().size(), 1U);
}

TEST_F(PoolTest, AnApiServerThatIsAwayIsUnavailable) {
  kube::Cluster nowhere;
  nowhere.tls = false;
  nowhere.host = "127.0.0.1";
  {
    const Imposter gone(in_order({created}));
    nowhere.port = gone.port();
  }
  start(nowhere);
  const Outcome outcome = create();
  EXPECT_EQ(outcome.ending, Ending::unavailable);
  EXPECT_THAT(outcome.error.message, HasSubstr("cannot connect"));
}

TEST_F(PoolTest, DrainEndsWhatIsInHandAndRefusesWhatIsNew) {
  Gate gate;
  start(gate.then_created());
  const auto in_hand = begin(creation("1"));
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  bool drained = false;
  asio::co_spawn(io_, pool_->drain(base::Clock::now() + support::patience),
                 [&](const std::exception_ptr&) { drained = true; });
  support::run_until(io_, [&] { return pool_->stats().draining; });
  EXPECT_THAT(create(creation("2")).error.message, HasSubstr("shutting down"));
  EXPECT_FALSE(drained);
  gate.open();
  support::run_until(io_, [&] { return drained; });
  support::run_until(io_, [&] { return in_hand->has_value(); });
  EXPECT_EQ((*in_hand)->ending, Ending::created);
}

TEST_F(PoolTest, DrainGivesUpAtItsDeadlineAndTellsEverybody) {
  Gate gate;
  start(gate.then_created(), one_worker());
  const auto in_hand = begin(creation("1"));
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  const auto queued = begin(creation("2"));
  support::run_until(io_, [&] { return pool_->stats().queue_size == 1; });
  asio::co_spawn(io_, pool_->drain(base::Clock::now()), asio::detached);
  support::run_until(io_, [&] { return *in_hand && *queued; });
  EXPECT_EQ((*in_hand)->ending, Ending::unavailable);
  EXPECT_EQ((*queued)->ending, Ending::unavailable);
  gate.open();
}

}  // namespace
}  // namespace lambda::pool
