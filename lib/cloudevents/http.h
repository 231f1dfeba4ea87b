// CloudEvents over HTTP (HTTP protocol binding 1.0.2): between a request and an event.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::cloudevents {

struct Header {
  std::string_view name;  // in any case
  std::string_view value;
};

/// The event of a request in binary or structured mode, which Content-Type decides (empty: there was none).
///
/// Kinder than the specification: a source is any text; values of ce- headers may be raw UTF-8, and a '%'
/// that no two hex digits follow stands for itself, because senders forget to escape; the time
/// 0001-01-01T00:00:00Z, which some brokers make up, counts as absent.
///
/// Errors: `unsupported` for batches (decode_http_batch reads those) and for structured formats other than
/// JSON; `invalid` for all else, with the attribute as field.
base::Result<Event> decode_http(std::string_view content_type, std::span<const Header> headers,
                                std::string_view body);

/// Whether Content-Type, in any case, declares a batch of events, in whatever format.
bool is_batch(std::string_view content_type);

/// The events of a request for which is_batch holds, each with its own error, as decode_json_batch has it.
/// Errors: its own, and `unsupported` for formats other than application/cloudevents-batch+json.
base::Result<std::vector<base::Result<Event>>> decode_http_batch(std::string_view content_type,
                                                                 std::string_view body,
                                                                 std::size_t max_events);

/// A request's part of an event in binary mode; the body is the event's data as it is.
struct BinaryRequest {
  std::string content_type;                                  // empty: none
  std::vector<std::pair<std::string, std::string>> headers;  // ce-…, values percent-encoded
  std::string_view body;                                     // of the event
};

/// What decode_http reads back as the same event. `event` outlives the result.
BinaryRequest encode_http(const Event& event);

}  // namespace lambda::cloudevents
