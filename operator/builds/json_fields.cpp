#include "builds/json_fields.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lambda::builds {

std::string text_of(const nlohmann::json& object, std::string_view name) {
  const nlohmann::json& value = base::at(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<base::CalendarTime> time_of(const nlohmann::json& object, std::string_view name) {
  return base::parse_rfc3339(text_of(object, name));
}

}  // namespace lambda::builds
