#include "job/object.h"

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/time.h"
#include "build/labels.h"
#include "job/gap.h"

namespace lambda::job {
namespace {

namespace annotation = build::annotation;
namespace label = build::label;
using config::Admission;
using config::OnNewer;
using event::BuildType;
using event::SourceKind;
using json = nlohmann::ordered_json;  // for people: a Job reads in the order in which it is written here
using std::chrono::seconds;

static_assert(static_cast<std::size_t>(SourceKind::archive) + 1 == source_kinds);

constexpr std::string_view registry_volume = "registry-credentials";
constexpr std::string_view source_volume = "source-credentials";
constexpr std::string_view runtime_volume = "runtime";

// Kaniko keeps its own folder out of the image that it builds.
constexpr std::string_view registry_folder = "/kaniko/.docker";
constexpr std::string_view source_folder = "/kaniko/source";
constexpr std::string_view runtime_folder = "/kaniko/runtime";

// All that Kaniko needs to unpack layers and to run a Dockerfile's commands as other users, and no more.
constexpr std::array<std::string_view, 7> capabilities{"CHOWN",  "DAC_OVERRIDE", "FOWNER", "SETUID",
                                                       "SETGID", "SETFCAP",      "KILL"};

// The keys of the source Secret, which are the variables' names too.
constexpr std::array<std::string_view, 6> s3_variables{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                                       "AWS_SESSION_TOKEN", "AWS_REGION",
                                                       "S3_ENDPOINT",       "S3_FORCE_PATH_STYLE"};
constexpr std::string_view azure_variable = "AZURE_STORAGE_ACCESS_KEY";
constexpr std::string_view gcs_key = "gcs.json";

std::string in_folder(std::string_view folder, std::string_view file) {
  return std::string(folder) + "/" + std::string(file);
}

void set_unless_empty(json& object, std::string_view key, const std::string& value) {
  if (!value.empty()) object[std::string(key)] = value;
}

// The Job's and its pod's.
json labels() {
  return {{label::name, label::name_value},
          {label::managed_by, label::managed_by_value},
          {label::part_of, label::part_of_value},
          {label::third_party_id, value_gap(Gap::third_party_label)},
          {label::parser_id, value_gap(Gap::parser_label)},
          {rest_key, rest_gap(Gap::more_labels)}};
}

// A queue is a matter of the Job alone: Kueue would take a pod with the label for a workload of its own.
json job_labels(const config::Build& settings) {
  json out = labels();
  if (settings.admission == Admission::by_operator) out[label::admission] = label::admission_by_operator;
  if (settings.admission == Admission::by_kueue) {
    out[label::kueue_queue] = value_gap(Gap::queue_name);
    set_unless_empty(out, label::kueue_priority_class, settings.kueue.priority_class);
  }
  return out;
}

std::chrono::seconds::rep ttl_seconds(const config::Build& settings) {
  return std::chrono::ceil<seconds>(settings.ttl_after_finished).count();
}

json annotations(const config::Build& settings) {
  json out = {{annotation::event_id, value_gap(Gap::event_id)},
              {annotation::event_source, value_gap(Gap::event_source)},
              {annotation::correlation_id, value_gap(Gap::correlation_id)}};
  if (settings.admission == Admission::by_operator) out[annotation::priority] = value_gap(Gap::priority);
  if (settings.followed_by_operator)
    out[annotation::ttl_after_finished] = std::to_string(ttl_seconds(settings));
  if (settings.on_newer == OnNewer::cancel) out[annotation::on_newer] = annotation::on_newer_cancel;
  set_unless_empty(out, annotation::oom_retry_memory, settings.oom_retry.memory);
  out[rest_key] = rest_gap(Gap::more_annotations);
  return out;
}

void push_cache_arguments(json& out, const config::Cache& cache) {
  if (!cache.enabled) return;
  out.push_back("--cache=true");
  out.push_back(value_gap(Gap::cache_repository));
  out.push_back("--cache-ttl=" + base::format_duration(cache.ttl));
  if (!cache.compressed) out.push_back("--compressed-caching=false");
}

// Left at Kaniko's default: --snapshot-mode, because "redo" is faster by not reading the files, and so misses
// one that was rewritten with equal size and time, as reproducible builds do.
json arguments(const config::Build& settings, BuildType build_type) {
  const std::string dockerfile = "Dockerfile";
  json out = json::array();
  out.push_back(value_gap(Gap::context));
  out.push_back("--dockerfile=" +
                (build_type == BuildType::function ? in_folder(runtime_folder, dockerfile) : dockerfile));
  out.push_back(value_gap(Gap::destination));
  out.push_back("--digest-file=/dev/termination-log");
  out.push_back("--log-format=text");  // the default colours the log with control characters
  out.push_back("--push-retry=3");
  out.push_back("--image-fs-extract-retry=3");
  out.push_back("--image-download-retry=3");
  push_cache_arguments(out, settings.cache);
  if (settings.plain_http) {
    out.push_back("--insecure");
    out.push_back("--insecure-pull");
  }
  out.push_back(rest_gap(Gap::more_arguments));
  return out;
}

json secret_variable(std::string_view variable, Gap secret, std::string_view key) {
  return {{"name", variable},
          {"valueFrom", {{"secretKeyRef", {{"name", value_gap(secret)}, {"key", key}, {"optional", true}}}}}};
}

json git_variables(const config::Build& settings, bool plain_http) {
  json out = json::array();
  if (plain_http) out.push_back({{"name", "GIT_PULL_METHOD"}, {"value", "http"}});
  if (!settings.git_secret.empty()) {
    out.push_back(secret_variable("GIT_USERNAME", Gap::git_secret, "username"));
    out.push_back(secret_variable("GIT_PASSWORD", Gap::git_secret, "password"));
    out.push_back(secret_variable("GIT_TOKEN", Gap::git_secret, "token"));
  }
  return out;
}

bool mounts_source_secret(const config::Build& settings, const Shape& shape) {
  return !settings.source_secret.empty() && shape.source == SourceKind::gs;
}

// Each build gets the credentials of its own kind of source only: its Dockerfile can read them.
json variables(const config::Build& settings, const Shape& shape) {
  if (shape.source == SourceKind::git) return git_variables(settings, shape.plain_http);
  json out = json::array();
  if (settings.source_secret.empty()) return out;
  if (shape.source == SourceKind::s3) {
    for (const auto name : s3_variables) out.push_back(secret_variable(name, Gap::source_secret, name));
  } else if (shape.source == SourceKind::azure_blob) {
    out.push_back(secret_variable(azure_variable, Gap::source_secret, azure_variable));
  } else if (shape.source == SourceKind::gs) {
    out.push_back({{"name", "GOOGLE_APPLICATION_CREDENTIALS"}, {"value", in_folder(source_folder, gcs_key)}});
  }
  return out;
}

json quantities(const std::vector<std::pair<std::string, std::string>>& amounts) {
  json out = json::object();
  for (const auto& [resource, quantity] : amounts) out[resource] = quantity;
  return out;
}

json resources(const config::Resources& configured) {
  json out = json::object();
  if (!configured.requests.empty()) out["requests"] = quantities(configured.requests);
  if (!configured.limits.empty()) out["limits"] = quantities(configured.limits);
  return out;
}

json mount(std::string_view volume, std::string_view folder) {
  return {{"name", volume}, {"mountPath", folder}, {"readOnly", true}};
}

json mounts(const config::Build& settings, const Shape& shape) {
  json out = json::array();
  if (!settings.registry_secret.empty()) out.push_back(mount(registry_volume, registry_folder));
  if (mounts_source_secret(settings, shape)) out.push_back(mount(source_volume, source_folder));
  if (shape.build_type == BuildType::function) out.push_back(mount(runtime_volume, runtime_folder));
  return out;
}

json one_file(json key, std::string_view path) {
  return json::array({{{"key", std::move(key)}, {"path", path}}});
}

json secret_volume(std::string_view name, Gap secret, std::string_view key, std::string_view path) {
  return {{"name", name}, {"secret", {{"secretName", value_gap(secret)}, {"items", one_file(key, path)}}}};
}

json volumes(const config::Build& settings, const Shape& shape) {
  json out = json::array();
  if (!settings.registry_secret.empty()) {
    out.push_back(secret_volume(registry_volume, Gap::registry_secret, ".dockerconfigjson", "config.json"));
  }
  if (mounts_source_secret(settings, shape)) {
    out.push_back(secret_volume(source_volume, Gap::source_secret, gcs_key, gcs_key));
  }
  if (shape.build_type == BuildType::function) {
    const json items = one_file(value_gap(Gap::runtime_key), "Dockerfile");
    out.push_back({{"name", runtime_volume},
                   {"configMap", {{"name", value_gap(Gap::runtime_config_map)}, {"items", items}}}});
  }
  return out;
}

void set_unless_none(json& object, std::string_view key, json items) {
  if (!items.empty()) object[std::string(key)] = std::move(items);
}

json container(const config::Build& settings, const Shape& shape) {
  json out = {{"name", "kaniko"}, {"image", settings.image}, {"args", arguments(settings, shape.build_type)}};
  set_unless_none(out, "env", variables(settings, shape));
  set_unless_none(out, "resources", resources(settings.resources));
  set_unless_none(out, "volumeMounts", mounts(settings, shape));
  out["securityContext"] = {{"runAsUser", 0},
                            {"capabilities", {{"drop", json::array({"ALL"})}, {"add", capabilities}}}};
  // Kaniko writes the digest there; with the log in its place, nobody could tell a digest from an error.
  out["terminationMessagePolicy"] = "File";
  return out;
}

json pod(const config::Build& settings, const Shape& shape) {
  json out = {
      {"restartPolicy", "Never"}, {"automountServiceAccountToken", false}, {"enableServiceLinks", false}};
  set_unless_empty(out, "serviceAccountName", settings.service_account_name);
  out["securityContext"] = {{"seccompProfile", {{"type", "RuntimeDefault"}}}};
  out["containers"] = json::array({container(settings, shape)});
  set_unless_none(out, "volumes", volumes(settings, shape));
  return out;
}

json specification(const config::Build& settings, const Shape& shape) {
  json out = {{"backoffLimit", 0},  // who retries a build is the operator or the sender, not Kubernetes too
              {"activeDeadlineSeconds", value_gap(Gap::timeout_seconds)}};
  // One that is followed must not vanish before its end was told: the operator sets it then.
  if (!settings.followed_by_operator) out["ttlSecondsAfterFinished"] = ttl_seconds(settings);
  if (settings.admission != Admission::none) out["suspend"] = true;
  out["template"] = {{"metadata", {{"labels", labels()}}}, {"spec", pod(settings, shape)}};
  return out;
}

}  // namespace

json render(const config::Build& settings, const Shape& shape) {
  json out = {{"apiVersion", "batch/v1"},
              {"kind", "Job"},
              {"metadata",
               {{"name", value_gap(Gap::job_name)},
                {"namespace", settings.namespace_name},
                {"labels", job_labels(settings)},
                {"annotations", annotations(settings)}}},
              {"spec", specification(settings, shape)}};
  out.merge_patch(json::parse(settings.job_patch));
  return out;
}

}  // namespace lambda::job
