// What the Kubernetes API answered, and what it means.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"

namespace lambda::kube {

struct Answer {
  unsigned status = 0;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
  /// The connection broke and the request was sent a second time: a 409 may then be the first sending's own
  /// doing.
  bool resent = false;

  bool ok() const { return status >= 200 && status < 300; }
};

/// The error that an answer which is not ok() stands for. By its kind:
/// - invalid, too_large: the object itself was refused (400, 422, 413); `field` is what the API server blames
/// - conflict: an object of that name exists (409 AlreadyExists; any other 409 passes, so it is unavailable)
/// - unauthenticated, forbidden, not_found: our credentials, rights, quota or namespace (401, 403, 404)
/// - unavailable, timeout: everything else (429, 5xx, 504, what no API server should say)
base::Error to_error(const Answer& answer);

}  // namespace lambda::kube
