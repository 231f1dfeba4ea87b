#include "build/attempt.h"

#include <string>

#include "base/text.h"

namespace lambda::build {

base::Result<unsigned> redrive_attempt(const cloudevents::Event& event) {
  const auto found = event.extensions.find(attempt_attribute);
  if (found == event.extensions.end()) return 0U;
  const auto number = base::parse_integer(found->second);
  if (number && *number >= 1 && *number <= attempt_max && std::to_string(*number) == found->second)
    return static_cast<unsigned>(*number);
  return base::fail(base::ErrorKind::invalid,
                    "is " + base::quote(found->second) + "; accepted: 1 to " + std::to_string(attempt_max) +
                        ", or no such attribute",
                    std::string(attempt_attribute));
}

void set_redrive_attempt(cloudevents::Event& event, unsigned attempt) {
  if (attempt == 0) {
    if (const auto found = event.extensions.find(attempt_attribute); found != event.extensions.end())
      event.extensions.erase(found);
    return;
  }
  event.extensions.insert_or_assign(std::string(attempt_attribute), std::to_string(attempt));
}

}  // namespace lambda::build
