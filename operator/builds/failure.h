// What Kaniko's log says of a build that failed. Pure; private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "build/outcome.h"

namespace lambda::builds {

struct Failure {
  build::FailureClass failure_class = build::FailureClass::unknown;
  std::string reason;
  std::string message;
};

/// Read from the error that Kaniko ends with, and from no line before it: what a Dockerfile's commands print
/// is in the same log. Nothing if it does not end with one.
std::optional<Failure> read_failure(std::string_view plain_log);

/// The log without the page of usage that Kaniko prints behind an error of its arguments or its context.
std::string_view without_usage(std::string_view plain_log);

}  // namespace lambda::builds
