#include "builds/oom_retry.h"

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "build/attempt.h"
#include "build/identity.h"
#include "build/labels.h"
#include "cloudevents/json.h"

namespace lambda::builds {
namespace {

namespace annotation = build::annotation;
namespace label = build::label;
using base::ErrorKind;
using base::Result;
using nlohmann::json;

const std::string& text_of(const json& map, std::string_view key) {
  static const std::string none;
  const json& value = base::at(map, key);
  return value.is_string() ? value.get_ref<const std::string&>() : none;
}

tl::unexpected<base::Error> refuse(std::string_view annotation, std::string message) {
  return base::fail(ErrorKind::invalid, std::move(message),
                    "metadata.annotations[" + std::string(annotation) + "]");
}

Result<unsigned> read_attempt(const json& annotations) {
  if (!base::at(annotations, annotation::attempt).is_string()) return 0U;
  const std::string& text = text_of(annotations, annotation::attempt);
  const auto number = base::parse_integer(text);
  if (number && *number >= 0 && *number < build::attempt_max) return static_cast<unsigned>(*number);
  return refuse(annotation::attempt, "is " + base::quote(text) + "; accepted: less than " +
                                         std::to_string(build::attempt_max) + ", for one more to fit");
}

// Of the Job as it is; an error if its name is another's.
Result<build::EventIdentity> read_identity(const json& job) {
  const json& annotations = base::at(base::at(job, "metadata"), "annotations");
  const auto attempt = read_attempt(annotations);
  if (!attempt) return tl::unexpected(attempt.error());
  build::EventIdentity identity{text_of(annotations, annotation::event_source),
                                text_of(annotations, annotation::event_id), *attempt};
  const std::string& name = base::text_at(job, "/metadata/name");
  if (!identity.source.empty() && !identity.id.empty() && build::job_name(identity) == name) return identity;
  return base::fail(ErrorKind::invalid,
                    "is " + base::quote(name) + ", which is not what its event's source, id and attempt give",
                    "metadata.name");
}

// The annotation with the whole event, sent back once more.
Result<std::string> next_event(const std::string& text, const build::EventIdentity& next) {
  auto event = cloudevents::decode_json(text);
  if (!event) return refuse(annotation::event, "is no event: " + base::describe(event.error()));
  if (event->source != next.source || event->id != next.id)
    return refuse(annotation::event, "is another event than event-source and event-id name");
  build::set_redrive_attempt(*event, next.redrive_attempt);
  return cloudevents::encode_json(*event);
}

void erase_keys(json& map, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) map.erase(std::string(key));
}

// A map of texts, as labels are; empty if there is none.
json map_of(const json& object, std::string_view name) {
  const json& found = base::at(object, name);
  return found.is_object() ? found : json::object();
}

// What the Job controller tells its pods by.
void erase_controller_labels(json& labels) {
  erase_keys(labels, {"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid",
                      "job-name"});
}

json next_labels(const json& metadata) {
  json labels = map_of(metadata, "labels");
  erase_controller_labels(labels);
  erase_keys(labels, {label::outcome});
  return labels;
}

Result<json> next_annotations(const json& metadata, const build::EventIdentity& next) {
  json annotations = map_of(metadata, "annotations");
  erase_keys(annotations, {annotation::oom_retry_memory, annotation::waiting, annotation::result,
                           "kueue.x-k8s.io/stopping", "batch.kubernetes.io/job-tracking",
                           "kubectl.kubernetes.io/last-applied-configuration"});
  annotations[std::string(annotation::attempt)] = std::to_string(next.redrive_attempt);
  if (annotations.contains(annotation::event)) {
    auto event = next_event(text_of(annotations, annotation::event), next);
    if (!event) return tl::unexpected(std::move(event.error()));
    annotations[std::string(annotation::event)] = std::move(*event);
  }
  return annotations;
}

// Kueue writes into the template while it lets a Job run, and wants to find it as it was made.
json next_template_metadata(const json& metadata) {
  json out = json::object();
  json labels = map_of(metadata, "labels");
  erase_controller_labels(labels);
  erase_keys(labels, {"kueue.x-k8s.io/podset", "kueue.x-k8s.io/tas"});
  if (!labels.empty()) out["labels"] = std::move(labels);
  json annotations = map_of(metadata, "annotations");
  erase_keys(annotations, {"kueue.x-k8s.io/workload"});
  if (!annotations.empty()) out["annotations"] = std::move(annotations);
  return out;
}

bool waits_for_admission(const json& labels) {
  return labels.contains(label::admission) || labels.contains(label::kueue_queue);
}

// Whether there is a first container, whose resources, if any, are a map.
bool has_container(const json& spec) {
  const json& containers = base::at(base::at(base::at(spec, "template"), "spec"), "containers");
  if (!containers.is_array() || containers.empty() || !containers.front().is_object()) return false;
  const json& resources = base::at(containers.front(), "resources");
  const auto fits = [](const json& value) { return value.is_null() || value.is_object(); };
  return fits(resources) && fits(base::at(resources, "requests")) && fits(base::at(resources, "limits"));
}

json next_spec(json spec, bool suspended, bool told_by_operator, const std::string& memory) {
  erase_keys(spec, {"selector", "manualSelector", "suspend"});
  if (suspended) spec["suspend"] = true;
  if (told_by_operator) spec.erase("ttlSecondsAfterFinished");  // it is the operator's to set, later
  json& pod_template = spec["template"];
  pod_template["metadata"] = next_template_metadata(base::at(pod_template, "metadata"));
  json& resources = pod_template["spec"]["containers"].front()["resources"];
  resources["requests"]["memory"] = memory;
  resources["limits"]["memory"] = memory;
  return spec;
}

}  // namespace

Result<json> make_oom_retry(const json& job) {
  const json& metadata = base::at(job, "metadata");
  const std::string memory = text_of(base::at(metadata, "annotations"), annotation::oom_retry_memory);
  if (memory.empty()) return refuse(annotation::oom_retry_memory, "is missing: it is not to be tried again");
  auto next = read_identity(job);
  if (!next) return tl::unexpected(std::move(next.error()));
  ++next->redrive_attempt;
  if (!has_container(base::at(job, "spec")))
    return base::fail(ErrorKind::invalid, "has no container", "spec.template.spec.containers");

  json labels = next_labels(metadata);
  auto annotations = next_annotations(metadata, *next);
  if (!annotations) return tl::unexpected(std::move(annotations.error()));
  const bool suspended = waits_for_admission(labels);
  const bool followed = annotations->contains(annotation::ttl_after_finished);
  return json{{"apiVersion", "batch/v1"},
              {"kind", "Job"},
              {"metadata",
               {{"name", build::job_name(*next)},
                {"namespace", base::text_at(job, "/metadata/namespace")},
                {"labels", std::move(labels)},
                {"annotations", std::move(*annotations)}}},
              {"spec", next_spec(base::at(job, "spec"), suspended, followed, memory)}};
}

}  // namespace lambda::builds
