#include "cloudevents/mode.h"

#include "base/text.h"
#include "cloudevents/json.h"

namespace lambda::cloudevents {

std::string_view essence(std::string_view content_type) {
  return base::trim(content_type.substr(0, content_type.find(';')));
}

Mode mode_of(std::string_view content_type) {
  content_type = base::trim(content_type);
  // The batch first: it begins as the other does.
  if (base::starts_with_ignoring_case(content_type, "application/cloudevents-batch")) return Mode::batch;
  if (base::starts_with_ignoring_case(content_type, "application/cloudevents")) return Mode::structured;
  return Mode::binary;
}

base::Result<Event> decode_structured(std::string_view content_type, std::string_view body) {
  if (!base::equals_ignoring_case(essence(content_type), "application/cloudevents+json")) {
    return base::fail(base::ErrorKind::unsupported,
                      "is " + base::quote(content_type) +
                          "; of the structured formats application/cloudevents+json is accepted",
                      "content-type");
  }
  return decode_json(body);
}

}  // namespace lambda::cloudevents
