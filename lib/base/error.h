// Errors are values: a function that can fail returns Result<T>. Exceptions of libraries stop at the
// library that uses them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace lambda::base {

/// What kind of trouble it is, and by that who can mend it.
enum class ErrorKind {
  invalid,          // the input contradicts what is accepted; the same input fails again
  too_large,        // more bytes than are accepted
  unsupported,      // a media type, mode or feature that is not spoken here
  not_found,        // the thing named does not exist
  conflict,         // the thing exists already, and it is another one
  unauthenticated,  // the credentials are missing or refused
  forbidden,        // the credentials are known but do not suffice
  unavailable,      // somebody else's trouble, or too much at once: it may pass
  timeout,          // it took longer than it was allowed to
  internal,         // a mistake of ours
};

/// The kind as users see it in answers, logs and metrics: a closed set of snake_case words.
std::string_view to_string(ErrorKind kind);

/// Whether the same input may succeed later without anybody changing it.
bool worth_retrying(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  // what was found and what is accepted, for a person
  std::string field;    // path of the field at fault ("data.parameters.build_timeout"), or empty
  std::optional<std::chrono::seconds> retry_after = std::nullopt;  // when somebody said so
  unsigned http_status = 0;  // of the answer that this comes from; 0: there was none
};

/// "field: message", or the message alone.
std::string describe(const Error& error);

template <class T>
using Result = tl::expected<T, Error>;

/// `return fail(ErrorKind::invalid, "…", "data.priority");` from a function that returns any Result.
inline tl::unexpected<Error> fail(ErrorKind kind, std::string message, std::string field = {}) {
  return tl::unexpected<Error>(Error{kind, std::move(message), std::move(field), std::nullopt});
}

}  // namespace lambda::base
