// Who may write only for some time (a leader, until its lease ends) asks before each write.
#pragma once

#include <functional>

#include "base/error.h"
#include "base/time.h"

namespace lambda::base {

/// Says before a write how long it may take, or why there must be none. Empty: nobody minds.
using WriteGuard = std::function<Result<milliseconds>()>;

/// How long a write may take that has `timeout` by itself.
Result<milliseconds> write_timeout(const WriteGuard& guard, milliseconds timeout);

}  // namespace lambda::base
