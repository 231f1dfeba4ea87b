#include "cloudevents/trace.h"

#include <algorithm>

namespace lambda::cloudevents {

bool is_traceparent(std::string_view text) {
  constexpr std::string_view form = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
  constexpr std::string_view hex = "0123456789abcdef";
  return std::equal(text.begin(), text.end(), form.begin(), form.end(), [&](char found, char wanted) {
    return wanted == 'h' ? hex.find(found) != std::string_view::npos : found == wanted;
  });
}

std::string traceparent(const Event& event) {
  const auto found = event.extensions.find(traceparent_extension);
  return found != event.extensions.end() && is_traceparent(found->second) ? found->second : std::string();
}

std::string trace_id(const Event& event) {
  constexpr std::size_t begin = 3;
  constexpr std::size_t length = 32;
  const std::string parent = traceparent(event);
  return parent.empty() ? parent : parent.substr(begin, length);
}

}  // namespace lambda::cloudevents
