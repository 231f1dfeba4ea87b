// A Lease as leader election uses it, and whose it is. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"
#include "base/error.h"
#include "base/time.h"

namespace lambda::runtime {

/// coordination.k8s.io/v1 Lease.
struct Lease {
  api::ObjectKey key;
  std::string resource_version{};  // empty: it is to be created
  std::string holder{};            // empty: nobody's
  std::int64_t duration_seconds = 0;
  std::string acquire_time{};  // RFC 3339 with microseconds
  std::string renew_time{};
  std::int64_t transitions = 0;  // how often the holder changed

  bool operator==(const Lease&) const = default;
};

base::Result<Lease> parse_lease(const nlohmann::json& object);
nlohmann::json to_json(const Lease& lease);

/// The lease with `holder` as its holder from now on; a change of holder counts as a transition.
Lease taken(Lease lease, std::string_view holder, std::int64_t duration_seconds, std::string_view now);
Lease renewed(Lease lease, std::string_view now);
Lease released(Lease lease, std::string_view now);

/// When a lease was seen to change last, by our own clock: those of others are not to be trusted.
class LeaseObservation {
 public:
  void see(const Lease& lease, base::TimePoint now);

  /// Nobody's, or not renewed for its whole duration since it was last seen to change.
  bool is_free(base::TimePoint now) const;

  /// When it will be, if nobody renews it.
  base::TimePoint free_at() const;

  const std::optional<Lease>& last() const { return last_; }

 private:
  std::optional<Lease> last_;
  base::TimePoint changed_at_;
};

}  // namespace lambda::runtime
