#include "api/object.h"

#include <algorithm>
#include <array>

#include "api/reader.h"

namespace lambda::api {
namespace {

using nlohmann::json;

constexpr std::array statuses{ConditionStatus::yes, ConditionStatus::no, ConditionStatus::unknown};

std::map<std::string, std::string, std::less<>> read_texts(const Reader& metadata, std::string_view name) {
  std::map<std::string, std::string, std::less<>> texts;
  const Reader values = metadata.object(name);
  for (const std::string& key : values.names()) texts[key] = values.text(key);
  return texts;
}

Condition read_condition(const Reader& reader) {
  Condition condition;
  condition.type = reader.text("type");
  condition.status = reader.word("status", ConditionStatus::unknown, statuses);
  condition.reason = reader.text("reason");
  condition.message = reader.text("message");
  condition.last_transition_time = reader.text("lastTransitionTime");
  condition.observed_generation = reader.integer("observedGeneration", 0, 0, INT64_MAX);
  return condition;
}

}  // namespace

std::string to_string(const ObjectKey& key) {
  return key.namespace_name + "/" + key.name;
}

bool ObjectMeta::has_finalizer() const {
  return std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end();
}

std::string_view to_string(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::yes:
      return "True";
    case ConditionStatus::no:
      return "False";
    case ConditionStatus::unknown:
      break;
  }
  return "Unknown";
}

base::Result<ObjectMeta> parse_object_meta(const json& object) {
  std::vector<base::Error> problems;
  const Reader metadata = Reader(object, "", problems).object("metadata");
  ObjectMeta meta;
  meta.key = {metadata.text("namespace"), metadata.text("name")};
  meta.uid = metadata.text("uid");
  meta.resource_version = metadata.text("resourceVersion");
  meta.generation = metadata.integer("generation", 0, 0, INT64_MAX);
  meta.creation_timestamp = metadata.text("creationTimestamp");
  meta.deletion_timestamp = metadata.text("deletionTimestamp");
  meta.finalizers = metadata.texts("finalizers", {});
  meta.labels = read_texts(metadata, "labels");
  meta.annotations = read_texts(metadata, "annotations");
  if (meta.key.name.empty()) metadata.refuse("name", "is missing");
  if (!problems.empty()) return tl::unexpected(std::move(problems.front()));
  return meta;
}

std::vector<Condition> merge_conditions(const std::vector<Condition>& old, std::vector<Condition> fresh,
                                        std::string_view now) {
  for (Condition& condition : fresh) {
    const auto before = std::find_if(old.begin(), old.end(),
                                     [&](const Condition& other) { return other.type == condition.type; });
    const bool kept =
        before != old.end() && before->status == condition.status && !before->last_transition_time.empty();
    condition.last_transition_time = kept ? before->last_transition_time : std::string(now);
  }
  return fresh;
}

base::Result<std::vector<Condition>> parse_conditions(const json& conditions) {
  std::vector<Condition> parsed;
  if (conditions.is_null()) return parsed;
  if (!conditions.is_array()) return base::fail(base::ErrorKind::invalid, "is no list", "conditions");
  std::vector<base::Error> problems;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    parsed.push_back(
        read_condition(Reader(conditions[i], "conditions[" + std::to_string(i) + "]", problems)));
  }
  if (!problems.empty()) return tl::unexpected(std::move(problems.front()));
  return parsed;
}

json to_json(const std::vector<Condition>& conditions) {
  json list = json::array();
  for (const Condition& condition : conditions) {
    list.push_back({{"type", condition.type},
                    {"status", to_string(condition.status)},
                    {"reason", condition.reason},
                    {"message", condition.message},
                    {"lastTransitionTime", condition.last_transition_time},
                    {"observedGeneration", condition.observed_generation}});
  }
  return list;
}

}  // namespace lambda::api
