#include "cloudevents/amqp.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/text.h"
#include "cloudevents/draft.h"
#include "cloudevents/json.h"
#include "cloudevents/mode.h"

namespace lambda::cloudevents {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr std::string_view written_prefix = "ce-";
// Knative's source takes the data's content type from here and not from the property.
constexpr std::string_view content_type_header = "content-type";
constexpr std::string_view structured_json = "application/cloudevents+json";

// -- Decoding
// ---------------------------------------------------------------------------------------------------

enum class Spelling { binding, ce, bare, none };

// The attribute's name as the header spells it, without the prefix; none if the header is no attribute.
std::optional<std::string_view> name_after(std::string_view header, std::string_view prefix) {
  if (!base::starts_with_ignoring_case(header, prefix)) return std::nullopt;
  return header.substr(prefix.size());
}

bool could_be_attribute(std::string_view header) {
  return !header.empty() && std::ranges::all_of(header, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

std::optional<std::string_view> attribute_name(std::string_view header, Spelling spelling) {
  switch (spelling) {
    case Spelling::binding: {
      const auto with_colon = name_after(header, "cloudEvents:");
      return with_colon ? with_colon : name_after(header, "cloudEvents_");
    }
    case Spelling::ce:
      return name_after(header, written_prefix);
    case Spelling::bare:
      return could_be_attribute(header) ? std::optional(header) : std::nullopt;
    case Spelling::none:
      break;
  }
  return std::nullopt;
}

Spelling spelling_of(const amqp::Message& message) {
  for (const Spelling spelling : {Spelling::binding, Spelling::ce}) {
    const bool occurs = std::ranges::any_of(message.headers, [spelling](const auto& header) {
      return attribute_name(header.first, spelling).has_value();
    });
    if (occurs) return spelling;
  }
  const bool bare = std::ranges::any_of(message.headers, [](const auto& header) {
    return base::equals_ignoring_case(header.first, "specversion");
  });
  return bare ? Spelling::bare : Spelling::none;
}

std::string data_content_type(const amqp::Message& message) {
  if (!message.content_type.empty()) return message.content_type;
  const auto found = message.headers.find(content_type_header);
  return found == message.headers.end() ? std::string() : found->second;
}

Result<void> set_attributes(Draft& draft, const amqp::Message& message, Spelling spelling) {
  for (const auto& [header, value] : message.headers) {
    const auto attribute = attribute_name(header, spelling);
    if (!attribute) continue;
    const std::string name = base::to_lower(*attribute);
    if (name == "datacontenttype") {
      return fail(ErrorKind::invalid, "must not be there: the content type says it", header);
    }
    if (auto set = draft.set(name, value); !set) return set;
  }
  return {};
}

Result<Event> decode_binary(const amqp::Message& message) {
  const Spelling spelling = spelling_of(message);
  if (spelling == Spelling::none) {
    return fail(ErrorKind::invalid,
                "not a CloudEvent: there are no headers cloudEvents:… or ce-… (binary mode), and the content "
                "type is " +
                    (message.content_type.empty() ? "missing" : base::quote(message.content_type)) +
                    ", not application/cloudevents+json (structured mode)");
  }
  Draft draft;
  if (auto set = set_attributes(draft, message, spelling); !set) return tl::unexpected(set.error());
  if (std::string type = data_content_type(message); !type.empty()) {
    if (auto set = draft.set("datacontenttype", std::move(type)); !set) return tl::unexpected(set.error());
  }
  draft.set_data(message.body);
  return std::move(draft).finish();
}

bool is_plain(std::string_view content_encoding) {
  // Some clients name the character set here.
  constexpr std::array<std::string_view, 4> plain{"", "identity", "utf-8", "utf8"};
  return std::ranges::any_of(
      plain, [=](std::string_view name) { return base::equals_ignoring_case(content_encoding, name); });
}

// -- Encoding
// ---------------------------------------------------------------------------------------------------

amqp::Message encode_binary(const Event& event) {
  amqp::Message message;
  message.content_type = event.datacontenttype;
  message.body = event.data;
  const auto add = [&message](std::string_view name, const std::string& value) {
    message.headers.emplace(std::string(written_prefix).append(name), value);
  };
  const auto add_known = [&add](std::string_view name, const std::string& value) {
    if (!value.empty()) add(name, value);
  };
  add("specversion", "1.0");
  add_known("id", event.id);
  add_known("source", event.source);
  add_known("type", event.type);
  add_known("subject", event.subject);
  add_known("time", event.time);
  add_known("dataschema", event.dataschema);
  for (const auto& [name, value] : event.extensions) add(name, value);
  if (!event.datacontenttype.empty()) message.headers.emplace(content_type_header, event.datacontenttype);
  return message;
}

bool fits(const amqp::Message& message) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : message.headers) {
    if (name.size() > amqp_short_string_max_bytes) return false;
    bytes += amqp_header_bytes(name, value);
  }
  return bytes <= amqp_headers_max_bytes && message.content_type.size() <= amqp_short_string_max_bytes;
}

amqp::Message encode_structured(const Event& event) {
  amqp::Message message;
  message.content_type = structured_json;
  message.body = encode_json(event);
  return message;
}

}  // namespace

std::size_t amqp_header_bytes(std::string_view name, std::string_view value) {
  constexpr std::size_t lengths_and_kind = 1 + 1 + 4;
  return lengths_and_kind + name.size() + value.size();
}

Result<Event> decode_amqp(const amqp::Message& message) {
  if (!is_plain(message.content_encoding)) {
    return fail(ErrorKind::unsupported,
                "is " + base::quote(message.content_encoding) + "; accepted are bodies without an encoding",
                "content-encoding");
  }
  switch (mode_of(message.content_type)) {
    case Mode::batch:
      return fail(ErrorKind::unsupported, "is a batch, which AMQP does not have; send the events one by one",
                  "content-type");
    case Mode::structured:
      return decode_structured(message.content_type, message.body);
    case Mode::binary:
      break;
  }
  return decode_binary(message);
}

amqp::Message encode_amqp(const Event& event) {
  amqp::Message message;
  if (mode_of(event.datacontenttype) == Mode::binary) message = encode_binary(event);
  if (message.headers.empty() || !fits(message)) message = encode_structured(event);
  if (event.id.size() <= amqp_short_string_max_bytes) message.message_id = event.id;
  return message;
}

}  // namespace lambda::cloudevents
