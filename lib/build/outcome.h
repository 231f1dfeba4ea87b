// How a build can end, in the words that its annotations, events and metrics have. Pure.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace lambda::build {

enum class Outcome {
  complete,    // the image is in the registry
  failed,      // it ended without one
  timeout,     // its deadline passed
  superseded,  // a newer build of the same tenant and parser took its place
};

/// Who can do something about a build that brought no image.
enum class FailureClass {
  source,          // the context can't be fetched, or is none
  dockerfile,      // what the Dockerfile says fails: a command, a base image, its syntax
  push,            // the registry does not take the image
  oom,             // it needs more memory than it may have
  timeout,         // it ran until its deadline
  infrastructure,  // the platform: Kaniko's image, Secrets, nodes, quota
  unknown,         // the evidence was gone before it could be read, or says nothing that is known here
};

inline constexpr std::array all_outcomes{Outcome::complete, Outcome::failed, Outcome::timeout,
                                         Outcome::superseded};
inline constexpr std::array all_failure_classes{
    FailureClass::source,  FailureClass::dockerfile,     FailureClass::push,   FailureClass::oom,
    FailureClass::timeout, FailureClass::infrastructure, FailureClass::unknown};

/// The word, in lower case; and what the word means, nothing for any other.
std::string_view to_string(Outcome outcome);
std::string_view to_string(FailureClass failure_class);
std::optional<Outcome> parse_outcome(std::string_view word);
std::optional<FailureClass> parse_failure_class(std::string_view word);

}  // namespace lambda::build
