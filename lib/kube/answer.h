// What the Kubernetes API answered, and what it means.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

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

/// The same of a metav1.Status that came another way: as an event of a watch, say.
base::Error to_error(const nlohmann::json& status);

// What a status code alone does not tell; false for errors that come from no answer.

/// A create met an object of that name.
bool is_already_there(const base::Error& error);
/// The object is no longer in the state, or no longer the one, that the write asked for.
bool is_stale(const base::Error& error);
/// The resource version is too old, or from before a restore: list anew.
bool is_expired(const base::Error& error);

}  // namespace lambda::kube
