#include "cloudevents/json.h"

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "cloudevents/draft.h"

namespace lambda::cloudevents {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::string_view data_name = "data";
constexpr std::string_view data_base64_name = "data_base64";

// -- The text of a member
// --------------------------------------------------------------------------------------- JSON data is handed
// on as the text that was sent: numbers keep their digits, and whoever reads it later reads what the sender
// wrote. The parser does not say where a value lay, so it is looked up in the text, which is known to be a
// JSON object by then.

// Behind the string whose opening quote is at `i`.
std::size_t end_of_string(std::string_view text, std::size_t i) {
  for (++i; text[i] != '"'; ++i) {
    if (text[i] == '\\') ++i;
  }
  return i + 1;
}

// At the comma or bracket that ends the value that begins at `i`.
std::size_t end_of_value(std::string_view text, std::size_t i) {
  for (std::size_t depth = 0;;) {
    switch (text[i]) {
      case '"':
        i = end_of_string(text, i);
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (depth == 0) return i;
        --depth;
        break;
      case ',':
        if (depth == 0) return i;
        break;
      default:
        break;
    }
    ++i;
  }
}

// What the object's member has for a value, perhaps with white space around it.
std::string_view text_of_member(std::string_view object, std::string_view name) {
  std::size_t i = object.find('{') + 1;
  for (;;) {
    i = object.find_first_of("\"}", i);
    if (object[i] == '}') return {};
    const std::size_t name_end = end_of_string(object, i);
    const bool found =
        json::parse(object.substr(i, name_end - i)) == name;  // a name may be written with escapes
    const std::size_t begin = object.find(':', name_end) + 1;
    const std::size_t end = end_of_value(object, begin);
    if (found) return object.substr(begin, end - begin);
    i = end;
  }
}

// -- Decoding
// ---------------------------------------------------------------------------------------------------

bool is_of_specification(std::string_view name) {
  for (const std::string_view known :
       {"id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema"}) {
    if (name == known) return true;
  }
  return false;
}

Result<std::string> attribute_text(const std::string& name, const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!is_of_specification(name) && (value.is_number_integer() || value.is_boolean())) return value.dump();
  return fail(ErrorKind::invalid,
              std::string("is of type ") + value.type_name() + "; accepted: string" +
                  (is_of_specification(name) ? "" : ", integer or boolean"),
              name);
}

Result<void> set_attributes(Draft& draft, const json& object) {
  for (const auto& [name, value] : object.items()) {
    if (name == data_name || name == data_base64_name || value.is_null()) continue;
    auto text = attribute_text(name, value);
    if (!text) return tl::unexpected(text.error());
    if (auto set = draft.set(name, std::move(*text)); !set) return set;
  }
  return {};
}

Result<std::string> decode_base64(const json& value) {
  auto bytes = value.is_string() ? base::from_base64(value.get_ref<const std::string&>()) : std::nullopt;
  if (!bytes) return fail(ErrorKind::invalid, "is not a string of base64 with its padding", "data_base64");
  return std::move(*bytes);
}

// The specification: data that is not declared as JSON is a string, whose content is the data.
Result<std::string> decode_text(const Event& event, const json& value) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  return fail(ErrorKind::invalid,
              std::string("is of type ") + value.type_name() + "; accepted with datacontenttype " +
                  base::quote(event.datacontenttype) + ": string",
              "data");
}

Result<std::string> decode_data(const Event& event, const json& object, std::string_view text) {
  const auto data = object.find(data_name);
  const auto bytes = object.find(data_base64_name);
  const bool has_data = data != object.end();
  if (bytes != object.end() && !bytes->is_null()) {
    if (has_data && !data->is_null()) return fail(ErrorKind::invalid, "is there beside data", "data_base64");
    return decode_base64(*bytes);
  }
  if (!has_data) return std::string();
  if (declares_json(event)) return std::string(text_of_member(text, data_name));
  return decode_text(event, *data);
}

// -- Encoding
// ---------------------------------------------------------------------------------------------------

std::string json_string(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

// The member with its name, or nothing where there is no data.
std::string data_member(const Event& event) {
  if (event.data.empty()) return {};
  if (declares_json(event)) {
    // One level is taken by the event around it.
    if (base::parse_json(event.data, base::json_max_depth - 1)) return "\"data\":" + event.data;
  } else if (base::is_valid_utf8(event.data)) {
    return "\"data\":" + json_string(event.data);
  }
  return "\"data_base64\":\"" + base::to_base64(event.data) + '"';
}

}  // namespace

Result<Event> decode_json(std::string_view text) {
  auto object = base::parse_json(text);
  if (!object) return fail(ErrorKind::invalid, "the event " + object.error().message);
  if (!object->is_object()) {
    return fail(ErrorKind::invalid,
                std::string("the event is of type ") + object->type_name() + "; accepted: object");
  }
  Draft draft;
  if (auto set = set_attributes(draft, *object); !set) return tl::unexpected(set.error());
  auto data = decode_data(draft.event(), *object, text);
  if (!data) return tl::unexpected(data.error());
  draft.set_data(std::move(*data));
  return std::move(draft).finish();
}

std::string encode_json(const Event& event) {
  std::string out = "{\"specversion\":\"1.0\"";
  const auto add = [&out](std::string_view name, const std::string& value) {
    out.append(",\"").append(name).append("\":").append(json_string(value));
  };
  const auto add_known = [&add](std::string_view name, const std::string& value) {
    if (!value.empty()) add(name, value);
  };
  add_known("id", event.id);
  add_known("source", event.source);
  add_known("type", event.type);
  add_known("subject", event.subject);
  add_known("time", event.time);
  add_known("datacontenttype", event.datacontenttype);
  add_known("dataschema", event.dataschema);
  for (const auto& [name, value] : event.extensions) add(name, value);
  if (const std::string data = data_member(event); !data.empty()) out += "," + data;
  return out + '}';
}

}  // namespace lambda::cloudevents
