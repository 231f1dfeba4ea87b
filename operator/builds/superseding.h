// Which builds a newer one takes the place of. Pure.
#pragma once

#include <memory>
#include <vector>

#include "builds/build.h"

namespace lambda::builds {

struct Superseded {
  api::ObjectKey older;
  api::ObjectKey newer;  // the newest of them all

  bool operator==(const Superseded&) const = default;
};

/// Of the same tenant and parser, those that are neither over nor failing, allow it (cancel_on_newer), and
/// are older than the newest. Newer is what was created later, by name if at the same second; a build that is
/// over supersedes older ones too. A redrive or retry (attempt > 0) supersedes nothing: its Job is newer, its
/// event is not.
std::vector<Superseded> find_superseded(const std::vector<std::shared_ptr<const Build>>& builds);

}  // namespace lambda::builds
