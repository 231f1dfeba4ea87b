#include "topology/pattern.h"

#include <algorithm>

#include "topology/topology.h"

namespace lambda::topology {
namespace {

constexpr std::string_view special_characters = R"(^$\.*+?()[]{}|)";
constexpr std::string_view start = "^";
constexpr std::string_view end = "$";
constexpr std::string_view group_start = "(?:";
constexpr std::string_view group_end = ")";

bool strip(std::string_view& text, std::string_view prefix, std::string_view suffix) {
  if (text.size() < prefix.size() + suffix.size()) return false;
  if (!text.starts_with(prefix) || !text.ends_with(suffix)) return false;
  text = text.substr(prefix.size(), text.size() - prefix.size() - suffix.size());
  return true;
}

/// The literals between bars; what pattern_of() would not have made is found by making it again.
std::vector<std::string> alternatives_in(std::string_view text) {
  std::vector<std::string> names(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '|') {
      names.emplace_back();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    names.back() += text[i];
  }
  return names;
}

std::optional<std::regex> compile(const std::string& pattern) {
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error&) {
    return std::nullopt;
  }
}

}  // namespace

bool is_special_in_pattern(char character) {
  return special_characters.find(character) != std::string_view::npos;
}

std::optional<std::vector<std::string>> names_of(std::string_view pattern) {
  std::string_view inner = pattern;
  if (!strip(inner, start, end)) return std::nullopt;
  strip(inner, group_start, group_end);
  std::vector<std::string> names = alternatives_in(inner);
  return pattern_of(names) == pattern ? std::optional(std::move(names)) : std::nullopt;
}

Pattern::Pattern(const std::string& pattern) : names_(names_of(pattern)) {
  if (!names_) expression_ = compile(pattern);
}

bool Pattern::matches(const std::string& name) const {
  if (names_) return std::ranges::find(*names_, name) != names_->end();
  return expression_ && std::regex_search(name, *expression_);
}

}  // namespace lambda::topology
