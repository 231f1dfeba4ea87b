// The lint for objects of Knative's and of RabbitMQ's topology operator that stand in a file by themselves,
// without a JobQueue. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "desired/lint.h"

namespace lambda::desired {

/// A Trigger, a RabbitmqSource, a Queue or a Policy; nothing is found in any other object.
std::vector<Finding> lint_object(const nlohmann::json& object);

/// What only shows beside the others: a dead-letter exchange that nothing is bound to. By the place of the
/// object in the list.
std::vector<std::pair<std::size_t, Finding>> lint_together(std::span<const nlohmann::json> objects);

}  // namespace lambda::desired
