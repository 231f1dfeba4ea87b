#include "cloudevents/json.h"

#include <optional>

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
// ---------------------------------------------------------------------------------------

// JSON data is handed on as the text that was sent: numbers keep their digits, and whoever reads it later
// reads what the sender wrote. The parser does not say where a value lay, so it is looked up in the text,
// which is known to be a JSON object (or, for batches, an array) by then.

// Behind the string whose opening quote is at `i`. A quote with an odd number of backslashes before it is
// part of it.
std::size_t end_of_string(std::string_view text, std::size_t i) {
  for (;;) {
    i = text.find('"', i + 1);
    std::size_t backslashes_begin = i;
    while (text[backslashes_begin - 1] == '\\') --backslashes_begin;
    if ((i - backslashes_begin) % 2 == 0) return i + 1;
  }
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

// Whether the JSON string, which may be written with escapes, says so.
bool is_name(std::string_view quoted, std::string_view name) {
  if (quoted.find('\\') != std::string_view::npos) return json::parse(quoted) == name;
  return quoted.substr(1, quoted.size() - 2) == name;
}

// What the object's member has for a value, perhaps with white space around it.
std::string_view text_of_member(std::string_view object, std::string_view name) {
  std::size_t i = object.find('{') + 1;
  for (;;) {
    i = object.find_first_of("\"}", i);
    if (object[i] == '}') return {};
    const std::size_t name_end = end_of_string(object, i);
    const bool found = is_name(object.substr(i, name_end - i), name);
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

// Takes it out of the value.
Result<std::string> attribute_text(const std::string& name, json& value) {
  if (value.is_string()) return std::move(value.get_ref<std::string&>());
  if (!is_of_specification(name) && (value.is_number_integer() || value.is_boolean())) return value.dump();
  return fail(ErrorKind::invalid,
              std::string("is of type ") + value.type_name() + "; accepted: string" +
                  (is_of_specification(name) ? "" : ", integer or boolean"),
              name);
}

Result<void> set_attributes(Draft& draft, json& object) {
  for (auto& [name, value] : object.get_ref<json::object_t&>()) {
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

Result<void> set_data(Draft& draft, json& object, std::string_view text) {
  const auto data = object.find(data_name);
  const auto bytes = object.find(data_base64_name);
  const bool has_data = data != object.end();
  if (bytes != object.end() && !bytes->is_null()) {
    if (has_data && !data->is_null()) return fail(ErrorKind::invalid, "is there beside data", "data_base64");
    return decode_base64(*bytes).map([&draft](std::string decoded) { draft.set_data(std::move(decoded)); });
  }
  if (!has_data) return {};
  if (!declares_json(draft.event())) {
    return decode_text(draft.event(), *data).map([&draft](std::string decoded) {
      draft.set_data(std::move(decoded));
    });
  }
  draft.set_data(std::string(text_of_member(text, data_name)), std::move(*data));
  return {};
}

// -- Batches
// ----------------------------------------------------------------------------------------------------

constexpr std::string_view json_white_space = " \t\r\n";

// Whether the text as a whole is an array, whatever its elements say: those are read one by one later.
Result<void> check_array(std::string_view text) {
  const auto begin = text.find_first_not_of(json_white_space);
  // The parser takes a NUL for the end of the text.
  if (text.find('\0') == std::string_view::npos && json::accept(text)) {
    if (text[begin] == '[') return {};  // else it is another value, or behind a byte order mark
    return fail(ErrorKind::invalid, "the batch is no JSON array");
  }
  auto parsed = base::parse_json(text);
  return fail(ErrorKind::invalid,
              "the batch " + (parsed ? "is not JSON that can be read here" : parsed.error().message));
}

// The texts of the elements of what is known to be an array; none if there are more than `max`.
std::optional<std::vector<std::string_view>> elements(std::string_view array, std::size_t max) {
  std::vector<std::string_view> out;
  std::size_t i = array.find('[') + 1;
  if (array[array.find_first_not_of(json_white_space, i)] == ']') return out;
  for (;; ++i) {
    if (out.size() == max) return std::nullopt;
    const std::size_t end = end_of_value(array, i);
    out.push_back(array.substr(i, end - i));
    if (array[end] == ']') return out;
    i = end;
  }
}

// Without the value of its data: the values of all would be there at once.
Result<Event> decode_element(std::string_view text, std::size_t place) {
  Result<Event> event = decode_json(text);
  if (event) event->read_data = {};
  return std::move(event).map_error([place](base::Error error) {
    error.field = "[" + std::to_string(place) + "]" + (error.field.empty() ? "" : "." + error.field);
    return error;
  });
}

// -- Encoding
// ---------------------------------------------------------------------------------------------------

// The member with its name, or nothing where there is no data.
std::string data_member(const Event& event) {
  if (event.data.empty()) return {};
  if (declares_json(event)) {
    // One level is taken by the event around it.
    if (base::parse_json(event.data, base::json_max_depth - 1)) return "\"data\":" + event.data;
  } else if (base::is_valid_utf8(event.data)) {
    std::string out = "\"data\":";
    base::append_json_string(out, event.data);
    return out;
  }
  return "\"data_base64\":\"" + base::to_base64(event.data) + '"';
}

// `data` is the member that holds the data, or empty.
std::string encode(const Event& event, const std::string& data) {
  constexpr std::size_t usual_attributes_bytes = 512;
  std::string out;
  out.reserve(usual_attributes_bytes + data.size());
  out += R"({"specversion":"1.0")";
  const auto add = [&out](std::string_view name, const std::string& value) {
    out.append(",\"").append(name).append("\":");
    base::append_json_string(out, value);
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
  if (!data.empty()) out.append(",").append(data);
  return out + '}';
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
  if (auto set = set_data(draft, *object, text); !set) return tl::unexpected(set.error());
  return std::move(draft).finish();
}

Result<std::vector<Result<Event>>> decode_json_batch(std::string_view text, std::size_t max_events) {
  if (auto checked = check_array(text); !checked) return tl::unexpected(checked.error());
  const auto texts = elements(text, max_events);
  if (!texts) {
    return fail(ErrorKind::too_large, "the batch has more events than the " + std::to_string(max_events) +
                                          " that are accepted at once");
  }
  std::vector<Result<Event>> events;
  events.reserve(texts->size());
  for (const std::string_view element : *texts) events.push_back(decode_element(element, events.size()));
  return events;
}

std::string encode_json(const Event& event) {
  return encode(event, data_member(event));
}

std::string encode_with_json_data(const Event& event) {
  return encode(event, "\"data\":" + event.data);
}

}  // namespace lambda::cloudevents
