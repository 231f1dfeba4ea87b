// CloudEvents over AMQP (AMQP protocol binding 1.0.2): between a message and an event. The binding is written
// for AMQP 1.0; its application properties are the header table of 0-9-1 here, as everybody has it.
#pragma once

#include <cstddef>
#include <string_view>

#include "amqp/message.h"
#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::cloudevents {

/// What encode_amqp puts into the header table at most. The table travels in a single frame, whose customary
/// limit is 128 KiB; the rest of it is left to whoever adds headers.
inline constexpr std::size_t amqp_headers_max_bytes = 32768;

/// Bytes of a name in the header table, and of a property: AMQP's short strings.
inline constexpr std::size_t amqp_short_string_max_bytes = 255;

/// What a header takes in the table of its message, with name and value as strings.
std::size_t amqp_header_bytes(std::string_view name, std::string_view value);

/// The event of a message in structured mode (content type application/cloudevents+json) or in binary mode,
/// whose attributes are headers in one of three spellings, names in any case, values as they are (there is no
/// percent-encoding in AMQP):
///
///   cloudEvents:id, cloudEvents_id   the binding; all other headers are the application's
///   ce-id                            what the RabbitMQ source of Knative reads; all others likewise
///   id                               what Knative's RabbitMQ broker publishes: each header that can be an
///                                    attribute is one; specversion has to be among them
///
/// The spellings are not mixed: the first of them that occurs counts. The data's content type is the
/// property, or else the header content-type that Knative writes.
///
/// Errors: `unsupported` for batches, for structured formats other than JSON and for bodies with a content
/// encoding; `invalid` for all else, with the attribute as field.
base::Result<Event> decode_amqp(const amqp::Message& message);

/// The message that decode_amqp reads back as an equal event, for every event that a decoder made, and that
/// Knative's RabbitMQ source reads too: binary mode with ce- headers; structured mode where they would exceed
/// AMQP's limits or amqp_headers_max_bytes, or where the data itself is declared to be a CloudEvent.
amqp::Message encode_amqp(const Event& event);

}  // namespace lambda::cloudevents
