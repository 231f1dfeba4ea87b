// Base64, RFC 4648 section 4 (the alphabet with '+' and '/').
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lambda::base {

/// With padding, without line breaks.
std::string to_base64(std::string_view bytes);

/// The bytes, or nothing where the text is not base64 with its padding. Line breaks are not accepted.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace lambda::base
