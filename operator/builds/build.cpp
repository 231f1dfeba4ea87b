#include "builds/build.h"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "build/attempt.h"
#include "build/labels.h"
#include "builds/json_fields.h"

namespace lambda::builds {
namespace {

using nlohmann::json;
using std::chrono::seconds;
namespace annotation = build::annotation;
namespace label = build::label;

constexpr std::string_view destination_flag = "--destination=";
constexpr int priority_max = 10;

std::optional<long long> whole_number(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<long long>();
}

bool is_true(const json& value) {
  return value.is_boolean() && value.get<bool>();
}

std::string text_of_either(const json& first, const json& second, std::string_view name) {
  std::string out = text_of(first, name);
  return out.empty() ? text_of(second, name) : out;
}

int read_priority(const json& annotations) {
  const auto number = base::parse_integer(text_of(annotations, annotation::priority));
  return number && 0 <= *number && *number <= priority_max ? static_cast<int>(*number) : 1;
}

unsigned read_attempt(const json& annotations) {
  const auto number = base::parse_integer(text_of(annotations, annotation::attempt));
  return number && 0 < *number && *number <= build::attempt_max ? static_cast<unsigned>(*number) : 0;
}

// Where the Job has one of its own, nobody has to set it.
std::optional<seconds> read_ttl(const json& annotations, const json& spec) {
  if (!base::at(spec, "ttlSecondsAfterFinished").is_null()) return std::nullopt;
  const auto number = base::parse_integer(text_of(annotations, annotation::ttl_after_finished));
  if (!number || *number < 0) return std::nullopt;
  return seconds(*number);
}

std::string read_image(const json& spec) {
  const json& containers = base::at(base::at(base::at(spec, "template"), "spec"), "containers");
  if (!containers.is_array() || containers.empty()) return {};
  for (const json& argument : base::at(containers.front(), "args")) {
    if (!argument.is_string()) continue;
    const std::string& text = argument.get_ref<const std::string&>();
    if (text.starts_with(destination_flag)) return text.substr(destination_flag.size());
  }
  return {};
}

const json* find_condition(const json& status, std::string_view type) {
  for (const json& condition : base::at(status, "conditions")) {
    if (text_of(condition, "type") == type && text_of(condition, "status") == "True") return &condition;
  }
  return nullptr;
}

std::optional<JobEnd> read_end(const json& status) {
  const json* const complete = find_condition(status, "Complete");
  const json* const condition = complete != nullptr ? complete : find_condition(status, "Failed");
  if (condition == nullptr) return std::nullopt;
  const auto completed = time_of(status, "completionTime");
  const auto changed = time_of(*condition, "lastTransitionTime");
  return JobEnd{.complete = complete != nullptr,
                .reason = text_of(*condition, "reason"),
                .message = text_of(*condition, "message"),
                .time = completed ? *completed : changed.value_or(CalendarTime{})};
}

void read_metadata(Build& out, const json& metadata) {
  const json& labels = base::at(metadata, "labels");
  const json& annotations = base::at(metadata, "annotations");
  out.key = {.namespace_name = text_of(metadata, "namespace"), .name = text_of(metadata, "name")};
  out.uid = text_of(metadata, "uid");
  out.third_party_id = text_of_either(annotations, labels, label::third_party_id);
  out.parser_id = text_of_either(annotations, labels, label::parser_id);
  out.correlation_id = text_of(annotations, annotation::correlation_id);
  out.event_id = text_of(annotations, annotation::event_id);
  out.event_source = text_of(annotations, annotation::event_source);
  out.traceparent = text_of(annotations, annotation::traceparent);
  out.priority = read_priority(annotations);
  out.attempt = read_attempt(annotations);
  out.created = time_of(metadata, "creationTimestamp").value_or(CalendarTime{});
  out.admitted_by_us = text_of(labels, label::admission) == label::admission_by_operator;
  out.cancel_on_newer = text_of(annotations, annotation::on_newer) == annotation::on_newer_cancel;
  out.deleting = !base::at(metadata, "deletionTimestamp").is_null();
  out.oom_retry_memory = text_of(annotations, annotation::oom_retry_memory);
  out.waiting = text_of(annotations, annotation::waiting);
  out.has_verdict = !text_of(annotations, annotation::result).empty();
  out.dead_lettered = annotations.contains(annotation::dead_lettered);
}

}  // namespace

std::optional<Build> read_build(const json& job) {
  const json& metadata = base::at(job, "metadata");
  const json& spec = base::at(job, "spec");
  const json& status = base::at(job, "status");
  if (text_of(base::at(metadata, "labels"), label::managed_by) != label::managed_by_value)
    return std::nullopt;
  if (text_of(metadata, "name").empty()) return std::nullopt;
  Build out;
  read_metadata(out, metadata);
  out.image = read_image(spec);
  out.started = time_of(status, "startTime");
  out.deadline = seconds(std::max(0LL, whole_number(base::at(spec, "activeDeadlineSeconds")).value_or(0)));
  out.ttl_after_finished = read_ttl(base::at(metadata, "annotations"), spec);
  out.suspended = is_true(base::at(spec, "suspend"));
  out.failing = find_condition(status, "FailureTarget") != nullptr;
  out.end = read_end(status);
  return out;
}

}  // namespace lambda::builds
