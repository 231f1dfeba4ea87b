// What a reflector does next: list, or watch, and after which wait. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/backoff.h"
#include "base/error.h"
#include "base/time.h"

namespace lambda::runtime {

///            listed                    expired (410)
///   list ───────────────▶ watch ─────────────────────────▶ list
///    │▲                    │▲
///    └┘ failed: backoff    └┘ ended: at once; broken or cut short: backoff
///
/// The failures that make the backoff longer are forgotten only when a watch has lived, not when a list went
/// well: a list that is followed by a failing watch again and again has to become rare.
class Course {
 public:
  enum class What { list, watch };
  struct Step {
    What what = What::list;
    base::milliseconds wait{};     // before it
    std::string resource_version;  // for a watch: from where on
  };

  Course(const base::Backoff& backoff, base::Random random);

  const Step& next() const { return next_; }

  void listed(std::string resource_version);
  void list_failed(const base::Error& error);

  /// An event or a bookmark of the watch: it can be resumed from there.
  void seen(std::string resource_version);

  /// `lived`: it brought something, or lasted for a while. `error`: why it ended, if not by itself.
  void watch_ended(bool lived, const std::optional<base::Error>& error);

 private:
  base::milliseconds wait_after(const std::optional<base::Error>& error);

  base::Backoff backoff_;
  base::Random random_;
  unsigned failures_ = 0;
  Step next_;
};

}  // namespace lambda::runtime
