// What every Kubernetes object has, as far as the operator asks for it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::api {

inline constexpr std::string_view group = "lambda.notifi.network";
inline constexpr std::string_view group_version = "lambda.notifi.network/v1alpha1";

/// The finalizer of every object of ours that has something to clean up.
inline constexpr std::string_view finalizer = "lambda.notifi.network/operator";

/// Names an object among those of its kind.
struct ObjectKey {
  std::string namespace_name;
  std::string name;

  auto operator<=>(const ObjectKey&) const = default;
};

/// "namespace/name"
std::string to_string(const ObjectKey& key);

struct ObjectMeta {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  std::string creation_timestamp;  // RFC 3339
  std::string deletion_timestamp;  // empty: it is not being deleted
  std::vector<std::string> finalizers;
  std::map<std::string, std::string, std::less<>> labels;
  std::map<std::string, std::string, std::less<>> annotations;

  bool deleting() const { return !deletion_timestamp.empty(); }
  bool has_finalizer() const;

  bool operator==(const ObjectMeta&) const = default;
};

/// `invalid` for what no API server sends.
base::Result<ObjectMeta> parse_object_meta(const nlohmann::json& object);

enum class ConditionStatus { yes, no, unknown };

/// "True", "False", "Unknown".
std::string_view to_string(ConditionStatus status);

/// metav1.Condition. `reason` is one of a documented list (docs/conditions.md), CamelCase.
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::unknown;
  std::string reason;
  std::string message;               // for a person: what was found, and what to do
  std::string last_transition_time;  // RFC 3339; set by merge_conditions
  std::int64_t observed_generation = 0;

  bool operator==(const Condition&) const = default;
};

/// The new conditions in their order, each with the time of its last change of status: that of the old one of
/// its type if the status is the same, else `now` (RFC 3339).
std::vector<Condition> merge_conditions(const std::vector<Condition>& old, std::vector<Condition> fresh,
                                        std::string_view now);

base::Result<std::vector<Condition>> parse_conditions(const nlohmann::json& conditions);
nlohmann::json to_json(const std::vector<Condition>& conditions);

}  // namespace lambda::api
