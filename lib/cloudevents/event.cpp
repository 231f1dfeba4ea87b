#include "cloudevents/event.h"

#include <string_view>

#include "base/text.h"

namespace lambda::cloudevents {

bool declares_json(const Event& event) {
  if (event.datacontenttype.empty()) return true;
  const std::string_view all = event.datacontenttype;
  const std::string media_type = base::to_lower(base::trim(all.substr(0, all.find(';'))));
  return media_type.ends_with("/json") || media_type.ends_with("+json");
}

}  // namespace lambda::cloudevents
