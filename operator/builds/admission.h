// Which of the builds that wait may run now: fair between tenants, in order within one. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "api/object.h"
#include "base/time.h"

namespace lambda::builds {

struct AdmissionLimits {
  std::size_t max_running = 20;
  std::size_t max_running_per_tenant = 5;
  base::milliseconds priority_step{60'000};  // a build gains one priority for each such time that it waits

  bool operator==(const AdmissionLimits&) const = default;
};

struct Applicant {
  api::ObjectKey key;
  std::string tenant;
  int priority = 1;  // 0 to 10, higher first, among those of its tenant
  base::CalendarTime created{};
};

/// How many builds run, by tenant; a tenant with none may be missing.
using Running = std::map<std::string, std::size_t, std::less<>>;

/// When a build of the tenant was released last, also if it is over by now; a tenant may be missing. With
/// fewer places than tenants, how many run says too little of whose turn it is.
using LastRelease = std::map<std::string, base::CalendarTime, std::less<>>;

struct Place {
  api::ObjectKey key;
  std::string tenant;
  std::size_t position = 0;     // from 1: how many turns until it is released, if nothing else comes
  bool held_by_tenant = false;  // its tenant runs as many as it may; false: all together do
};

struct Admission {
  std::vector<api::ObjectKey> release;  // in this order
  std::vector<Place> waiting;           // the others, by position
};

/// The tenant with the fewest running is next; among equals the one whose last release is longest ago (never:
/// first), then the one whose first build waits longest. Within a tenant by created - priority ·
/// priority_step, then age, then name: an order that stays as time goes by. Never more than the limits,
/// counting what runs already. The positions hold if all builds take equally long. n log n.
Admission admit(std::vector<Applicant> applicants, const Running& running, const LastRelease& last_release,
                const AdmissionLimits& limits);

}  // namespace lambda::builds
