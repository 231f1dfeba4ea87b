#include "judgement/child.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "desired/desired.h"

namespace lambda::judgement {
namespace {

using nlohmann::json;

const json* member(const json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string label_of(const json& object, std::string_view name) {
  const json* const metadata = member(object, "metadata");
  const json* const labels = metadata == nullptr ? nullptr : member(*metadata, "labels");
  const json* const label = labels == nullptr ? nullptr : member(*labels, name);
  return label != nullptr && label->is_string() ? label->get<std::string>() : std::string();
}

// What we patch (finalizers) we may patch on objects of others too.
bool is_our_apply(const json& field_set) {
  return base::text_at(field_set, "/manager") == desired::manager &&
         base::text_at(field_set, "/operation") == "Apply" &&
         base::text_at(field_set, "/subresource").empty();
}

bool has_no_status(const json& object) {
  return base::text_at(object, "/kind") == "RabbitmqBrokerConfig";
}

// A label that is not there names nobody.
bool names_another(const std::string& found, const std::string& wanted) {
  return !found.empty() && found != wanted;
}

}  // namespace

api::ObjectKey key_of(const json& object) {
  return {.namespace_name = base::text_at(object, "/metadata/namespace"),
          .name = base::text_at(object, "/metadata/name")};
}

std::string shown(const json& object) {
  return base::text_at(object, "/kind") + " " + to_string(key_of(object));
}

ReadinessSaid readiness_of(const json& object) {
  if (has_no_status(object)) return {.readiness = Readiness::ready, .message = {}};
  const json conditions = object.value("/status/conditions"_json_pointer, json::array());
  for (const json& condition : conditions) {
    if (base::text_at(condition, "/type") != "Ready") continue;
    const std::string& status = base::text_at(condition, "/status");
    const std::string message =
        base::text_at(condition, "/reason") + " " + base::text_at(condition, "/message");
    if (status == "True") return {.readiness = Readiness::ready, .message = {}};
    return {.readiness = status == "False" ? Readiness::failed : Readiness::waiting, .message = message};
  }
  return {.readiness = Readiness::waiting, .message = "its controller has not said anything yet"};
}

bool is_made_by_us(const json& object) {
  if (label_of(object, desired::manager_label) == desired::manager) return true;
  const json managers = object.value("/metadata/managedFields"_json_pointer, json::array());
  return std::ranges::any_of(managers, is_our_apply);
}

Ownership ownership_of(const json& found, const json& wanted) {
  if (!is_made_by_us(found)) return Ownership::foreign;
  if (desired::is_shared(wanted)) return Ownership::ours;
  const api::ObjectKey owner = job_queue_of(found);
  const api::ObjectKey asker = job_queue_of(wanted);
  const bool is_of_another =
      names_another(owner.name, asker.name) || names_another(owner.namespace_name, asker.namespace_name);
  return is_of_another ? Ownership::other_job_queues : Ownership::ours;
}

api::ObjectKey job_queue_of(const json& object) {
  return {.namespace_name = label_of(object, desired::job_queue_namespace_label),
          .name = label_of(object, desired::job_queue_label)};
}

}  // namespace lambda::judgement
