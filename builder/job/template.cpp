#include "job/template.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lambda::job {
namespace {

// A gap is a binary value: no JSON text has one, so none can come in with the configuration.
using json = nlohmann::ordered_json;

constexpr std::uint64_t value_subtype = 0;
constexpr std::uint64_t rest_subtype = 1;

bool is_rest(const json& value) {
  return value.is_binary() && value.get_binary().subtype() == rest_subtype;
}

}  // namespace

json value_gap(Gap gap) {
  return json::binary({static_cast<std::uint8_t>(gap)}, value_subtype);
}

json rest_gap(Gap gap) {
  return json::binary({static_cast<std::uint8_t>(gap)}, rest_subtype);
}

Template::Template(const json& value) {
  append(value);
}

std::string& Template::text() {
  if (pieces_.empty() || pieces_.back().gap != Gap::none) pieces_.emplace_back();
  return pieces_.back().text;
}

void Template::append(const json& value) {
  if (value.is_binary()) {
    text();  // a piece without a gap, if need be an empty one
    pieces_.back().gap = static_cast<Gap>(value.get_binary().at(0));
  } else if (value.is_object()) {
    append_object(value);
  } else if (value.is_array()) {
    append_array(value);
  } else {
    text() += value.dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

void Template::append_object(const json& object) {
  std::string_view separator;
  text() += '{';
  for (const auto& [key, value] : object.items()) {
    if (!is_rest(value)) {
      text() += separator;
      base::append_json_string(text(), key);
      text() += ':';
      separator = ",";
    }
    append(value);
  }
  text() += '}';
}

void Template::append_array(const json& array) {
  std::string_view separator;
  text() += '[';
  for (const json& value : array) {
    if (!is_rest(value)) {
      text() += separator;
      separator = ",";
    }
    append(value);
  }
  text() += ']';
}

}  // namespace lambda::job
