// CloudEvents as JSON (JSON event format 1.0.2): the body of structured mode, annotations, dead letters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::cloudevents {

/// The event of a JSON object. An attribute that is null is absent; integers and booleans are accepted for
/// extensions and become their canonical text; JSON data keeps the very text it had. Refused as `invalid`,
/// with the attribute as field: what base::parse_json refuses (so names that are there twice, and deep
/// nesting), attributes of a wrong type or form, `data` beside `data_base64`.
base::Result<Event> decode_json(std::string_view text);

/// The events of a JSON array (JSON batch format), in their order, each read as decode_json does: one that is
/// no event leaves the others as they are, and its error's field begins with its place, as "[3].id". An empty
/// array is a batch. Errors: `invalid` if the text as a whole is no JSON array; `too_large` if it holds more
/// than `max_events`, before any is read.
base::Result<std::vector<base::Result<Event>>> decode_json_batch(std::string_view text,
                                                                 std::size_t max_events);

/// The JSON object that decode_json reads back as an equal event, for every event that a decoder made. Data
/// that is neither JSON nor text is written as base64, and so is data that is declared as JSON and is not.
std::string encode_json(const Event& event);

/// The same text, without another look at the data: the caller has parsed it as JSON of at most
/// base::json_max_depth - 1 levels.
std::string encode_with_json_data(const Event& event);

}  // namespace lambda::cloudevents
