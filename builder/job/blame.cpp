// Which fields of a Job are an event's doing; kept beside object.cpp, which says where its gaps are.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "build/labels.h"
#include "job/job.h"

namespace lambda::job {
namespace {

namespace label = build::label;

// A path of which each index is "[]", and the one key that stood in brackets behind it.
struct FieldPath {
  std::string fields;
  std::string_view key;  // of a label or annotation; empty where the path ends at the map
};

constexpr std::array<std::string_view, 4> metadata_maps{
    "metadata.labels", "metadata.annotations", "spec.template.metadata.labels", "spec.template.labels"};

std::string without_indexes(std::string_view path) {
  std::string out;
  bool in_index = false;
  for (const char c : path) {
    in_index = (in_index || c == '[') && c != ']';
    if (!in_index || c == '[') out += c;
  }
  return out;
}

// Keys hold dots and slashes, so they are cut off before anything else is looked at.
FieldPath split(std::string_view path) {
  for (const std::string_view map : metadata_maps) {
    if (!path.starts_with(map)) continue;
    std::string_view key = path.substr(map.size());
    if (key.empty()) return {std::string(map), {}};
    if (key.starts_with('[') && key.ends_with(']')) return {std::string(map), key.substr(1, key.size() - 2)};
    if (key.starts_with('.')) return {std::string(map), key.substr(1)};
  }
  return {without_indexes(path), {}};
}

bool is_events_label(std::string_view key) {
  constexpr std::array<std::string_view, 4> keys{label::third_party_id, label::parser_id, label::runtime,
                                                 label::kueue_queue};
  return std::ranges::find(keys, key) != keys.end();
}

bool is_events_key(const FieldPath& path) {
  if (path.key.empty()) return true;  // the map as a whole, as of annotations that are too large together
  if (path.fields == "metadata.annotations") return path.key.starts_with("lambda.notifi.network/");
  return is_events_label(path.key);
}

// `fields` itself, or a field below it.
bool lies_at(std::string_view path, std::string_view fields) {
  if (!path.starts_with(fields)) return false;
  const std::string_view rest = path.substr(fields.size());
  return rest.empty() || rest.front() == '.' || rest.front() == '[';
}

}  // namespace

bool is_set_by_event(std::string_view field_path) {
  constexpr std::array<std::string_view, 5> fields{
      "metadata.name", "spec.activeDeadlineSeconds", "spec.template.spec.containers[].args",
      "spec.template.spec.containers[].env", "spec.template.spec.volumes[].secret.secretName"};
  const FieldPath path = split(field_path);
  if (std::ranges::find(metadata_maps, path.fields) != metadata_maps.end()) return is_events_key(path);
  return std::ranges::any_of(fields, [&path](std::string_view field) { return lies_at(path.fields, field); });
}

}  // namespace lambda::job
