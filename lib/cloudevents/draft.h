// An event in the making: the rules for attributes, whatever the transport. Private to this folder.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::cloudevents {

class Draft {
 public:
  /// Takes an attribute once it is checked: its name, its value as text, and that it was not set before. An
  /// error's field is the attribute's name.
  base::Result<void> set(std::string_view name, std::string value);

  void set_data(std::string bytes) { event_.data = std::move(bytes); }
  void set_data(std::string text, nlohmann::json value);

  /// What was set so far; `datacontenttype` decides how data is read.
  const Event& event() const { return event_; }

  /// The event, or which required attribute is missing.
  base::Result<Event> finish() &&;

 private:
  Event event_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace lambda::cloudevents
