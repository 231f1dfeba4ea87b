#include "build/outcome.h"

#include <algorithm>

namespace lambda::build {
namespace {

template <class Words>
auto find_word(const Words& words, std::string_view word) -> std::optional<typename Words::value_type> {
  const auto found = std::ranges::find(words, word, [](auto each) { return to_string(each); });
  if (found == words.end()) return std::nullopt;
  return *found;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::complete:
      return "complete";
    case Outcome::failed:
      return "failed";
    case Outcome::timeout:
      return "timeout";
    case Outcome::superseded:
      return "superseded";
  }
  return {};
}

std::string_view to_string(FailureClass failure_class) {
  switch (failure_class) {
    case FailureClass::source:
      return "source";
    case FailureClass::dockerfile:
      return "dockerfile";
    case FailureClass::push:
      return "push";
    case FailureClass::oom:
      return "oom";
    case FailureClass::timeout:
      return "timeout";
    case FailureClass::infrastructure:
      return "infrastructure";
    case FailureClass::unknown:
      return "unknown";
  }
  return {};
}

std::optional<Outcome> parse_outcome(std::string_view word) {
  return find_word(all_outcomes, word);
}

std::optional<FailureClass> parse_failure_class(std::string_view word) {
  return find_word(all_failure_classes, word);
}

}  // namespace lambda::build
