// CloudEvents' distributed tracing extension: the W3C Trace Context that an event carries.
#pragma once

#include <string>
#include <string_view>

#include "cloudevents/event.h"

namespace lambda::cloudevents {

inline constexpr std::string_view traceparent_extension = "traceparent";

/// version-traceid-parentid-flags in lower-case hex, as version 00 of W3C Trace Context has it. What is
/// longer or different is of no use to those who read it.
bool is_traceparent(std::string_view text);

/// The event's traceparent, or empty where it has none that is well formed.
std::string traceparent(const Event& event);

/// The trace id of it, 32 hex digits, or empty.
std::string trace_id(const Event& event);

}  // namespace lambda::cloudevents
