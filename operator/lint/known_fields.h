// The fields that the schemas in manifests/crds have: the API server drops any other without a word. Private
// to this folder.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace lambda::lint {

/// The paths of what stands in "spec" and is in no schema; the inner fields of an unknown one are not told.
std::vector<std::string> unknown_fields(const nlohmann::json& object);

/// All paths of the spec that are known, of a kind of ours; "…*" stands for any name. For the test that
/// compares them with the schemas.
std::vector<std::string> known_fields(const std::string& kind);

}  // namespace lambda::lint
