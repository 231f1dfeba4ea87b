#include "build/dead_letter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "cloudevents/amqp.h"

namespace lambda::build {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::string_view original_header = "x-lambda-original";
constexpr std::string_view reason_header = "x-lambda-reason";
constexpr std::string_view error_header = "x-lambda-error";
constexpr std::string_view stage_header = "x-lambda-stage";
constexpr std::string_view attempts_header = "x-lambda-attempts";
constexpr std::string_view first_time_header = "x-lambda-first-time";
constexpr std::string_view last_time_header = "x-lambda-last-time";
constexpr std::string_view raw_headers_header = "x-lambda-raw-headers";
constexpr std::string_view raw_headers_bytes_header = "x-lambda-raw-headers-bytes";

constexpr std::string_view original_event = "event";
constexpr std::string_view original_raw = "raw";

constexpr std::array all_stages{Stage::intake, Stage::create, Stage::build};

// The texts that are copied in and out without a closer look.
struct TextHeader {
  std::string_view name;
  std::string DeadLetter::* member;
  std::size_t max_bytes;
};
constexpr std::array<TextHeader, 5> text_headers{
    TextHeader{error_header, &DeadLetter::error, dead_letter_error_max_bytes},
    TextHeader{"x-lambda-field", &DeadLetter::field, dead_letter_text_max_bytes},
    TextHeader{"x-lambda-correlation-id", &DeadLetter::correlation_id, dead_letter_text_max_bytes},
    TextHeader{"x-lambda-job-name", &DeadLetter::job_name, dead_letter_text_max_bytes},
    TextHeader{"x-lambda-third-party-id", &DeadLetter::third_party_id, dead_letter_text_max_bytes}};

std::string bounded(std::string_view text, std::size_t max_bytes) {
  // What can't be shown anyway need not be looked through.
  return base::cut(base::to_valid_utf8(text.substr(0, max_bytes + 1)), max_bytes);
}

bool is_reason(std::string_view text) {
  constexpr std::array kinds{ErrorKind::invalid,   ErrorKind::too_large,   ErrorKind::unsupported,
                             ErrorKind::not_found, ErrorKind::conflict,    ErrorKind::unauthenticated,
                             ErrorKind::forbidden, ErrorKind::unavailable, ErrorKind::timeout,
                             ErrorKind::internal};
  return std::ranges::any_of(kinds, [text](ErrorKind kind) { return base::to_string(kind) == text; });
}

std::string_view header(const amqp::Message& message, std::string_view name) {
  const auto found = message.headers.find(name);
  return found == message.headers.end() ? std::string_view() : found->second;
}

void set_header(amqp::Message& message, std::string_view name, std::string value) {
  if (!value.empty()) message.headers.insert_or_assign(std::string(name), std::move(value));
}

tl::unexpected<base::Error> malformed(std::string_view header_name, std::string message) {
  return fail(ErrorKind::invalid, std::move(message), std::string(header_name));
}

// A fraction of a second may have any number of digits.
bool is_time(std::string_view text) {
  return text.size() <= dead_letter_text_max_bytes && base::is_rfc3339(text);
}

// -- What was no event
// ------------------------------------------------------------------------------------------

json json_text(const std::string& bytes) {
  if (base::is_valid_utf8(bytes)) return bytes;
  return json::object({{"base64", base::to_base64(bytes)}});
}

std::optional<std::string> text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() || value.size() != 1 || !value.contains("base64")) return std::nullopt;
  const json& coded = value["base64"];
  return coded.is_string() ? base::from_base64(coded.get_ref<const std::string&>()) : std::nullopt;
}

bool fits_property(const std::string& content_type) {
  return content_type.size() <= cloudevents::amqp_short_string_max_bytes && base::is_valid_utf8(content_type);
}

// The headers as JSON; empty if there is nothing to say.
std::string raw_headers(const Undecodable& original) {
  json object = json::object();
  for (const auto& [name, value] : original.headers) {
    object["headers"].push_back(json::array({json_text(name), json_text(value)}));
  }
  if (!fits_property(original.content_type)) object["content_type"] = json_text(original.content_type);
  return object.empty() ? std::string() : object.dump();
}

amqp::Message raw_message(const Undecodable& original) {
  amqp::Message message;
  if (fits_property(original.content_type)) message.content_type = original.content_type;
  std::string headers = raw_headers(original);
  if (headers.size() <= cloudevents::amqp_headers_max_bytes) {
    message.body = original.body;
    set_header(message, raw_headers_header, std::move(headers));
  } else {
    set_header(message, raw_headers_bytes_header, std::to_string(headers.size()));
    message.body = std::move(headers) + original.body;
  }
  set_header(message, original_header, std::string(original_raw));
  return message;
}

std::optional<std::pair<std::string, std::string>> header_of(const json& pair) {
  if (!pair.is_array() || pair.size() != 2) return std::nullopt;
  auto name = text_of(pair[0]);
  auto value = text_of(pair[1]);
  if (!name || !value) return std::nullopt;
  return std::pair(std::move(*name), std::move(*value));
}

// Whether the member, an array of pairs, went into the list.
bool read_headers(const json& object, std::vector<std::pair<std::string, std::string>>& headers) {
  const auto found = object.find("headers");
  if (found == object.end()) return true;
  if (!found->is_array()) return false;
  for (const json& pair : *found) {
    auto header = header_of(pair);
    if (!header) return false;
    headers.push_back(std::move(*header));
  }
  return true;
}

bool read_content_type(const json& object, std::string& content_type) {
  const auto found = object.find("content_type");
  if (found == object.end()) return true;
  auto text = text_of(*found);
  if (text) content_type = std::move(*text);
  return text.has_value();
}

