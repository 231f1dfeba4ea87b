#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace lambda::base {
namespace {

constexpr std::size_t label_max_bytes = 63;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_lower_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_alphanumeric(char c) {
  return is_lower_alphanumeric(lower(c));
}

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

bool is_continuation(unsigned char byte) {
  return (byte & 0xC0U) == 0x80U;
}

// RFC 3629's table of well-formed characters, by first byte. The bounds of the second byte exclude overlong
// forms, surrogates and what lies above U+10FFFF.
struct Utf8Row {
  unsigned char first_least, first_most;
  std::size_t length;
  unsigned char second_least, second_most;
};
constexpr std::array<Utf8Row, 9> utf8_rows{
    Utf8Row{0x00, 0x7F, 1, 0x00, 0x00}, Utf8Row{0xC2, 0xDF, 2, 0x80, 0xBF},
    Utf8Row{0xE0, 0xE0, 3, 0xA0, 0xBF}, Utf8Row{0xE1, 0xEC, 3, 0x80, 0xBF},
    Utf8Row{0xED, 0xED, 3, 0x80, 0x9F}, Utf8Row{0xEE, 0xEF, 3, 0x80, 0xBF},
    Utf8Row{0xF0, 0xF0, 4, 0x90, 0xBF}, Utf8Row{0xF1, 0xF3, 4, 0x80, 0xBF},
    Utf8Row{0xF4, 0xF4, 4, 0x80, 0x8F}};

bool are_8_ascii(const char* bytes) {
  std::uint64_t all = 0;
  std::memcpy(&all, bytes, sizeof all);
  return (all & 0x8080808080808080U) == 0;
}

// Length of the well-formed character that begins at `i`, or 0.
std::size_t utf8_character_bytes(std::string_view text, std::size_t i) {
  const unsigned char first = byte_at(text, i);
  const auto row = std::find_if(utf8_rows.begin(), utf8_rows.end(), [&](const Utf8Row& candidate) {
    return first >= candidate.first_least && first <= candidate.first_most;
  });
  if (row == utf8_rows.end() || i + row->length > text.size()) return 0;
  if (row->length == 1) return 1;
  const unsigned char second = byte_at(text, i + 1);
  if (second < row->second_least || second > row->second_most) return 0;
  const std::string_view rest = text.substr(i + 2, row->length - 2);
  const bool continued = std::all_of(rest.begin(), rest.end(),
                                     [](char c) { return is_continuation(static_cast<unsigned char>(c)); });
  return continued ? row->length : 0;
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0;;) {
    // Most text is nothing but ASCII.
    while (i + sizeof(std::uint64_t) <= text.size() && are_8_ascii(text.data() + i))
      i += sizeof(std::uint64_t);
    while (i < text.size() && byte_at(text, i) < 0x80) ++i;
    if (i == text.size()) return true;
    const std::size_t length = utf8_character_bytes(text, i);
    if (length == 0) return false;
    i += length;
  }
}

// Without an early way out, so that it compiles to wide instructions.
bool has_control_character(std::string_view text) {
  bool found = false;
  for (const char c : text) found |= static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  return found;
}

std::string cut(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view ellipsis = "…";
  if (text.size() <= max_bytes) return std::string(text);
  std::size_t end = max_bytes > ellipsis.size() ? max_bytes - ellipsis.size() : 0;
  while (end > 0 && is_continuation(byte_at(text, end))) --end;
  return std::string(text.substr(0, end)) + (max_bytes >= ellipsis.size() ? std::string(ellipsis) : "");
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t length = utf8_character_bytes(bytes, i);
    out += length == 0 ? std::string_view("?") : bytes.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return out;
}

std::string quote(std::string_view text) {
  constexpr std::size_t quoted_max_bytes = 64;
  const std::string shown = cut(text, quoted_max_bytes);
  std::string out = "\"";
  for (std::size_t i = 0; i < shown.size();) {
    const std::size_t length = utf8_character_bytes(shown, i);
    const std::string_view character = std::string_view(shown).substr(i, std::max<std::size_t>(length, 1));
    if (length == 0 || has_control_character(character)) {
      out += '?';
    } else {
      out += character;
    }
    i += character.size();
  }
  return out + '"';
}

// Kubernetes bounds the whole name, and not its parts as the DNS does.
bool is_dns_subdomain(std::string_view text) {
  constexpr std::size_t subdomain_max_bytes = 253;
  if (text.size() > subdomain_max_bytes) return false;
  for (;;) {
    const auto dot = std::min(text.find('.'), text.size());
    const std::string_view part = text.substr(0, dot);
    const auto fits = [](char c) { return is_lower_alphanumeric(c) || c == '-'; };
    if (part.empty() || part.front() == '-' || part.back() == '-' || !std::ranges::all_of(part, fits)) {
      return false;
    }
    if (dot == text.size()) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_dns_label(std::string_view text) {
  if (text.empty() || text.size() > label_max_bytes) return false;
  if (!is_lower_alphanumeric(text.front()) || !is_lower_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_lower_alphanumeric(c) || c == '-'; });
}

bool is_label_value(std::string_view text) {
  if (text.empty()) return true;
  if (text.size() > label_max_bytes) return false;
  if (!is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

std::optional<long long> parse_integer(std::string_view text) {
  long long value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

}  // namespace lambda::base
