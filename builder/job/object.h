// The Job as an object, with gaps for what each event says. Private to this folder.
#pragma once

#include <cstddef>

#include <nlohmann/json_fwd.hpp>

#include "config/config.h"
#include "event/job_start.h"
#include "event/source.h"

namespace lambda::job {

inline constexpr std::size_t source_kinds = 5;

/// What of an event decides which fields its Job has, beside their values.
struct Shape {
  event::SourceKind source = event::SourceKind::git;
  bool plain_http = false;
  event::BuildType build_type = event::BuildType::container;
};

/// The whole Job, the configuration's patch included.
nlohmann::ordered_json render(const config::Build& settings, const Shape& shape);

}  // namespace lambda::job
