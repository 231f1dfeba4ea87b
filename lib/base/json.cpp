#include "base/json.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::base {
namespace {

using nlohmann::json;

// Builds the value from what the parser meets, and ends the parse at once where that is not to be accepted: a
// hostile text is not worth reading to its end. The names are those that the parser's SAX interface demands.
class Reader {
 public:
  explicit Reader(std::size_t max_depth) : max_depth_(max_depth) {}

  json value;
  std::string problem;  // why the parse ended

  bool null() { return add(nullptr); }
  bool boolean(bool found) { return add(found); }
  bool number_integer(json::number_integer_t found) { return add(found); }
  bool number_unsigned(json::number_unsigned_t found) { return add(found); }
  bool number_float(json::number_float_t found, const std::string& /*text*/) { return add(found); }
  bool string(std::string& found) { return add(found); }    // copied: the parser fills it again
  bool binary(json::binary_t& /*found*/) { return false; }  // never: JSON has none

  bool start_object(std::size_t /*size*/) { return open(json::value_t::object); }
  bool start_array(std::size_t /*size*/) { return open(json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [place, is_new] = open_.back()->get_ref<json::object_t&>().try_emplace(name);
    member_ = &place->second;
    if (!is_new) problem = "has the name " + quote(name) + " more than once";
    return is_new;
  }

  bool parse_error(std::size_t byte, const std::string& /*token*/, const json::exception& error) {
    problem = dynamic_cast<const json::parse_error*>(&error) != nullptr
                  ? "is not JSON: syntax error at byte " + std::to_string(byte)
                  : "is not JSON that can be read here: a number is out of range";
    return false;
  }

 private:
  json& place() {
    if (open_.empty()) return value;
    return open_.back()->is_array() ? open_.back()->emplace_back() : *member_;
  }

  template <class T>
  bool add(T&& found) {
    place() = std::forward<T>(found);
    return true;
  }

  bool open(json::value_t type) {
    if (open_.size() >= max_depth_) {
      problem = "is nested deeper than " + std::to_string(max_depth_) + " levels";
      return false;
    }
    json& opened = place();
    opened = type;
    open_.push_back(&opened);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::size_t max_depth_;
  std::vector<json*> open_;  // the arrays and objects around what comes next
  json* member_ = nullptr;   // where the value of the name that came last belongs
};

// Within a string, what can't stand for itself. A table, as strings are most of what is written.
constexpr auto needs_escape_table = [] {
  std::array<bool, 256> table{};
  std::fill_n(table.begin(), 0x20, true);
  table['"'] = table['\\'] = true;
  return table;
}();

bool needs_escape(char c) {
  return needs_escape_table[static_cast<unsigned char>(c)];
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    case '"':
    case '\\':
      out += '\\';
      out += c;
      break;
    default:
      out += "\\u00";
      out += hex[static_cast<unsigned char>(c) >> 4U];
      out += hex[static_cast<unsigned char>(c) & 0x0FU];
  }
}

}  // namespace

Result<json> parse_json(std::string_view text, std::size_t max_depth) {
  // The parser would skip the mark, and take a NUL for the end of the text.
  if (text.starts_with("\xEF\xBB\xBF")) return fail(ErrorKind::invalid, "begins with a byte order mark");
  if (text.find('\0') != std::string_view::npos)
    return fail(ErrorKind::invalid, "is not JSON: it holds a NUL");
  Reader reader(max_depth);
  if (!json::sax_parse(text, &reader)) return fail(ErrorKind::invalid, std::move(reader.problem));
  return std::move(reader.value);
}

void append_json_string(std::string& out, std::string_view text) {
  if (!is_valid_utf8(text)) {
    out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
    return;
  }
  out += '"';
  for (auto rest = text.begin(); rest != text.end();) {
    const auto plain_end = std::find_if(rest, text.end(), needs_escape);
    out.append(rest, plain_end);
    rest = plain_end;
    if (rest != text.end()) append_escaped(out, *rest++);
  }
  out += '"';
}

}  // namespace lambda::base
