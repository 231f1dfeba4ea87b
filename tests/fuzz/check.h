// What a fuzz target uses to say that a property does not hold.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace lambda::fuzz {

inline void check(bool holds, std::string_view property) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(property.size()), property.data());
  std::abort();
}

inline std::string_view text(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace lambda::fuzz
