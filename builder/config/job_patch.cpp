#include "config/job_patch.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/labels.h"

namespace lambda::config {

using namespace yaml;
namespace {

namespace label = build::label;
using json = nlohmann::ordered_json;
using Path = std::vector<std::string>;

constexpr std::size_t keys_max = 256;  // of each map
constexpr std::size_t depth_max = 32;

constexpr std::string_view why_decided =
    "is decided by the builder, from the event and the other keys of build";
constexpr std::string_view why_list =
    "holds what the builder writes there, and a merge patch replaces lists as a whole; accepted: no patch of "
    "it";

struct Guarded {
  Path path;  // with all that lies below it
  std::string_view why;
};

const std::vector<Guarded>& guarded() {
  static const std::vector<Guarded> all{{{"apiVersion"}, why_decided},
                                        {{"kind"}, why_decided},
                                        {{"status"}, why_decided},
                                        {{"metadata", "name"}, why_decided},
                                        {{"metadata", "generateName"}, why_decided},
                                        {{"metadata", "namespace"}, why_decided},
                                        {{"spec", "backoffLimit"}, why_decided},
                                        {{"spec", "backoffLimitPerIndex"}, why_decided},
                                        {{"spec", "completions"}, why_decided},
                                        {{"spec", "parallelism"}, why_decided},
                                        {{"spec", "suspend"}, why_decided},
                                        {{"spec", "activeDeadlineSeconds"}, why_decided},
                                        {{"spec", "ttlSecondsAfterFinished"}, why_decided},
                                        {{"spec", "template", "spec", "restartPolicy"}, why_decided},
                                        {{"spec", "template", "spec", "activeDeadlineSeconds"}, why_decided},
                                        {{"spec", "template", "spec", "containers"}, why_list},
                                        {{"spec", "template", "spec", "volumes"}, why_list}};
  return all;
}

// Labels and annotations, of the Job and of its pods.
bool is_metadata_map(const Path& path) {
  return path == Path{"metadata", "labels"} || path == Path{"metadata", "annotations"} ||
         path == Path{"spec", "template", "metadata", "labels"} ||
         path == Path{"spec", "template", "metadata", "annotations"};
}

bool is_our_metadata_key(std::string_view key) {
  constexpr std::array<std::string_view, 5> known{label::name, label::managed_by, label::part_of,
                                                  label::kueue_queue, label::kueue_priority_class};
  return key.starts_with("lambda.notifi.network/") || std::ranges::find(known, key) != known.end();
}

// The reason why the builder keeps the value at `path` to itself; empty where a patch may have it.
std::string_view why_not(const Path& path) {
  const Path parent(path.begin(), path.end() - 1);
  if (is_metadata_map(parent) && is_our_metadata_key(path.back())) return why_decided;
  const auto found = std::ranges::find(guarded(), path, &Guarded::path);
  return found == guarded().end() ? std::string_view() : found->why;
}

// Another value than a map would take away what the builder writes below it.
bool has_to_be_map(const Path& path) {
  const auto lies_above = [&path](const Guarded& one) {
    return one.path.size() > path.size() && std::equal(path.begin(), path.end(), one.path.begin());
  };
  return is_metadata_map(path) || path == Path{"spec", "template", "metadata"} ||
         std::ranges::any_of(guarded(), lies_above);
}

json scalar(const YamlValue& yaml) {
  if (!yaml.plain) return yaml.text;
  if (yaml.text == "~") return nullptr;
  json value = json::parse(yaml.text, nullptr, false);
  return value.is_primitive() && !value.is_discarded() && !value.is_string() ? value : json(yaml.text);
}

Read patch(json& out, Path path);

Read items(json& out, const Path& path) {
  return [&out, path](const Value& value) {
    out = json::array();
    list(0, keys_max, [&out, &path](const Value& item) {
      json read;
      patch(read, path)(item);
      out.push_back(std::move(read));
    })(value);
  };
}

Read members(json& out, const Path& path) {
  const auto check_key = [path](std::string_view key) -> base::Result<void> {
    Path below = path;
    below.emplace_back(key);
    const std::string_view why = why_not(below);
    if (why.empty() && !key.empty()) return {};
    return base::fail(base::ErrorKind::invalid, key.empty() ? "a key has to be a word" : std::string(why));
  };
  return [&out, path, check_key](const Value& value) {
    out = json::object();
    entries(keys_max, check_key, [&out, &path](const std::string& key) {
      Path below = path;
      below.push_back(key);
      return patch(out[key], std::move(below));
    })(value);
  };
}

Read patch(json& out, Path path) {
  return [&out, path = std::move(path)](const Value& value) {
    const YamlValue::Kind kind = value.yaml.kind;
    if (path.size() > depth_max) return value.refuse("nested deeper than " + std::to_string(depth_max));
    if (kind == YamlValue::Kind::map) return members(out, path)(value);
    if (has_to_be_map(path)) return value.refuse_kind("a map");
    if (kind == YamlValue::Kind::list) return items(out, path)(value);
    if (kind == YamlValue::Kind::scalar) out = scalar(value.yaml);
  };
}

}  // namespace

Read read_job_patch(std::string& out) {
  return [&out](const Value& value) {
    if (value.yaml.kind == YamlValue::Kind::null) return;
    if (value.yaml.kind != YamlValue::Kind::map) return value.refuse_kind("a map");
    json read;
    members(read, {})(value);
    out = read.dump(-1, ' ', false, json::error_handler_t::replace);
  };
}

}  // namespace lambda::config
