// The build arguments that an event asks for.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::event {

/// Names and values, sorted by name: a JSON object has no order of its own.
using Environment = std::vector<std::pair<std::string, std::string>>;

/// Reads an object of strings: at most 64 names [A-Za-z_][A-Za-z0-9_]*, none that ends in "_PROXY" in any
/// case, 32 KiB of names and values in all. Values are free of control characters other than the tab: with a
/// line break in it, a value could pass for further instructions or log lines wherever it is printed. An
/// error's field is `path`, with the name behind it where the value is at fault.
base::Result<Environment> parse_environment(const nlohmann::json& object, const std::string& path);

}  // namespace lambda::event
