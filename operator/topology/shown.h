// Names and values of a broker in messages for people.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace lambda::topology {

/// In double quotes, whole (names have at most 255 bytes); control characters and broken UTF-8 as '?'.
std::string in_quotes(std::string_view name);

/// JSON, cut.
std::string shown(const nlohmann::json& value);

}  // namespace lambda::topology
