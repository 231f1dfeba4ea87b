#include <algorithm>
#include <chrono>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "build/attempt.h"
#include "build/identity.h"
#include "builds/admission.h"
#include "builds/oom_retry.h"
#include "builds/superseding.h"
#include "cloudevents/json.h"

namespace lambda::builds {
namespace {

using base::milliseconds;
using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr CalendarTime start{seconds(1'700'000'000)};
constexpr milliseconds minute{60'000};

// -- Admission

Applicant applicant(const std::string& tenant, const std::string& name, seconds came = seconds(0),
                    int priority = 1) {
  return {{"builds", name}, tenant, priority, start + came};
}

// "NAME-0" … in the order in which they came, a second apart.
std::vector<Applicant> applicants(const std::string& tenant, int count, seconds first = seconds(0)) {
  std::vector<Applicant> all;
  for (int i = 0; i < count; ++i)
    all.push_back(applicant(tenant, tenant + "-" + std::to_string(i), first + seconds(i)));
  return all;
}

std::vector<Applicant> operator+(std::vector<Applicant> a, const std::vector<Applicant>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<std::string> names(const std::vector<api::ObjectKey>& keys) {
  std::vector<std::string> out;
  for (const api::ObjectKey& key : keys) out.push_back(key.name);
  return out;
}

std::vector<std::string> names(const std::vector<Place>& places) {
  std::vector<std::string> out;
  for (const Place& place : places) out.push_back(place.key.name);
  return out;
}

// Builds that run until they are told to end, and those that wait for them.
class House {
 public:
  House(std::vector<Applicant> waiting, AdmissionLimits limits)
      : waiting_(std::move(waiting)), limits_(limits) {}

  void add(const Applicant& applicant) { waiting_.push_back(applicant); }

  // Releases what may be released, and says what was decided.
  Admission admit_all() {
    Admission admission = admit(waiting_, running(), last_release_, limits_);
    for (const api::ObjectKey& key : admission.release) start_build(key);
    return admission;
  }

  void finish(std::size_t index) { running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index)); }

  Running running() const {
    Running out;
    for (const Applicant& one : running_) ++out[one.tenant];
    return out;
  }

  std::size_t running_count() const { return running_.size(); }
  const std::vector<Applicant>& waiting() const { return waiting_; }

 private:
  void start_build(const api::ObjectKey& key) {
    const auto found = std::ranges::find(waiting_, key, &Applicant::key);
    ASSERT_NE(found, waiting_.end()) << key.name;
    last_release_[found->tenant] = now_ += milliseconds(1);
    running_.push_back(*found);
    waiting_.erase(found);
  }

  std::vector<Applicant> waiting_;
  std::deque<Applicant> running_;  // in the order of their release
  LastRelease last_release_;
  AdmissionLimits limits_;
  CalendarTime now_ = start + std::chrono::hours(1);
};

// Within the limits, and nobody waits for whom there is a place.
void expect_full_and_no_fuller(const House& house, const AdmissionLimits& limits) {
  Running running = house.running();
  EXPECT_LE(house.running_count(), limits.max_running);
  for (const auto& [tenant, count] : running) EXPECT_LE(count, limits.max_running_per_tenant) << tenant;
  if (house.running_count() == limits.max_running) return;
  for (const Applicant& one : house.waiting())
    EXPECT_GE(running[one.tenant], limits.max_running_per_tenant) << one.key.name;
}

// Position of each name among the releases, if the one that was released first ends first.
std::vector<std::string> release_order(House& house) {
  std::vector<std::string> order = names(house.admit_all().release);
  while (house.running_count() > 0) {
    house.finish(0);
    const std::vector<std::string> released = names(house.admit_all().release);
    order.insert(order.end(), released.begin(), released.end());
  }
  return order;
}

TEST(Admission, OfNobodyIsEmpty) {
  const Admission admission = admit({}, {{"a", 2}}, {}, {});
  EXPECT_THAT(admission.release, IsEmpty());
  EXPECT_THAT(admission.waiting, IsEmpty());
}

TEST(Admission, ReleasesUpToBothLimits) {
  const AdmissionLimits limits{.max_running = 4, .max_running_per_tenant = 3};
  const Admission admission = admit(applicants("a", 10) + applicants("b", 10), {}, {}, limits);
  EXPECT_THAT(names(admission.release), ElementsAre("a-0", "b-0", "a-1", "b-1"));
  EXPECT_THAT(names(admit(applicants("a", 10), {}, {}, limits).release), ElementsAre("a-0", "a-1", "a-2"));
  EXPECT_THAT(names(admit(applicants("a", 10), {{"a", 2}, {"b", 1}}, {}, limits).release),
              ElementsAre("a-0"));
  EXPECT_THAT(admit(applicants("a", 10), {{"b", 5}}, {}, limits).release, IsEmpty());
}

TEST(Admission, TellsWhetherTheTenantOrAllTogetherAreTheReason) {
  const AdmissionLimits limits{.max_running = 4, .max_running_per_tenant = 3};
  const Admission admission =
      admit(applicants("a", 1) + applicants("b", 1), {{"a", 3}, {"c", 1}}, {}, limits);
  ASSERT_EQ(admission.waiting.size(), 2U);
  for (const Place& place : admission.waiting) EXPECT_EQ(place.held_by_tenant, place.tenant == "a");
}

TEST(Admission, OneTenantsHundredBuildsDoNotStandBeforeAnothersFive) {
  const AdmissionLimits limits{.max_running = 4, .max_running_per_tenant = 3};
  House house(applicants("a", 100), limits);
  EXPECT_THAT(names(house.admit_all().release), ElementsAre("a-0", "a-1", "a-2"));
  for (const Applicant& one : applicants("b", 5, seconds(200))) house.add(one);
  EXPECT_THAT(names(house.admit_all().release), ElementsAre("b-0"));
  std::size_t turns = 0;
  const auto of_b = [](const Applicant& one) { return one.tenant == "b"; };
  for (; std::ranges::any_of(house.waiting(), of_b); ++turns) {
    house.finish(0);
    house.admit_all();
    expect_full_and_no_fuller(house, limits);
  }
  EXPECT_LE(turns, 10U);
}

// With fewer places than tenants, all run as many: none.
TEST(Admission, TenantsTakeTurnsForASinglePlace) {
  House house(applicants("a", 4) + applicants("b", 2, seconds(10)) + applicants("c", 2, seconds(20)),
              {.max_running = 1});
  EXPECT_THAT(release_order(house), ElementsAre("a-0", "b-0", "c-0", "a-1", "b-1", "c-1", "a-2", "a-3"));
}

TEST(Admission, OrdersATenantsOwnByPriorityThenAgeThenName) {
  const Admission admission =
      admit({applicant("a", "z", seconds(0), 1), applicant("a", "young", seconds(1), 5),
             applicant("a", "y", seconds(0), 1), applicant("a", "old", seconds(0), 5)},
            {}, {}, {.max_running = 4, .max_running_per_tenant = 4});
  EXPECT_THAT(names(admission.release), ElementsAre("old", "young", "y", "z"));
}

// A tenant's own priority is nothing to the others.
TEST(Admission, PriorityDoesNotReachBeyondTheTenant) {
  const Admission admission =
      admit({applicant("a", "a-0", seconds(0), 0), applicant("b", "b-0", seconds(1), 10)}, {}, {},
            {.max_running = 1});
  EXPECT_THAT(names(admission.release), ElementsAre("a-0"));
}

TEST(Admission, WaitingIsWorthPriority) {
  const AdmissionLimits limits{.max_running = 1, .max_running_per_tenant = 1, .priority_step = minute};
  const Applicant poor = applicant("a", "poor", seconds(0), 0);
  const auto released_before_poor = [&](seconds later) {
    return names(admit({poor, applicant("a", "rich", later, 10)}, {}, {}, limits).release).at(0) == "rich";
  };
  EXPECT_TRUE(released_before_poor(seconds(599)));  // ten steps of a minute
  EXPECT_FALSE(released_before_poor(seconds(601)));
}

// Two builds of the highest priority come for each one that ends.
TEST(Admission, NobodyStarves) {
  const AdmissionLimits limits{.max_running = 1, .max_running_per_tenant = 1, .priority_step = minute};
  House house({applicant("a", "poor", seconds(0), 0)}, limits);
  bool released = false;
  int rounds = 0;
  for (; rounds < 1000 && !released; ++rounds) {
    house.add(applicant("a", "rich-" + std::to_string(2 * rounds), seconds(30 * rounds), 10));
    house.add(applicant("a", "rich-" + std::to_string(2 * rounds + 1), seconds(30 * rounds), 10));
    if (house.running_count() > 0) house.finish(0);
    released = std::ranges::count(names(house.admit_all().release), "poor") > 0;
  }
  EXPECT_LT(rounds, 100);
}

TEST(Admission, PositionsAreWhatHappensIfTheFirstEndsFirst) {
  House house(applicants("a", 9) + applicants("b", 5, seconds(3)) + applicants("c", 1, seconds(50)),
              {.max_running = 4, .max_running_per_tenant = 3});
  const Admission first = House(house).admit_all();
  std::vector<std::string> expected = names(first.release);
  const std::vector<std::string> waiting = names(first.waiting);
  expected.insert(expected.end(), waiting.begin(), waiting.end());
  EXPECT_EQ(release_order(house), expected);
}

TEST(Admission, PositionsCountFromOneWithoutGaps) {
  const Admission admission = admit(applicants("a", 9), {{"b", 7}, {"a", 1}}, {}, {.max_running = 4});
  EXPECT_EQ(admission.waiting.size(), 9U);
  for (std::size_t i = 0; i < admission.waiting.size(); ++i) EXPECT_EQ(admission.waiting[i].position, i + 1);
}

TEST(Admission, LetsNobodyGoUnderALimitOfZero) {
  const Admission admission = admit(applicants("a", 2), {}, {}, {.max_running = 0});
  EXPECT_THAT(admission.release, IsEmpty());
  EXPECT_THAT(names(admission.waiting), ElementsAre("a-0", "a-1"));
}

TEST(Admission, KeepsItsWordForRandomHouses) {
  std::mt19937 random(7);
  const auto up_to = [&random](unsigned most) { return static_cast<std::size_t>(random() % (most + 1)); };
  for (int round = 0; round < 100; ++round) {
    const AdmissionLimits limits{
        .max_running = 1 + up_to(8), .max_running_per_tenant = 1 + up_to(5), .priority_step = minute};
    House house({}, limits);
    int made = 0;
    const auto add_some = [&] {
      for (std::size_t i = up_to(12); i > 0; --i) {
        house.add(applicant(std::string(1, static_cast<char>('a' + up_to(5))), std::to_string(made++),
                            seconds(up_to(900)), static_cast<int>(up_to(10))));
      }
    };
    for (int step = 0; step < 20; ++step) {
      add_some();
      const std::size_t waited = house.waiting().size();
      const Admission admission = house.admit_all();
      EXPECT_EQ(admission.release.size() + admission.waiting.size(), waited);
      expect_full_and_no_fuller(house, limits);
      for (std::size_t i = up_to(3); i > 0 && house.running_count() > 0; --i)
        house.finish(random() % house.running_count());
    }
    // From an empty house on, nothing is left to guess: the positions are exact.
    while (house.running_count() > 0) house.finish(0);
    const Admission plan = House(house).admit_all();
    std::vector<std::string> expected = names(plan.release);
    const std::vector<std::string> waiting = names(plan.waiting);
    expected.insert(expected.end(), waiting.begin(), waiting.end());
    EXPECT_EQ(release_order(house), expected);
  }
}

TEST(Admission, ShowsWhatTwentyThousandCost) {
  std::vector<Applicant> all;
  for (int tenant = 0; tenant < 200; ++tenant)
    all = std::move(all) + applicants("tenant-" + std::to_string(tenant), 100);
  const auto begin = std::chrono::steady_clock::now();
  const Admission admission = admit(all, {}, {}, {});
  const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
  std::cout << "20 000 applicants of 200 tenants: " << took.count() << " ms\n";
  EXPECT_EQ(admission.release.size(), 20U);
  EXPECT_EQ(admission.waiting.size(), 19'980U);
}

// -- Superseding

using Builds = std::vector<std::shared_ptr<const Build>>;

Build build(const std::string& name, seconds created, const std::string& parser = "p") {
  Build out;
  out.key = {"builds", name};
  out.third_party_id = "acme";
  out.parser_id = parser;
  out.created = start + created;
  out.cancel_on_newer = true;
  return out;
}

std::vector<std::string> superseded(const std::vector<Build>& builds) {
  Builds shared;
  for (const Build& one : builds) shared.push_back(std::make_shared<const Build>(one));
  std::vector<std::string> out;
  for (const Superseded& one : find_superseded(shared))
    out.push_back(one.older.name + " by " + one.newer.name);
  return out;
}

TEST(Superseding, IsByTheNewestOfAll) {
  EXPECT_THAT(superseded({build("b", seconds(2)), build("a", seconds(1)), build("c", seconds(3))}),
              ElementsAre("b by c", "a by c"));
  EXPECT_THAT(superseded({build("a", seconds(1))}), IsEmpty());
  EXPECT_THAT(superseded({}), IsEmpty());
}

TEST(Superseding, IsByNameWithinASecond) {
  EXPECT_THAT(superseded({build("b", seconds(1)), build("a", seconds(1))}), ElementsAre("a by b"));
}

TEST(Superseding, IsAMatterOfOneTenantAndParser) {
  Build other_tenant = build("c", seconds(3));
  other_tenant.third_party_id = "other";
  EXPECT_THAT(superseded({build("a", seconds(1)), build("b", seconds(2), "q"), other_tenant}), IsEmpty());
}

TEST(Superseding, LeavesWhatDoesNotAllowItOrHasEnded) {
  Build kept = build("kept", seconds(1));
  kept.cancel_on_newer = false;
  Build over = build("over", seconds(1));
  over.end = JobEnd{};
  Build failing = build("failing", seconds(1));
  failing.failing = true;
  EXPECT_THAT(superseded({kept, over, failing, build("new", seconds(2))}), IsEmpty());
}

TEST(Superseding, IsByOneThatIsOverOrDoesNotAllowItItself) {
  Build newer = build("b", seconds(2));
  newer.end = JobEnd{};
  EXPECT_THAT(superseded({build("a", seconds(1)), newer}), ElementsAre("a by b"));
  newer.end.reset();
  newer.cancel_on_newer = false;
  EXPECT_THAT(superseded({build("a", seconds(1)), newer}), ElementsAre("a by b"));
}

// An old event that is built again must not end the build of a newer one.
TEST(Superseding, IsNotByAFurtherAttempt) {
  Build retry = build("retry", seconds(3));
  retry.attempt = 1;
  EXPECT_THAT(superseded({build("a", seconds(1)), retry}), IsEmpty());
  EXPECT_THAT(superseded({retry}), IsEmpty());
  EXPECT_THAT(superseded({build("a", seconds(1)), build("b", seconds(2)), retry}), ElementsAre("a by b"));
  EXPECT_THAT(superseded({retry, build("c", seconds(4))}), ElementsAre("retry by c"));
}

// -- One more try with more memory

json read_golden(const std::string& name) {
  std::ifstream file(LAMBDA_GOLDEN_DIR "/" + name);
  return json::parse(file);
}

// As a Kubernetes API server returned it: its build was admitted by the operator, and has failed.
json oom_job() {
  return read_golden("oom_job.json");
}

json& annotations_of(json& job) {
  return job.at("metadata").at("annotations");
}

constexpr const char* memory_key = "lambda.notifi.network/oom-retry-memory";
constexpr const char* attempt_key = "lambda.notifi.network/attempt";
constexpr const char* event_key = "lambda.notifi.network/event";

json retry_of(const json& job) {
  const auto retry = make_oom_retry(job);
  EXPECT_TRUE(retry) << base::describe(retry.error());
  return retry.value_or(json());
}

// An API server accepts the golden one.
TEST(OomRetry, OfAJobAsTheApiServerHasItIsTheGoldenOne) {
  EXPECT_EQ(retry_of(oom_job()), read_golden("oom_job_retry.json")) << retry_of(oom_job()).dump(2);
}

TEST(OomRetry, IsTheNextAttemptOfTheSameEvent) {
  json job = oom_job();
  json retry = retry_of(job);
  EXPECT_EQ(retry.at("metadata").at("name"),
            build::job_name({"network.notifi.kaniko-jobs", "e-operator", 1}));
  EXPECT_EQ(annotations_of(retry).at(attempt_key), "1");
  const auto before = cloudevents::decode_json(annotations_of(job).at(event_key).get<std::string>());
  const auto after = cloudevents::decode_json(annotations_of(retry).at(event_key).get<std::string>());
  ASSERT_TRUE(before && after);
  EXPECT_EQ(build::redrive_attempt(*after), 1U);
  auto expected = *before;
  build::set_redrive_attempt(expected, 1);
  EXPECT_EQ(*after, expected);
}

// The attempts of redrives and retries are one sequence.
TEST(OomRetry, CountsOnFromARedrive) {
  json job = oom_job();
  annotations_of(job)[attempt_key] = "3";
  job["metadata"]["name"] = build::job_name({"network.notifi.kaniko-jobs", "e-operator", 3});
  json retry = retry_of(job);
  EXPECT_EQ(retry.at("metadata").at("name"),
            build::job_name({"network.notifi.kaniko-jobs", "e-operator", 4}));
  EXPECT_EQ(annotations_of(retry).at(attempt_key), "4");
}

TEST(OomRetry, IsNotRetriedItself) {
  const auto third = make_oom_retry(retry_of(oom_job()));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind, base::ErrorKind::invalid);
  EXPECT_THAT(third.error().field, HasSubstr(memory_key));
}

TEST(OomRetry, HasItsMemoryWhereNoneWasConfigured) {
  json job = oom_job();
  job.at("/spec/template/spec/containers/0"_json_pointer).erase("resources");
  EXPECT_EQ(retry_of(job).at("/spec/template/spec/containers/0/resources"_json_pointer),
            json::parse(R"({"requests": {"memory": "8Gi"}, "limits": {"memory": "8Gi"}})"));
}

TEST(OomRetry, ComesSuspendedOnlyIfSomebodyReleasesIt) {
  json job = oom_job();
  job["metadata"]["labels"].erase("lambda.notifi.network/admission");
  EXPECT_FALSE(retry_of(job).at("spec").contains("suspend"));
  job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "builds";
  const json by_kueue = retry_of(job);
  EXPECT_EQ(by_kueue.at("spec").at("suspend"), true);
  EXPECT_EQ(by_kueue.at("metadata").at("labels").at("kueue.x-k8s.io/queue-name"), "builds");
}

// Kueue refuses a template that names another workload.
TEST(OomRetry, LeavesBehindWhatOthersWrote) {
  json job = oom_job();
  const json expected = retry_of(job);
  job["metadata"]["ownerReferences"] = json::array({{{"kind", "X"}}});
  job["metadata"]["finalizers"] = json::array({"x"});
  job["metadata"]["labels"]["lambda.notifi.network/outcome"] = "failed";
  job["spec"]["ttlSecondsAfterFinished"] = 3600;
  job["spec"]["template"]["metadata"]["creationTimestamp"] = nullptr;
  job["spec"]["template"]["metadata"]["labels"]["kueue.x-k8s.io/podset"] = "main";
  job["spec"]["template"]["metadata"]["annotations"]["kueue.x-k8s.io/workload"] = "job-x";
  EXPECT_EQ(retry_of(job), expected);
}

TEST(OomRetry, KeepsWhatTheConfigurationLaidOverIt) {
  json job = oom_job();
  job["metadata"]["labels"]["team"] = "builds";
  annotations_of(job)["cost"] = "low";
  job["spec"]["template"]["metadata"]["annotations"]["scrape"] = "no";
  job["spec"]["template"]["spec"]["nodeSelector"]["pool"] = "builds";
  json retry = retry_of(job);
  EXPECT_EQ(retry["metadata"]["labels"]["team"], "builds");
  EXPECT_EQ(annotations_of(retry)["cost"], "low");
  EXPECT_EQ(retry["spec"]["template"]["metadata"]["annotations"], json({{"scrape", "no"}}));
  EXPECT_EQ(retry["spec"]["template"]["spec"]["nodeSelector"], json({{"pool", "builds"}}));
}

TEST(OomRetry, NeedsNoEventAnnotation) {
  json job = oom_job();
  annotations_of(job).erase(event_key);
  json retry = retry_of(job);
  EXPECT_FALSE(annotations_of(retry).contains(event_key));
}

TEST(OomRetry, RefusesNonsense) {
  using Change = std::function<void(json&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"null", [](json& job) { job = nullptr; }},
      {"empty", [](json& job) { job = json::object(); }},
      {"no memory", [](json& job) { annotations_of(job).erase(memory_key); }},
      {"empty memory", [](json& job) { annotations_of(job)[memory_key] = ""; }},
      {"memory no text", [](json& job) { annotations_of(job)[memory_key] = 8; }},
      {"annotations", [](json& job) { job["metadata"]["annotations"] = "x"; }},
      {"another name", [](json& job) { job["metadata"]["name"] = "kaniko-job-x"; }},
      {"another attempt", [](json& job) { annotations_of(job)[attempt_key] = "1"; }},
      {"negative attempt", [](json& job) { annotations_of(job)[attempt_key] = "-1"; }},
      {"attempt no number", [](json& job) { annotations_of(job)[attempt_key] = "x"; }},
      {"no event id", [](json& job) { annotations_of(job).erase("lambda.notifi.network/event-id"); }},
      {"event no text", [](json& job) { annotations_of(job)[event_key] = 1; }},
      {"event no JSON", [](json& job) { annotations_of(job)[event_key] = "{"; }},
      {"another event",
       [](json& job) {
         annotations_of(job)[event_key] = R"({"specversion":"1.0","id":"x","source":"y","type":"z"})";
       }},
      {"no containers", [](json& job) { job["spec"]["template"]["spec"]["containers"] = json::array(); }},
      {"no template", [](json& job) { job["spec"].erase("template"); }},
      {"no spec", [](json& job) { job.erase("spec"); }},
      {"resources",
       [](json& job) { job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = "x"; }},
  };
  for (const auto& [what, change] : changes) {
    json job = oom_job();
    change(job);
    const auto retry = make_oom_retry(job);
    ASSERT_FALSE(retry) << what;
    EXPECT_EQ(retry.error().kind, base::ErrorKind::invalid) << what;
  }
}

TEST(OomRetry, EndsWithTheLastAttempt) {
  json job = oom_job();
  annotations_of(job)[attempt_key] = std::to_string(build::attempt_max);
  job["metadata"]["name"] = build::job_name({"network.notifi.kaniko-jobs", "e-operator", build::attempt_max});
  EXPECT_FALSE(make_oom_retry(job));
  annotations_of(job)[attempt_key] = std::to_string(build::attempt_max - 1);
  job["metadata"]["name"] =
      build::job_name({"network.notifi.kaniko-jobs", "e-operator", build::attempt_max - 1});
  EXPECT_TRUE(make_oom_retry(job));
}

}  // namespace
}  // namespace lambda::builds
