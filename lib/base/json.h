// JSON text from strangers: RFC 8259, and nothing that two readers could understand differently.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::base {

/// How deep arrays and objects may be nested. Writing JSON out again recurses, so the depth bounds the stack.
inline constexpr std::size_t json_max_depth = 64;

/// The value of the text; a number that is no 64-bit integer may be off in its last digits. Refused as
/// `invalid`: syntax errors, broken UTF-8, a byte order mark, a number too large for a double, a name that is
/// repeated within an object, and more than `max_depth` levels of nesting.
Result<nlohmann::json> parse_json(std::string_view text, std::size_t max_depth = json_max_depth);

/// The member of that name; null if there is none, or if it is no object.
const nlohmann::json& at(const nlohmann::json& object, std::string_view name);

/// The text at a JSON pointer ("/metadata/name"); empty if there is none, or something else.
const std::string& text_at(const nlohmann::json& value, const char* pointer);

/// Appends the text as a JSON string, with its quotes. Broken UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace lambda::base
