#include "cloudevents/http.h"

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

constexpr std::string_view attribute_prefix = "ce-";

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// The content of an RFC 7230 quoted-string; any other text as it is.
std::string unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  const std::string_view inner = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] == '\\' && i + 1 < inner.size()) ++i;
    out += inner[i];
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = high ? hex_digit(text[i + 2]) : std::nullopt;
    if (low) {
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<Event> decode_binary(std::string_view content_type, std::span<const Header> headers,
                            std::string_view body) {
  Draft draft;
  bool any = false;
  for (const Header& header : headers) {
    if (!base::starts_with_ignoring_case(header.name, attribute_prefix)) continue;
    any = true;
    const std::string name = base::to_lower(header.name.substr(attribute_prefix.size()));
    if (name == "datacontenttype") {
      return fail(ErrorKind::invalid, "must not be there: Content-Type says it", "ce-datacontenttype");
    }
    if (auto set = draft.set(name, percent_decode(unquote(base::trim(header.value)))); !set) {
      return tl::unexpected(set.error());
    }
  }
  if (!any) {
    return fail(ErrorKind::invalid,
                "not a CloudEvent: there are no ce- headers (binary mode), and Content-Type is " +
                    (content_type.empty() ? "missing" : base::quote(content_type)) +
                    ", not application/cloudevents+json (structured mode)");
  }
  if (!content_type.empty()) {
    if (auto set = draft.set("datacontenttype", std::string(content_type)); !set)
      return tl::unexpected(set.error());
  }
  draft.set_data(std::string(body));
  return std::move(draft).finish();
}

// Section 3.1.3.2: what is not printable ASCII, and space, quote and percent, as %XX of its UTF-8 bytes.
std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (c > ' ' && c <= '~' && c != '"' && c != '%') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return out;
}

}  // namespace

Result<Event> decode_http(std::string_view content_type, std::span<const Header> headers,
                          std::string_view body) {
  content_type = base::trim(content_type);
  const Mode mode = mode_of(content_type);
  if (mode == Mode::batch) {
    return fail(ErrorKind::unsupported, "is a batch; accepted here is a single event", "content-type");
  }
  if (mode == Mode::structured) return decode_structured(content_type, body);
  return decode_binary(content_type, headers, body);
}

bool is_batch(std::string_view content_type) {
  return mode_of(content_type) == Mode::batch;
}

Result<std::vector<Result<Event>>> decode_http_batch(std::string_view content_type, std::string_view body,
                                                     std::size_t max_events) {
  if (!base::equals_ignoring_case(essence(content_type), "application/cloudevents-batch+json")) {
    return fail(ErrorKind::unsupported,
                "is " + base::quote(content_type) +
                    "; of the batch formats application/cloudevents-batch+json is accepted",
                "content-type");
  }
  return decode_json_batch(body, max_events);
}

BinaryRequest encode_http(const Event& event) {
  BinaryRequest out{.content_type = event.datacontenttype, .headers = {}, .body = event.data};
  const auto add = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) {
      out.headers.emplace_back(std::string(attribute_prefix).append(name), percent_encode(value));
    }
  };
  add("specversion", "1.0");
  add("id", event.id);
  add("source", event.source);
  add("type", event.type);
  add("subject", event.subject);
  add("time", event.time);
  add("dataschema", event.dataschema);
  for (const auto& [name, value] : event.extensions) add(name, value);
  return out;
}

}  // namespace lambda::cloudevents
