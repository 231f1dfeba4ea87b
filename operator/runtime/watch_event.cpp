#include "runtime/watch_event.h"

#include <utility>

#include "kube/answer.h"

namespace lambda::runtime {
namespace {

using nlohmann::json;

std::string metadata_text(const json& object, const char* key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return {};
  const auto found = metadata->find(key);
  return found != metadata->end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

base::Result<WatchEvent> parse_watch_event(std::string_view line) {
  json event = json::parse(line, nullptr, false);
  const bool whole =
      event.is_object() && event.contains("type") && event.contains("object") && event["object"].is_object();
  if (!whole) return base::fail(base::ErrorKind::unavailable, "a line of the watch is no event");
  const json& type = event["type"];
  if (type == "ERROR") return tl::unexpected(kube::to_error(event["object"]));
  WatchEvent out{WatchEvent::Type::bookmark, std::move(event["object"])};
  if (type == "BOOKMARK") return out;
  if (type == "DELETED") {
    out.type = WatchEvent::Type::deleted;
  } else if (type == "ADDED" || type == "MODIFIED") {
    out.type = WatchEvent::Type::changed;
  } else {
    return base::fail(base::ErrorKind::unavailable, "the watch has an event of an unknown type");
  }
  return out;
}

api::ObjectKey key_of(const json& object) {
  return {metadata_text(object, "namespace"), metadata_text(object, "name")};
}

std::string resource_version_of(const json& object) {
  return metadata_text(object, "resourceVersion");
}

}  // namespace lambda::runtime
