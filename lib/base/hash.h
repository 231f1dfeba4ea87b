// Hashes that name things: equal input, equal name, on every replica and in every version.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace lambda::base {

/// SHA-256 over the parts, each preceded by its length ("3:abc"), as 64 lower-case hex digits. The lengths
/// keep ("ab", "c") and ("a", "bc") apart.
std::string sha256_hex(std::initializer_list<std::string_view> parts);

/// MD5 of the bytes as 32 lower-case hex digits, for names that others make with it; worth nothing otherwise.
std::string md5_hex(std::string_view bytes);

}  // namespace lambda::base
