#include "follow/admission.h"

#include <algorithm>
#include <utility>

#include "build/labels.h"
#include "builds/superseding.h"
#include "builds/verdict.h"

namespace lambda::follow {
namespace {

using base::CalendarTime;
using base::milliseconds;
using builds::Build;

// Changes come in bursts; a round looks at all of them.
constexpr milliseconds between_rounds{50};
constexpr milliseconds after_failure{1'000};
// Places change with each release: they are told one after another, so that telling is not the most work.
constexpr double places_per_second = 5;
constexpr double places_burst = 20;
constexpr milliseconds next_places{2'000};
constexpr std::size_t remembered_tenants_max = 10'000;
// A release that the store does not show for so long was taken back by somebody.
constexpr milliseconds release_shows_after{60'000};

bool waits_for_us(const Build& build) {
  return build.admitted_by_us && build.suspended && !build.over() && !build.failing && !build.deleting;
}

bool runs_by_us(const Build& build) {
  return build.admitted_by_us && !build.suspended && !build.over();
}

CalendarTime calendar_now() {
  return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

std::string text_of(const builds::Place& place) {
  const char* const why =
      place.held_by_tenant ? "its tenant runs as many builds as it may" : "as many builds run as may";
  return "Queued: position " + std::to_string(place.position) + ", " + why;
}

}  // namespace

Admission::Admission(Tools tools, builds::AdmissionLimits limits, Bell& changed, metrics::Registry& registry)
    : tools_(tools),
      limits_(limits),
      changed_(changed),
      writes_(tools.api),
      waiting_gauge_(registry.gauge("operator_builds_waiting", "Builds that wait to be released")),
      running_gauge_(registry.gauge("operator_builds_running", "Builds that were released and are not over")),
      oldest_gauge_(registry.gauge("operator_builds_waiting_seconds",
                                   "How long the oldest of the builds that wait to be released has waited")),
      places_budget_(places_per_second, places_burst) {}

void Admission::look_again_in(milliseconds wait) {
  const base::TimePoint time = base::Clock::now() + wait;
  look_again_at_ = look_again_at_ ? std::min(*look_again_at_, time) : time;
}

void Admission::run(const std::stop_token& stop) {
  Bell nobody;
  look_again_in(milliseconds(0));
  while (changed_.wait(look_again_at_, stop)) {
    nobody.wait(base::Clock::now() + between_rounds, stop);
    look_again_at_.reset();
    play(stop);
  }
}

void Admission::play(const std::stop_token& stop) {
  const std::vector<BuildPointer> builds = tools_.store.all();
  supersede(builds, stop);
  const Round round = collect(builds);
  const builds::Admission admission = admit(round.applicants, round.running, last_release_, limits_);
  release(round, unconfirmed(), stop);
  release(round, admission.release, stop);
  tell_places(round, admission.waiting, stop);

  const CalendarTime now = calendar_now();
  CalendarTime oldest = now;
  for (const builds::Applicant& each : round.applicants) oldest = std::min(oldest, each.created);
  waiting_gauge_.Set(static_cast<double>(admission.waiting.size()));
  running_gauge_.Set(static_cast<double>(round.running_total + admission.release.size()));
  oldest_gauge_.Set(std::chrono::duration<double>(now - oldest).count());
}

Admission::Round Admission::collect(const std::vector<BuildPointer>& builds) {
  Round round;
  std::map<api::ObjectKey, Release> still_hidden;
  for (const BuildPointer& build : builds) {
    const bool waits = waits_for_us(*build);
    const bool released = waits && is_under_way(build->key);
    if (waits) round.waiting.emplace(build->key, build);
    if (released) still_hidden.emplace(build->key, released_.at(build->key));
    if (runs_by_us(*build) && build->started) note_release(*build, *build->started);
    if (released || runs_by_us(*build)) {
      ++round.running[build->third_party_id];
      ++round.running_total;
    } else if (waits) {
      round.applicants.push_back({build->key, build->third_party_id, build->priority, build->created});
    }
  }
  released_ = std::move(still_hidden);
  return round;
}

// Of a tenant that is forgotten, how many run decides alone.
void Admission::note_release(const Build& build, CalendarTime time) {
  if (last_release_.size() >= remembered_tenants_max) last_release_.clear();
  CalendarTime& last = last_release_[build.third_party_id];
  last = std::max(last, time);
}

bool Admission::is_under_way(const api::ObjectKey& key) const {
  const auto found = released_.find(key);
  if (found == released_.end()) return false;
  return !found->second.confirmed || base::Clock::now() - found->second.written < release_shows_after;
}

std::vector<api::ObjectKey> Admission::unconfirmed() const {
  std::vector<api::ObjectKey> out;
  for (const auto& [key, release] : released_) {
    if (!release.confirmed) out.push_back(key);
  }
  return out;
}

void Admission::release(const Round& round, const std::vector<api::ObjectKey>& keys,
                        const std::stop_token& stop) {
  for (const api::ObjectKey& key : keys) {
    // From here on it counts as running, whatever the answer: a write may arrive without one.
    Release& each = released_[key];
    each.written = base::Clock::now();
    const Build& build = *round.waiting.at(key);
    const auto released = writes_.release(build, stop);
    if (released) {
      each.confirmed = true;
      note_release(build, calendar_now());
      tools_.log.debug("build released", {{"job_name", key.name}, {"third_party_id", build.third_party_id}});
      continue;
    }
    tools_.log.warning("build not released, to be tried again",
                       {{"job_name", key.name}, {"error", base::describe(released.error())}});
    look_again_in(after_failure);
    return;
  }
}

// Those that were told nothing yet, then the nearest: with each release all positions change, so the budget
// would never reach the end of a long queue.
void Admission::tell_places(const Round& round, std::vector<builds::Place> places,
                            const std::stop_token& stop) {
  std::ranges::sort(places, {}, [&](const builds::Place& place) {
    const bool was_told = !round.waiting.at(place.key)->waiting.empty();
    return std::pair(was_told, place.position);
  });
  for (const builds::Place& place : places) {
    const Build& build = *round.waiting.at(place.key);
    const std::string text = text_of(place);
    if (build.waiting == text) continue;
    if (!places_budget_.take(base::Clock::now())) {
      return look_again_in(next_places);
    }
    if (!writes_.annotate(build, build::annotation::waiting, text, stop)) return look_again_in(after_failure);
  }
}

void Admission::supersede(const std::vector<BuildPointer>& builds, const std::stop_token& stop) {
  const bool any =
      std::ranges::any_of(builds, [](const BuildPointer& build) { return build->cancel_on_newer; });
  if (!any) return;
  for (const builds::Superseded& each : find_superseded(builds)) {
    const BuildPointer older = tools_.store.find(each.older);
    if (!older) continue;
    const auto ended =
        writes_.fail(*older, builds::reason_superseded, "superseded by " + each.newer.name, stop);
    if (!ended) {
      tools_.log.warning("build not superseded, to be tried again",
                         {{"job_name", each.older.name}, {"error", base::describe(ended.error())}});
      look_again_in(after_failure);
    }
  }
}

}  // namespace lambda::follow
