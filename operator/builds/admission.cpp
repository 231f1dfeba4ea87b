#include "builds/admission.h"

#include <algorithm>
#include <deque>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace lambda::builds {
namespace {

using base::CalendarTime;

struct Tenant {
  std::size_t running = 0;
  std::size_t last_turn = 0;  // when one of its builds was released, as a rank; 0: never
  std::deque<Applicant> waiting;
};

// What waiting and priority make of the time when it came. It orders as "one priority more for each step"
// does, without a look at the clock.
CalendarTime rank_of(const Applicant& applicant, base::milliseconds priority_step) {
  return applicant.created - applicant.priority * priority_step;
}

// Who is next, and what follows when one after the other is over.
class Line {
 public:
  Line(std::vector<Applicant> applicants, const Running& running, const LastRelease& last_release,
       base::milliseconds priority_step) {
    queue_up(std::move(applicants), priority_step);
    rank_last_turns(last_release);
    for (const auto& [name, count] : running) tenants_[name].running = count;
    for (const auto& [name, tenant] : tenants_) add_claim(name, tenant);
    line_up_running();
  }

  bool empty() const { return claims_.empty(); }

  // As many or more.
  std::set<std::string, std::less<>> tenants_that_run(std::size_t count) const {
    std::set<std::string, std::less<>> names;
    for (const auto& [name, tenant] : tenants_) {
      if (tenant.running >= count) names.insert(name);
    }
    return names;
  }

  bool may_release(std::size_t max_running, std::size_t max_running_per_tenant) const {
    // The first claim is that of the tenant with the fewest running: where it may have no more, nobody may.
    return !claims_.empty() && running_.size() < max_running &&
           std::get<0>(*claims_.begin()) < max_running_per_tenant;
  }

  Applicant release() {
    const std::string_view name = std::get<3>(*claims_.begin());
    claims_.erase(claims_.begin());
    Tenant& tenant = tenants_.find(name)->second;
    Applicant next = std::move(tenant.waiting.front());
    tenant.waiting.pop_front();
    ++tenant.running;
    tenant.last_turn = ++turn_;
    running_.push_back(name);
    add_claim(name, tenant);
    return next;
  }

  // The one that has run longest ends.
  void finish_one() {
    const std::string_view name = running_.front();
    running_.pop_front();
    Tenant& tenant = tenants_.find(name)->second;
    if (!tenant.waiting.empty()) claims_.erase(claim_of(name, tenant));
    --tenant.running;
    add_claim(name, tenant);
  }

 private:
  // A tenant's claim to the next place: running, last turn, when its first one came, name. The least is next.
  using Claim = std::tuple<std::size_t, std::size_t, CalendarTime, std::string_view>;

  static Claim claim_of(std::string_view name, const Tenant& tenant) {
    return {tenant.running, tenant.last_turn, tenant.waiting.front().created, name};
  }

  void add_claim(std::string_view name, const Tenant& tenant) {
    if (!tenant.waiting.empty()) claims_.insert(claim_of(name, tenant));
  }

  void queue_up(std::vector<Applicant> applicants, base::milliseconds priority_step) {
    std::ranges::sort(applicants, [priority_step](const Applicant& a, const Applicant& b) {
      const CalendarTime rank_a = rank_of(a, priority_step);
      const CalendarTime rank_b = rank_of(b, priority_step);
      return std::tie(rank_a, a.created, a.key) < std::tie(rank_b, b.created, b.key);
    });
    for (Applicant& applicant : applicants) {
      std::deque<Applicant>& waiting = tenants_[applicant.tenant].waiting;
      waiting.push_back(std::move(applicant));
    }
  }

  void rank_last_turns(const LastRelease& last_release) {
    std::set<CalendarTime> times;
    for (const auto& [name, time] : last_release) times.insert(time);
    std::map<CalendarTime, std::size_t> turns;
    for (const CalendarTime time : times) turns[time] = ++turn_;
    for (const auto& [name, time] : last_release) tenants_[name].last_turn = turns[time];
  }

  // Nobody told which of them began first: spread, as they were released in turns.
  void line_up_running() {
    std::vector<std::pair<double, std::string_view>> order;
    for (const auto& [name, tenant] : tenants_) {
      for (std::size_t i = 0; i < tenant.running; ++i) {
        order.emplace_back((static_cast<double>(i) + 0.5) / static_cast<double>(tenant.running), name);
      }
    }
    std::ranges::sort(order);
    for (const auto& [place, name] : order) running_.push_back(name);
  }

  std::map<std::string, Tenant, std::less<>> tenants_;  // never one less: names are pointed to
  std::set<Claim> claims_;                              // of those that have something waiting
  std::deque<std::string_view> running_;                // whose they are; in front the one that ends first
  std::size_t turn_ = 0;
};

}  // namespace

Admission admit(std::vector<Applicant> applicants, const Running& running, const LastRelease& last_release,
                const AdmissionLimits& limits) {
  Line line(std::move(applicants), running, last_release, limits.priority_step);
  Admission admission;
  while (line.may_release(limits.max_running, limits.max_running_per_tenant))
    admission.release.push_back(line.release().key);
  const std::set<std::string, std::less<>> full = line.tenants_that_run(limits.max_running_per_tenant);

  // A limit of 0 would let nobody go, ever: there would be no positions.
  const std::size_t max_running = std::max<std::size_t>(limits.max_running, 1);
  const std::size_t max_running_per_tenant = std::max<std::size_t>(limits.max_running_per_tenant, 1);
  while (!line.empty()) {
    if (!line.may_release(max_running, max_running_per_tenant)) {
      line.finish_one();
      continue;
    }
    Applicant next = line.release();
    const bool held_by_tenant = full.contains(next.tenant);
    admission.waiting.push_back(
        {std::move(next.key), std::move(next.tenant), admission.waiting.size() + 1, held_by_tenant});
  }
  return admission;
}

}  // namespace lambda::builds
