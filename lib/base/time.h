// Times and durations. Deadlines are monotonic (Clock); an event's own time is only ever text to show.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::base {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using std::chrono::milliseconds;

/// "100ms", "5s", "30m", "1h30m", "336h": Go's notation, as Kubernetes users write it, in whole
/// milliseconds. Not negative, at most 10000h; "0" needs no unit.
Result<milliseconds> parse_duration(std::string_view text);

/// The shortest form that parse_duration reads back: "100ms", "1m30s", "0s".
std::string format_duration(milliseconds duration);

/// Now, as RFC 3339 in UTC with milliseconds: "2024-01-01T00:00:00.000Z".
std::string format_rfc3339(std::chrono::system_clock::time_point time);

/// A time of the calendar, of any year that RFC 3339 can write.
using CalendarTime = std::chrono::sys_time<milliseconds>;

/// What is_rfc3339 accepts, cut to milliseconds; a leap second is the next minute's first.
std::optional<CalendarTime> parse_rfc3339(std::string_view text);

/// Whether the text is an RFC 3339 date-time that exists in the calendar ("2024-02-30…" does not).
bool is_rfc3339(std::string_view text);

}  // namespace lambda::base
