#include "follow/build_writes.h"

#include <string>

#include <nlohmann/json.hpp>

#include "api/names.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "build/labels.h"
#include "build/outcome.h"
#include "desired/desired.h"
#include "kube/resource.h"

namespace lambda::follow {
namespace {

using base::ErrorKind;
using base::Result;
using nlohmann::json;

constexpr std::size_t condition_message_max_bytes = 1024;

const std::string field_manager(desired::manager);

Result<void> fine_if_gone(const Result<json>& written) {
  if (written || written.error().kind == ErrorKind::not_found) return {};
  return tl::unexpected(written.error());
}

json failure_target(std::string_view reason, std::string_view message) {
  const std::string now = base::format_rfc3339(std::chrono::system_clock::now());
  return {{"type", "FailureTarget"}, {"status", "True"},
          {"reason", reason},        {"message", base::cut(message, condition_message_max_bytes)},
          {"lastProbeTime", now},    {"lastTransitionTime", now}};
}

bool has_end(const json& conditions) {
  for (const json& condition : conditions) {
    const std::string& type = base::text_at(condition, "/type");
    const bool ends =
        type == "FailureTarget" || type == "SuccessCriteriaMet" || type == "Failed" || type == "Complete";
    if (ends && base::text_at(condition, "/status") == "True") return true;
  }
  return false;
}

}  // namespace

Result<void> BuildWrites::merge(const builds::Build& build, json patch, bool status,
                                const std::stop_token& stop) const {
  patch["metadata"]["uid"] = build.uid;
  return fine_if_gone(api_.patch(kube::resources::job, build.key.namespace_name, build.key.name,
                                 kube::PatchKind::merge, patch,
                                 {.field_manager = field_manager, .status = status}, stop));
}

Result<void> BuildWrites::release(const builds::Build& build, const std::stop_token& stop) const {
  return merge(build, {{"spec", {{"suspend", false}}}}, false, stop);
}

Result<void> BuildWrites::fail(const builds::Build& build, std::string_view reason, std::string_view message,
                               const std::stop_token& stop) const {
  const auto job = api_.get(kube::resources::job, build.key.namespace_name, build.key.name, stop);
  if (!job) return fine_if_gone(job);
  json conditions = base::at(base::at(*job, "status"), "conditions");
  if (!conditions.is_array()) conditions = json::array();
  if (!has_end(conditions)) {
    conditions.push_back(failure_target(reason, message));
    json patch{{"metadata", {{"resourceVersion", base::text_at(*job, "/metadata/resourceVersion")}}},
               {"status", {{"conditions", std::move(conditions)}}}};
    if (auto written = merge(build, std::move(patch), true, stop); !written) return written;
  }
  // A Job that is suspended does not end; with the condition there, it does so without a pod.
  if (base::at(base::at(*job, "spec"), "suspend") == json(true)) return release(build, stop);
  return {};
}

Result<void> BuildWrites::annotate(const builds::Build& build, std::string_view name, std::string_view value,
                                   const std::stop_token& stop) const {
  const json text = value.empty() ? json(nullptr) : json(value);
  return merge(build, {{"metadata", {{"annotations", {{name, text}}}}}}, false, stop);
}

Result<void> BuildWrites::settle(const builds::Build& build, const builds::Verdict& verdict,
                                 const std::stop_token& stop) const {
  json patch;
  patch["metadata"]["labels"][std::string(build::label::outcome)] = build::to_string(verdict.outcome);
  json& annotations = patch["metadata"]["annotations"];
  annotations[std::string(build::annotation::result)] = to_text(verdict);
  annotations[std::string(build::annotation::waiting)] = nullptr;
  if (build.ttl_after_finished) {
    patch["spec"]["ttlSecondsAfterFinished"] = build.ttl_after_finished->count();
  }
  return merge(build, std::move(patch), false, stop);
}

}  // namespace lambda::follow
