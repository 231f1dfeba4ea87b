#include "cloudevents/draft.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/time.h"

namespace lambda::cloudevents {
namespace {

using base::ErrorKind;
using base::fail;
using base::quote;
using base::Result;

// What the broker's ingress writes for an event without a time: Go's zero time.
constexpr std::string_view zero_time = "0001-01-01T00:00:00Z";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Only characters that are letters, digits or among `others`; at least one.
bool consists_of_alphanumerics_and(std::string_view others, std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [others](char c) {
    return is_letter(c) || is_digit(c) || others.find(c) != std::string_view::npos;
  });
}

// The specification also excludes U+0080 to U+009F, which are C2 80 to C2 9F.
bool has_any_control_character(std::string_view text) {
  if (base::has_control_character(text)) return true;
  for (auto i = text.find('\xC2'); i != std::string_view::npos; i = text.find('\xC2', i + 1)) {
    if (i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

// RFC 3986: a scheme, a colon and more; the rest is the business of whoever reads the schema.
bool is_absolute_uri(std::string_view text) {
  const std::string_view scheme = text.substr(0, text.find(':'));
  return consists_of_alphanumerics_and("+-.", scheme) && is_letter(scheme.front()) &&
         scheme.size() + 1 < text.size() && text.find(' ') == std::string_view::npos;
}

// RFC 2045: token "/" token, and perhaps parameters, which are not looked at.
bool is_media_type(std::string_view text) {
  constexpr std::string_view token_others = "!#$%&'*+-.^_`|~";
  const std::string_view essence = base::trim(text.substr(0, text.find(';')));
  const auto slash = essence.find('/');
  return slash != std::string_view::npos &&
         consists_of_alphanumerics_and(token_others, essence.substr(0, slash)) &&
         consists_of_alphanumerics_and(token_others, essence.substr(slash + 1));
}

bool has_form(std::string_view name, std::string_view value) {
  if (name == "specversion") return value == "1.0";
  if (name == "time") return base::is_rfc3339(value);
  if (name == "dataschema") return is_absolute_uri(value);
  if (name == "datacontenttype") return is_media_type(value);
  return true;
}

std::string_view accepted_form(std::string_view name) {
  if (name == "specversion") return "\"1.0\"";
  if (name == "time") return "a time of RFC 3339, as 2024-01-01T00:00:00Z";
  if (name == "dataschema") return "an absolute URI";
  return "a media type, as application/json";
}

// The member that holds an attribute of the specification; none for an extension.
std::string* member(Event& event, std::string_view name) {
  if (name == "id") return &event.id;
  if (name == "source") return &event.source;
  if (name == "type") return &event.type;
  if (name == "subject") return &event.subject;
  if (name == "time") return &event.time;
  if (name == "datacontenttype") return &event.datacontenttype;
  if (name == "dataschema") return &event.dataschema;
  return nullptr;
}

Result<void> check_name(std::string_view name) {
  if (!consists_of_alphanumerics_and("", name) || base::to_lower(name) != name) {
    return fail(ErrorKind::invalid,
                "attribute name " + quote(name) + ": accepted are the characters a-z and 0-9");
  }
  if (name == "data") return fail(ErrorKind::invalid, "is no name for an attribute", "data");
  return {};
}

Result<void> check_text(std::string_view name, std::string_view value) {
  if (!base::is_valid_utf8(value)) return fail(ErrorKind::invalid, "is not valid UTF-8", std::string(name));
  if (has_any_control_character(value)) {
    return fail(ErrorKind::invalid, quote(value) + " has a control character", std::string(name));
  }
  return {};
}

// For the attributes of the specification only: an extension's value may be empty, long and of any form.
Result<void> check_known(std::string_view name, std::string_view value) {
  if (value.empty()) return fail(ErrorKind::invalid, "is empty", std::string(name));
  if (value.size() > attribute_max_bytes) {
    return fail(
        ErrorKind::invalid,
        "has " + std::to_string(value.size()) + " bytes; accepted: " + std::to_string(attribute_max_bytes),
        std::string(name));
  }
  if (!has_form(name, value)) {
    return fail(ErrorKind::invalid, "is " + quote(value) + "; accepted: " + std::string(accepted_form(name)),
                std::string(name));
  }
  return {};
}

}  // namespace

Result<void> Draft::set(std::string_view name, std::string value) {
  if (auto checked = check_name(name); !checked) return checked;
  if (auto checked = check_text(name, value); !checked) return checked;
  if (!names_.emplace(name).second) {
    return fail(ErrorKind::invalid, "is there more than once", std::string(name));
  }
  if (name == "specversion") return check_known(name, value);
  if (std::string* const known = member(event_, name)) {
    if (auto checked = check_known(name, value); !checked) return checked;
    if (name != "time" || value != zero_time) *known = std::move(value);
    return {};
  }
  if (event_.extensions.size() == extensions_max) {
    return fail(ErrorKind::invalid, "is one extension too many; accepted: " + std::to_string(extensions_max),
                std::string(name));
  }
  event_.extensions.emplace(name, std::move(value));
  return {};
}

void Draft::set_data(std::string text, nlohmann::json value) {
  event_.data = std::move(text);
  event_.read_data.value = std::make_shared<const nlohmann::json>(std::move(value));
}

Result<Event> Draft::finish() && {
  for (const std::string_view required : {"specversion", "id", "source", "type"}) {
    if (!names_.contains(required)) return fail(ErrorKind::invalid, "is required", std::string(required));
  }
  if (declares_json(event_)) {
    // JSON's own white space around the value means nothing, and some transports can't carry it.
    constexpr std::string_view white_space = " \t\r\n";
    event_.data.erase(event_.data.find_last_not_of(white_space) + 1);
    event_.data.erase(0, event_.data.find_first_not_of(white_space));
  }
  return std::move(event_);
}

}  // namespace lambda::cloudevents
