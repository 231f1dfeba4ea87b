// Content modes, which every protocol binding tells apart by the media type. Private to this folder.
#pragma once

#include <string_view>

#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::cloudevents {

enum class Mode { binary, structured, batch };

/// The media type without its parameters and the white space around it.
std::string_view essence(std::string_view content_type);

/// The mode that a content type, in any case and perhaps with parameters, declares.
Mode mode_of(std::string_view content_type);

/// The event of a body in structured mode; `unsupported` for formats other than JSON.
base::Result<Event> decode_structured(std::string_view content_type, std::string_view body);

}  // namespace lambda::cloudevents
