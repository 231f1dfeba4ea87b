// Text of others (logs, messages of Kubernetes) in a form that fits events, annotations and terminals. Pure;
// private to this folder.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lambda::builds {

inline constexpr std::size_t message_max_bytes = 1024;

/// Valid UTF-8 without control characters but the newline. Escape sequences of terminals go as a whole, a tab
/// becomes a space, a carriage return a newline unless one follows.
std::string plain_text(std::string_view raw);

/// plain_text() on one line, without white space at its ends or twice in a row, at most message_max_bytes.
std::string one_line(std::string_view raw);

/// Without the newlines.
std::vector<std::string_view> split_lines(std::string_view text);

}  // namespace lambda::builds
