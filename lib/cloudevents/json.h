// CloudEvents as JSON (JSON event format 1.0.2): the body of structured mode, annotations, dead letters.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::cloudevents {

/// The event of a JSON object. An attribute that is null is absent; integers and booleans are accepted for
/// extensions and become their canonical text; JSON data keeps the very text it had. Refused as `invalid`,
/// with the attribute as field: what base::parse_json refuses (so names that are there twice, and deep
/// nesting), attributes of a wrong type or form, `data` beside `data_base64`.
base::Result<Event> decode_json(std::string_view text);

/// The JSON object that decode_json reads back as an equal event, for every event that a decoder made. Data
/// that is neither JSON nor text is written as base64, and so is data that is declared as JSON and is not.
std::string encode_json(const Event& event);

}  // namespace lambda::cloudevents
