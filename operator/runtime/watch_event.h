// One line of a watch. Pure.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "api/object.h"
#include "base/error.h"

namespace lambda::runtime {

struct WatchEvent {
  enum class Type { changed, deleted, bookmark };
  Type type = Type::bookmark;
  nlohmann::json object;
};

/// The event; as an error what the API server says in an ERROR event, or `unavailable` for what is no event.
base::Result<WatchEvent> parse_watch_event(std::string_view line);

// Of any object; empty where it has none.
api::ObjectKey key_of(const nlohmann::json& object);
std::string resource_version_of(const nlohmann::json& object);

}  // namespace lambda::runtime
