#include "base/json.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// Strings are most of a text: their end is looked for in 16 bytes at a time.
#if defined(__SSE2__)
#define RAPIDJSON_SSE2
#endif
#include <rapidjson/reader.h>

#include "base/text.h"

namespace lambda::base {
namespace {

using nlohmann::json;

// Builds the value from what the parser meets, and ends the parse at once where that is not to be accepted: a
// hostile text is not worth reading to its end. The names are those that the parser demands of a handler.
class Builder {
 public:
  explicit Builder(std::size_t max_depth) : max_depth_(max_depth) {}

  json value;
  std::string problem;  // why the parse ended, where it was not for the syntax

  bool Null() { return add(nullptr); }
  bool Bool(bool found) { return add(found); }
  bool Int(std::int32_t found) { return add(found); }
  bool Uint(std::uint32_t found) { return add(found); }
  bool Int64(std::int64_t found) { return add(found); }
  bool Uint64(std::uint64_t found) { return add(found); }
  bool Double(double found) { return add(found); }
  bool RawNumber(const char* /*text*/, rapidjson::SizeType /*length*/, bool /*copy*/) {
    return false;
  }  // never
  bool String(const char* text, rapidjson::SizeType length, bool /*copy*/) {
    const std::string_view found(text, length);
    return check_utf8(found) && add(found);
  }

  bool StartObject() { return open(json::value_t::object); }
  bool StartArray() { return open(json::value_t::array); }
  bool EndObject(rapidjson::SizeType /*size*/) { return close(); }
  bool EndArray(rapidjson::SizeType /*size*/) { return close(); }

  bool Key(const char* text, rapidjson::SizeType length, bool /*copy*/) {
    const std::string_view name(text, length);
    if (!check_utf8(name)) return false;
    const auto [place, is_new] = open_.back()->get_ref<json::object_t&>().try_emplace(std::string(name));
    member_ = &place->second;
    if (!is_new) problem = "has the name " + quote(name) + " more than once";
    return is_new;
  }

 private:
  json& place() {
    if (open_.empty()) return value;
    return open_.back()->is_array() ? open_.back()->emplace_back() : *member_;
  }

  template <class T>
  bool add(T found) {
    place() = found;
    return true;
  }

  // The parser's own check would let the second half of a surrogate pass that stands alone, as \udc00.
  bool check_utf8(std::string_view text) {
    const bool valid = is_valid_utf8(text);
    if (!valid) problem = "is not JSON: a string is not valid UTF-8";
    return valid;
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

// The parser reads up to so many bytes at once, and a NUL is the end of the text for it.
constexpr std::size_t read_bytes = 16;

// One that may not stand in JSON, in a string or between two (RFC 8259, 2 and 7). The parser itself overlooks
// 0x1a to 0x1f where it reads many bytes at once.
bool is_forbidden(char c) {
  return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
}

// Without an early way out, so that it compiles to wide instructions.
bool holds_forbidden(std::string_view text) {
  bool found = false;
  for (const char c : text) found |= is_forbidden(c);
  return found;
}

std::string describe(const rapidjson::ParseResult& failure) {
  if (failure.Code() == rapidjson::kParseErrorNumberTooBig) {
    return "is not JSON that can be read here: a number is out of range";
  }
  return "is not JSON: syntax error at byte " + std::to_string(failure.Offset() + 1);
}

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
  if (text.starts_with("\xEF\xBB\xBF")) return fail(ErrorKind::invalid, "begins with a byte order mark");
  if (holds_forbidden(text)) {
    const auto place = std::ranges::find_if(text, is_forbidden) - text.begin();
    return fail(ErrorKind::invalid, "is not JSON: a control character at byte " + std::to_string(place + 1));
  }
  std::string in_place;
  in_place.reserve(text.size() + read_bytes);
  in_place.append(text).append(read_bytes, '\0');
  rapidjson::InsituStringStream stream(in_place.data());
  rapidjson::Reader reader;
  Builder builder(max_depth);
  constexpr unsigned flags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag;
  const rapidjson::ParseResult done = reader.Parse<flags>(stream, builder);
  if (done) return std::move(builder.value);
  return fail(ErrorKind::invalid, builder.problem.empty() ? describe(done) : std::move(builder.problem));
}

const json& at(const json& object, std::string_view name) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

const std::string& text_at(const nlohmann::json& value, const char* pointer) {
  static const std::string none;
  const nlohmann::json::json_pointer place(pointer);
  if (!value.contains(place)) return none;
  const nlohmann::json& found = value[place];
  return found.is_string() ? found.get_ref<const std::string&>() : none;
}

void append_json_string(std::string& out, std::string_view text) {
  if (!is_valid_utf8(text)) {
    out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
    return;
  }
  out += '"';
  while (true) {
    const auto plain_end = std::ranges::find_if(text, needs_escape);
    const auto plain_bytes = static_cast<std::size_t>(plain_end - text.begin());
    out += text.substr(0, plain_bytes);
    if (plain_end == text.end()) break;
    append_escaped(out, *plain_end);
    text.remove_prefix(plain_bytes + 1);
  }
  out += '"';
}

}  // namespace lambda::base
