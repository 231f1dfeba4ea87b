#include "topology/shown.h"

#include <algorithm>

#include "base/text.h"

namespace lambda::topology {
namespace {

constexpr std::size_t name_max_bytes = 1024;
constexpr std::size_t value_max_bytes = 256;
constexpr char first_printable = ' ';
constexpr char delete_character = '\x7f';

bool is_control(char character) {
  return (character >= 0 && character < first_printable) || character == delete_character;
}

}  // namespace

std::string in_quotes(std::string_view name) {
  std::string text = base::cut(base::to_valid_utf8(name), name_max_bytes);
  std::ranges::replace_if(text, is_control, '?');
  return '"' + text + '"';
}

std::string shown(const nlohmann::json& value) {
  return base::cut(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), value_max_bytes);
}

}  // namespace lambda::topology
