#include "base/json.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::base {
namespace {

using nlohmann::json;

// Ends a parse at once: a hostile text is not worth reading to its end.
struct Refusal {
  std::string message;
};

// Watches a parse for what the parser itself lets pass.
class Watch {
 public:
  explicit Watch(std::size_t max_depth) : max_depth_(max_depth) {}

  void on_event(std::size_t depth, json::parse_event_t event, const json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
        names_.emplace_back();
        check_depth(depth);
        break;
      case json::parse_event_t::array_start:
        check_depth(depth);
        break;
      case json::parse_event_t::object_end:
        names_.pop_back();
        break;
      case json::parse_event_t::key:
        check_repeated(value.get_ref<const std::string&>());
        break;
      default:
        break;
    }
  }

 private:
  void check_depth(std::size_t depth) const {
    if (depth >= max_depth_) throw Refusal{"is nested deeper than " + std::to_string(max_depth_) + " levels"};
  }

  void check_repeated(const std::string& name) {
    if (!names_.back().insert(name).second) throw Refusal{"has the name " + quote(name) + " more than once"};
  }

  std::size_t max_depth_;
  std::vector<std::set<std::string>> names_;  // of the objects that are open
};

// Within a string, what can't stand for itself.
bool needs_escape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
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
  Watch watch(max_depth);
  try {
    return json::parse(text, [&watch](int depth, json::parse_event_t event, const json& part) {
      watch.on_event(static_cast<std::size_t>(depth), event, part);
      return true;
    });
  } catch (const Refusal& refusal) {
    return fail(ErrorKind::invalid, refusal.message);
  } catch (const json::parse_error& error) {
    return fail(ErrorKind::invalid, "is not JSON: syntax error at byte " + std::to_string(error.byte));
  } catch (const json::exception&) {
    return fail(ErrorKind::invalid, "is not JSON that can be read here: a number is out of range");
  }
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
