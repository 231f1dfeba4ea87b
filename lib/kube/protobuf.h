// What is needed of protobuf's encoding to write a message
// (https://protobuf.dev/programming-guides/encoding).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lambda::kube::protobuf {

enum class WireType : std::uint8_t { varint = 0, delimited = 2 };

inline void append_varint(std::string& out, std::uint64_t value) {
  constexpr unsigned bits = 7;
  constexpr std::uint64_t more = 1U << bits;
  for (; value >= more; value >>= bits) out += static_cast<char>(value | more);
  out += static_cast<char>(value);
}

inline void append_tag(std::string& out, std::uint32_t field_number, WireType type) {
  constexpr unsigned type_bits = 3;
  append_varint(out, std::uint64_t{field_number} << type_bits | static_cast<std::uint8_t>(type));
}

/// A negative number takes ten bytes, as int32 and int64 do.
inline void append_integer(std::string& out, std::int64_t value) {
  append_varint(out, static_cast<std::uint64_t>(value));
}

/// A string, or a message that is written already.
inline void append_delimited(std::string& out, std::string_view bytes) {
  append_varint(out, bytes.size());
  out += bytes;
}

inline void append_text_field(std::string& out, std::uint32_t field_number, std::string_view text) {
  append_tag(out, field_number, WireType::delimited);
  append_delimited(out, text);
}

/// What append_varint writes for it.
inline std::size_t varint_bytes(std::uint64_t value) {
  constexpr unsigned bits = 7;
  std::size_t bytes = 1;
  while ((value >>= bits) > 0) ++bytes;
  return bytes;
}

}  // namespace lambda::kube::protobuf