// How many bytes at the front of the body are its headers' JSON.
Result<std::size_t> headers_in_body(const amqp::Message& message) {
  const std::string_view text = header(message, raw_headers_bytes_header);
  if (text.empty()) return std::size_t{0};
  const auto bytes = base::parse_integer(text);
  if (!bytes || *bytes < 0 || static_cast<unsigned long long>(*bytes) > message.body.size()) {
    return malformed(raw_headers_bytes_header, "is " + base::quote(text) + "; the body has " +
                                                   std::to_string(message.body.size()) + " bytes");
  }
  return static_cast<std::size_t>(*bytes);
}

Result<Undecodable> raw_original(const amqp::Message& message) {
  const auto in_body = headers_in_body(message);
  if (!in_body) return tl::unexpected(in_body.error());
  Undecodable original{{}, message.content_type, message.body.substr(*in_body)};
  const std::string_view headers = *in_body == 0 ? header(message, raw_headers_header)
                                                 : std::string_view(message.body).substr(0, *in_body);
  if (headers.empty()) return original;
  const auto object = base::parse_json(headers);
  if (!object || !object->is_object() || !read_headers(*object, original.headers) ||
      !read_content_type(*object, original.content_type)) {
    return malformed(raw_headers_header, R"(is not {"headers": [["name", "value"], …]})");
  }
  return original;
}

// -- The envelope
// -----------------------------------------------------------------------------------------------

amqp::Message message_of(const std::variant<cloudevents::Event, Undecodable>& original) {
  if (const auto* const raw = std::get_if<Undecodable>(&original)) return raw_message(*raw);
  amqp::Message message = cloudevents::encode_amqp(std::get<cloudevents::Event>(original));
  set_header(message, original_header, std::string(original_event));
  return message;
}

Result<void> read_original(const amqp::Message& message, DeadLetter& letter) {
  const std::string_view form = header(message, original_header);
  if (form == original_event) {
    auto event = cloudevents::decode_amqp(message);
    if (!event) return tl::unexpected(event.error());
    letter.original = std::move(*event);
    return {};
  }
  if (form == original_raw) {
    auto raw = raw_original(message);
    if (!raw) return tl::unexpected(raw.error());
    letter.original = std::move(*raw);
    return {};
  }
  return malformed(original_header, "is " + base::quote(form) + "; accepted: event, raw");
}

Result<void> read_reason(const amqp::Message& message, DeadLetter& letter) {
  letter.reason = header(message, reason_header);
  if (is_reason(letter.reason)) return {};
  return malformed(reason_header, "is " + base::quote(letter.reason) + "; accepted: invalid, too_large, …");
}

Result<void> read_stage(const amqp::Message& message, DeadLetter& letter) {
  const std::string_view text = header(message, stage_header);
  const auto found =
      std::ranges::find_if(all_stages, [text](Stage stage) { return to_string(stage) == text; });
  if (found == all_stages.end()) {
    return malformed(stage_header, "is " + base::quote(text) + "; accepted: intake, create, build");
  }
  letter.stage = *found;
  return {};
}

Result<void> read_attempts(const amqp::Message& message, DeadLetter& letter) {
  const std::string_view text = header(message, attempts_header);
  const auto number = base::parse_integer(text);
  if (!number || *number < 1 || *number > std::numeric_limits<unsigned>::max()) {
    return malformed(attempts_header, "is " + base::quote(text) + "; accepted: a number from 1");
  }
  letter.attempts = static_cast<unsigned>(*number);
  return {};
}

Result<void> read_time(const amqp::Message& message, std::string_view name, std::string& time) {
  time = header(message, name);
  if (time.empty() || is_time(time)) return {};
  return malformed(name, "is " + base::quote(time) + "; accepted: a time of RFC 3339");
}

Result<void> read_times(const amqp::Message& message, DeadLetter& letter) {
  if (auto first = read_time(message, first_time_header, letter.first_time); !first) return first;
  return read_time(message, last_time_header, letter.last_time);
}

}  // namespace

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::intake:
      return "intake";
    case Stage::create:
      return "create";
    case Stage::build:
      return "build";
  }
  return "intake";
}

amqp::Message to_message(const DeadLetter& letter) {
  amqp::Message message = message_of(letter.original);
  set_header(message, reason_header,
             is_reason(letter.reason) ? letter.reason : std::string(base::to_string(ErrorKind::internal)));
  set_header(message, stage_header, std::string(to_string(letter.stage)));
  set_header(message, attempts_header, std::to_string(std::max(letter.attempts, 1U)));
  if (is_time(letter.first_time)) set_header(message, first_time_header, letter.first_time);
  if (is_time(letter.last_time)) set_header(message, last_time_header, letter.last_time);
  for (const TextHeader& text : text_headers) {
    set_header(message, text.name, bounded(letter.*text.member, text.max_bytes));
  }
  return message;
}

Result<DeadLetter> from_message(const amqp::Message& message) {
  if (!message.headers.contains(original_header)) {
    return fail(ErrorKind::unsupported, "is not there: the message has no envelope",
                std::string(original_header));
  }
  DeadLetter letter;
  for (const auto read : {&read_reason, &read_stage, &read_attempts, &read_times, &read_original}) {
    if (auto done = read(message, letter); !done) return tl::unexpected(done.error());
  }
  for (const TextHeader& text : text_headers) {
    letter.*text.member = bounded(header(message, text.name), text.max_bytes);
  }
  return letter;
}

}  // namespace lambda::build
