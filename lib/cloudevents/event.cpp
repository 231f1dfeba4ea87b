#include "cloudevents/event.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace lambda::cloudevents {

bool declares_json(const Event& event) {
  if (event.datacontenttype.empty()) return true;
  const std::string_view all = event.datacontenttype;
  const std::string_view media_type = base::trim(all.substr(0, all.find(';')));
  const auto ending = media_type.substr(media_type.size() - std::min<std::size_t>(media_type.size(), 5));
  return base::equals_ignoring_case(ending, "/json") || base::equals_ignoring_case(ending, "+json");
}

}  // namespace lambda::cloudevents
