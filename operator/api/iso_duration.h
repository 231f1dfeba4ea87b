// Durations as Knative writes them: ISO 8601, as far as it means a length of time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lambda::api {

/// "PT30S", "PT0.5S", "PT1H30M": hours, minutes, and seconds with decimals down to a millisecond. None where
/// it is something else, or longer than 10000 h.
std::optional<base::milliseconds> parse_iso_duration(std::string_view text);

/// In seconds, minutes and hours: "PT0.5S", "PT1H30M", "PT0S".
std::string format_iso_duration(base::milliseconds duration);

}  // namespace lambda::api
