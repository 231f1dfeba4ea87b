#include "job/json_template.h"

#include <nlohmann/json.hpp>

namespace lambda::job {

using json = nlohmann::ordered_json;

JsonTemplate::JsonTemplate(const json& value) {
  append(value);
}

std::string& JsonTemplate::text() {
  if (pieces_.empty() || pieces_.back().gap != Gap::none) pieces_.emplace_back();
  return pieces_.back().text;
}

void JsonTemplate::append(const json& value) {
  if (const Gap gap = gap_in(value); gap != Gap::none) {
    text();  // a piece without a gap, if need be an empty one
    pieces_.back().gap = gap;
  } else if (value.is_object()) {
    append_object(value);
  } else if (value.is_array()) {
    append_array(value);
  } else {
    text() += value.dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

void JsonTemplate::append_object(const json& object) {
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

void JsonTemplate::append_array(const json& array) {
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
