#include "runtime/course.h"

#include <algorithm>
#include <utility>

#include "kube/answer.h"

namespace lambda::runtime {
namespace {

// For what no retry mends: somebody has to install the kind or to give us the right.
constexpr base::milliseconds until_somebody_acts{60'000};
constexpr std::chrono::seconds retry_after_max{60};
// An API server that refuses a watch so often may refuse its resource version.
constexpr unsigned answered_failures_max = 5;

bool needs_somebody(const base::Error& error) {
  using enum base::ErrorKind;
  return error.kind == not_found || error.kind == forbidden || error.kind == unauthenticated;
}

// The resource version is of no use any more: too old (410), or newer than anything that this API server has,
// as after a restore of etcd (504), or none at all (400).
bool needs_list(const base::Error& error) {
  constexpr unsigned bad_request = 400;
  constexpr unsigned gateway_timeout = 504;
  return kube::is_expired(error) || error.http_status == gateway_timeout ||
         error.http_status == bad_request || needs_somebody(error);
}

}  // namespace

Course::Course(const base::Backoff& backoff, base::Random random)
    : backoff_(backoff), random_(std::move(random)) {}

void Course::listed(std::string resource_version) {
  next_ = {.what = What::watch, .wait = {}, .resource_version = std::move(resource_version)};
}

void Course::list_failed(const base::Error& error) {
  next_ = {.what = What::list, .wait = wait_after(error), .resource_version = {}};
}

void Course::seen(std::string resource_version) {
  if (!resource_version.empty()) next_.resource_version = std::move(resource_version);
}

void Course::watch_ended(bool lived, const std::optional<base::Error>& error) {
  if (lived) failures_ = 0;
  const bool hopeless = error && error->http_status != 0 && failures_ >= answered_failures_max;
  if (hopeless || (error && needs_list(*error))) {
    next_ = {.what = What::list, .wait = wait_after(error), .resource_version = {}};
  } else {
    next_.wait = lived && !error ? base::milliseconds(0) : wait_after(error);
  }
}

base::milliseconds Course::wait_after(const std::optional<base::Error>& error) {
  base::milliseconds wait = backoff_.delay(failures_++, random_);
  if (!error) return wait;
  if (needs_somebody(*error)) {
    const std::chrono::duration<double, std::milli> later = until_somebody_acts * ((1 + random_()) / 2);
    wait = std::max(wait, std::chrono::duration_cast<base::milliseconds>(later));
  }
  if (error->retry_after)
    wait = std::max<base::milliseconds>(wait, std::min(*error->retry_after, retry_after_max));
  return wait;
}

}  // namespace lambda::runtime
