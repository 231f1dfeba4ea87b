// Small questions about text. All functions are pure; bytes are taken as UTF-8 where it matters.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lambda::base {

/// ASCII only; other bytes are left as they are.
std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);

/// Without spaces and tabs at both ends (HTTP's optional white space).
std::string_view trim(std::string_view text);

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

/// Whether there is a C0 control character (U+0000–U+001F) or DEL.
bool has_control_character(std::string_view text);

/// At most `max_bytes` bytes, cut between characters, with "…" where something was cut off.
std::string cut(std::string_view text, std::size_t max_bytes);

/// The text, with '?' for each byte that belongs to no well-formed UTF-8 character.
std::string to_valid_utf8(std::string_view bytes);

/// The bytes in double quotes for an error message: cut to 64 bytes, control characters and broken UTF-8
/// replaced by '?'.
std::string quote(std::string_view text);

/// RFC 1123 label as Kubernetes names want it: [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 63 characters.
bool is_dns_label(std::string_view text);

/// RFC 1123 subdomain as Kubernetes has it: labels of any length joined by '.', at most 253 characters.
bool is_dns_subdomain(std::string_view text);

/// A Kubernetes label value: empty, or at most 63 of [A-Za-z0-9._-] with alphanumeric ends.
bool is_label_value(std::string_view text);

/// A decimal integer and nothing else; no sign '+', no spaces, no overflow.
std::optional<long long> parse_integer(std::string_view text);

}  // namespace lambda::base
