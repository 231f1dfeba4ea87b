// YAML or JSON texts as JSON values, with the lines that their fields stand on. Private to this folder.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace lambda::lint {

struct Document {
  nlohmann::json value;
  std::map<std::string, std::size_t> lines;  // by path: "spec.routing.keys[0]"; "" is the document itself

  /// The line of the field, or of what it would stand in.
  std::size_t line_of(std::string path) const;

  /// What stands at a path of its own, with the lines that belong to it.
  Document at(const nlohmann::json& part, const std::string& path) const;
};

/// Every document that is not empty. Scalars without quotes have the types that kubectl gives them; anchors
/// and aliases are followed. An error's message begins with the line.
base::Result<std::vector<Document>> read_documents(std::string_view text);

}  // namespace lambda::lint
