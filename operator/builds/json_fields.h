// What Build and Pod are read with. Pure; private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/time.h"

namespace lambda::builds {

/// The member of that name; empty, or nothing, if there is none or it is something else.
std::string text_of(const nlohmann::json& object, std::string_view name);
std::optional<base::CalendarTime> time_of(const nlohmann::json& object, std::string_view name);

}  // namespace lambda::builds
