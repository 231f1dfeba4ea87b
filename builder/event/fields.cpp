#include "event/fields.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::event {

using base::ErrorKind;
using nlohmann::json;

std::string Fields::path_of(std::string_view name) const {
  return path_ + "." + std::string(name);
}

void Fields::refuse(ErrorKind kind, std::string message, std::string_view name) {
  if (!error_) error_ = base::Error{kind, std::move(message), path_of(name)};
}

void Fields::refuse_type(const json& found, std::string_view accepted, std::string_view name) {
  refuse(ErrorKind::invalid,
         std::string("is of type ") + found.type_name() + "; accepted: " + std::string(accepted), name);
}

const json* Fields::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::required_text(std::string_view name, std::size_t max_bytes) {
  std::string text = optional_text(name, max_bytes);
  if (text.empty()) refuse(ErrorKind::invalid, "is required", name);
  return text;
}

std::string Fields::optional_text(std::string_view name, std::size_t max_bytes) {
  const json* const found = find(name);
  if (found == nullptr) return {};
  if (!found->is_string()) {
    refuse_type(*found, "string", name);
    return {};
  }
  auto text = found->get<std::string>();
  if (text.size() > max_bytes) {
    refuse(ErrorKind::invalid,
           "has " + std::to_string(text.size()) + " bytes; accepted: at most " + std::to_string(max_bytes),
           name);
  }
  if (base::has_control_character(text)) {
    refuse(ErrorKind::invalid, "is " + base::quote(text) + "; accepted: text without control characters",
           name);
  }
  return text;
}

std::optional<long long> Fields::optional_integer(std::string_view name, long long least, long long most) {
  const json* const found = find(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_number_integer()) {
    refuse_type(*found, "integer", name);
    return std::nullopt;
  }
  // The text has no overflow, whatever the sign and size.
  const auto number = base::parse_integer(found->dump());
  if (!number || *number < least || *number > most) {
    refuse(ErrorKind::invalid,
           "is " + found->dump() + "; accepted: " + std::to_string(least) + " to " + std::to_string(most),
           name);
  }
  return number;
}

const json& Fields::required_object(std::string_view name) {
  if (find(name) == nullptr) refuse(ErrorKind::invalid, "is required", name);
  return optional_object(name);
}

const json& Fields::optional_object(std::string_view name) {
  static const json empty = json::object();
  const json* const found = find(name);
  if (found == nullptr) return empty;
  if (found->is_object()) return *found;
  refuse_type(*found, "object", name);
  return empty;
}

}  // namespace lambda::event
