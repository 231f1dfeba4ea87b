// How often an event was sent back after its build had failed: an extension attribute of the event itself, so
// that every way of delivery carries it.
#pragma once

#include <string_view>

#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::build {

inline constexpr std::string_view attempt_attribute = "lambdaattempt";
inline constexpr unsigned attempt_max = 1000;

/// 0 where the event has no such attribute. `invalid` if it is no decimal number from 1 to attempt_max,
/// written the shortest way: two spellings of a number would be one Job.
base::Result<unsigned> redrive_attempt(const cloudevents::Event& event);

/// 0 takes it away.
void set_redrive_attempt(cloudevents::Event& event, unsigned attempt);

}  // namespace lambda::build
