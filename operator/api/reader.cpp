#include "api/reader.h"

#include "api/iso_duration.h"
#include "base/text.h"

namespace lambda::api {
namespace {

using base::milliseconds;
using nlohmann::json;

const json& nothing() {
  static const json value;
  return value;
}

std::string range(std::int64_t least, std::int64_t most) {
  return std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace

Reader::Reader(const json& value, std::string path, std::vector<base::Error>& problems)
    : value_(&value), path_(std::move(path)), problems_(&problems) {}

std::string Reader::quoted(std::string_view text) {
  return base::quote(text);
}

std::string Reader::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

void Reader::refuse(std::string_view name, std::string message) const {
  problems_->push_back(
      base::Error{base::ErrorKind::invalid, std::move(message), path_of(name), std::nullopt});
}

void Reader::refuse_type(std::string_view name, const json& found, std::string_view accepted) const {
  refuse(name, std::string("is ") +
                   (found.is_array() ? "a list" : "of type " + std::string(found.type_name())) +
                   "; accepted: " + std::string(accepted));
}

const json* Reader::find(std::string_view name) const {
  if (!value_->is_object()) return nullptr;
  const auto found = value_->find(std::string(name));
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

std::vector<std::string> Reader::names() const {
  std::vector<std::string> names;
  if (value_->is_object()) {
    for (const auto& [name, value] : value_->items()) names.push_back(name);
  }
  return names;
}

Reader Reader::object(std::string_view name) const {
  const json* found = find(name);
  if (found != nullptr && !found->is_object()) {
    refuse_type(name, *found, "an object");
    found = nullptr;
  }
  return {found == nullptr ? nothing() : *found, path_of(name), *problems_};
}

std::string Reader::text(std::string_view name, std::string fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (found->is_string()) return found->get<std::string>();
  refuse_type(name, *found, "a string");
  return fallback;
}

bool Reader::boolean(std::string_view name, bool fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (found->is_boolean()) return found->get<bool>();
  refuse_type(name, *found, "true or false");
  return fallback;
}

std::int64_t Reader::integer(std::string_view name, std::int64_t fallback, std::int64_t least,
                             std::int64_t most) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_number_integer()) {
    refuse_type(name, *found, "an integer, " + range(least, most));
    return fallback;
  }
  // What does not fit is an unsigned one above all that is accepted.
  const bool fits = !found->is_number_unsigned() || found->get<std::uint64_t>() <= INT64_MAX;
  const std::int64_t value = fits ? found->get<std::int64_t>() : INT64_MAX;
  if (value >= least && value <= most) return value;
  refuse(name, found->dump() + " is out of range; accepted: " + range(least, most));
  return fallback;
}

std::optional<std::int64_t> Reader::bound(std::string_view name, std::optional<std::int64_t> fallback,
                                          std::int64_t most) const {
  const std::int64_t value = integer(name, fallback.value_or(0), 0, most);
  return value == 0 ? std::nullopt : std::optional(value);
}

std::vector<std::string> Reader::texts(std::string_view name, std::vector<std::string> fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_array()) {
    refuse_type(name, *found, "a list of strings");
    return fallback;
  }
  std::vector<std::string> values;
  for (const json& value : *found) {
    if (!value.is_string()) {
      refuse_type(name, value, "a list of strings");
      return fallback;
    }
    values.push_back(value.get<std::string>());
  }
  return values;
}

milliseconds Reader::duration(std::string_view name, milliseconds fallback, milliseconds least,
                              milliseconds most) const {
  const std::string found = text(name);
  if (found.empty()) return fallback;
  const auto value = base::parse_duration(found);
  if (!value) {
    refuse(name, value.error().message);
    return fallback;
  }
  if (*value >= least && *value <= most) return *value;
  refuse(name, found + " is out of range; accepted: " + base::format_duration(least) + " to " +
                   base::format_duration(most));
  return fallback;
}

std::optional<milliseconds> Reader::bound(std::string_view name, std::optional<milliseconds> fallback,
                                          milliseconds most) const {
  const milliseconds value = duration(name, fallback.value_or(milliseconds(0)), milliseconds(0), most);
  return value.count() == 0 ? std::nullopt : std::optional(value);
}

milliseconds Reader::iso_duration(std::string_view name, milliseconds fallback, milliseconds most) const {
  const std::string found = text(name);
  if (found.empty()) return fallback;
  const auto value = parse_iso_duration(found);
  if (value && *value <= most) return *value;
  refuse(name, quoted(found) +
                   " is no duration that is accepted; accepted: ISO 8601 as PT0.5S or PT30S, up to " +
                   format_iso_duration(most));
  return fallback;
}

std::string Reader::time(std::string_view name) const {
  std::string found = text(name);
  if (found.empty() || base::is_rfc3339(found)) return found;
  refuse(name, quoted(found) + " is no time; accepted: RFC 3339, as 2026-01-31T08:00:00Z");
  return {};
}

}  // namespace lambda::api
