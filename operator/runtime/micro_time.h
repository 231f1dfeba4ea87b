// Kubernetes' MicroTime.
#pragma once

#include <string>

namespace lambda::runtime {

/// RFC 3339 with exactly six digits of a second, which the API server insists on.
std::string micro_time_now();

}  // namespace lambda::runtime
