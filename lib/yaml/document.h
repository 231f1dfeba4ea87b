// A YAML text as a tree of values, each with its place. Its .cpp is the one file of this folder that
// knows yaml-cpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace lambda::yaml {

/// Line and column count from 1; line 0 stands for the document as a whole.
struct Place {
  std::size_t line = 0;
  std::size_t column = 0;

  auto operator<=>(const Place&) const = default;
};

struct YamlValue {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  Place place;
  std::string text;    // of a scalar
  bool plain = false;  // a scalar without quotes and tag, so that 8080 is a number and "8080" is not
  std::vector<YamlValue> children;  // of a list; of a map: key, value, key, value …, repeated keys too
};

struct YamlError {
  Place place;
  std::string message;
};

/// Reads exactly one YAML 1.2 document; an empty text is a null. Anchors and aliases are refused, so the tree
/// is never larger than the text.
tl::expected<YamlValue, YamlError> read_yaml(std::string_view text);

}  // namespace lambda::yaml
