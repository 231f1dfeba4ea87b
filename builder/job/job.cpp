#include "job/job.h"

#include <array>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "build/destination.h"
#include "build/identity.h"
#include "build/ids.h"
#include "build/labels.h"
#include "cloudevents/json.h"
#include "cloudevents/trace.h"

namespace lambda::job {
namespace {

namespace annotation = build::annotation;
namespace label = build::label;
using json = nlohmann::ordered_json;  // for people: a Job reads in the order in which it is written here
using std::chrono::seconds;

constexpr std::string_view registry_volume = "registry-credentials";

// All that Kaniko needs to unpack layers and to run a Dockerfile's commands as other users, and no more.
constexpr std::array<std::string_view, 7> capabilities{"CHOWN",  "DAC_OVERRIDE", "FOWNER", "SETUID",
                                                       "SETGID", "SETFCAP",      "KILL"};

void set_unless_empty(json& object, std::string_view key, const std::string& value) {
  if (!value.empty()) object[std::string(key)] = value;
}

json labels(const event::JobStart& start) {
  json out = {{label::name, label::name_value},
              {label::managed_by, label::managed_by_value},
              {label::part_of, label::part_of_value},
              {label::third_party_id, build::label_value(start.third_party_id)},
              {label::parser_id, build::label_value(start.parser_id)}};
  set_unless_empty(out, label::runtime, start.runtime);
  return out;
}

// The id itself, where the label could only hold its hash.
void set_original(json& annotations, std::string_view key, const std::string& id) {
  if (build::label_value(id) != id) annotations[std::string(key)] = id;
}

json annotations(const cloudevents::Event& event, const event::JobStart& start) {
  json out = {{annotation::event_id, event.id},
              {annotation::event_source, event.source},
              {annotation::correlation_id, start.correlation_id}};
  set_unless_empty(out, annotation::event_time, event.time);
  set_unless_empty(out, annotation::job_name, start.job_name);
  set_original(out, annotation::third_party_id, start.third_party_id);
  set_original(out, annotation::parser_id, start.parser_id);
  set_unless_empty(out, annotation::traceparent, cloudevents::traceparent(event));
  if (std::string text = cloudevents::encode_json(event); text.size() <= event_annotation_max_bytes) {
    out[std::string(annotation::event)] = std::move(text);
  }
  return out;
}

// Kubernetes replaces $(NAME) in arguments by the container's variables, the git credentials among them. "$$"
// is how it writes a plain "$".
std::string literally(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

// Left at Kaniko's default: --snapshot-mode, because "redo" is faster by not reading the files, and so misses
// one that was rewritten with equal size and time, as reproducible builds do.
json arguments(const config::Build& settings, const event::JobStart& start, const std::string& destination) {
  json out = json::array();
  out.push_back("--context=" + start.source.context);
  if (!start.source.sub_path.empty()) out.push_back("--context-sub-path=" + start.source.sub_path);
  out.push_back("--dockerfile=Dockerfile");
  out.push_back("--destination=" + destination);
  out.push_back("--digest-file=/dev/termination-log");
  out.push_back("--log-format=text");  // the default colours the log with control characters
  out.push_back("--push-retry=3");
  out.push_back("--image-fs-extract-retry=3");
  out.push_back("--image-download-retry=3");
  if (settings.plain_http) {
    out.push_back("--insecure");
    out.push_back("--insecure-pull");
  }
  for (const auto& [name, value] : start.environment) {
    out.push_back("--build-arg=" + name + "=" + literally(value));
  }
  return out;
}

json optional_secret_key(std::string_view variable, const std::string& secret, std::string_view key) {
  return {{"name", variable},
          {"valueFrom", {{"secretKeyRef", {{"name", secret}, {"key", key}, {"optional", true}}}}}};
}

json environment(const config::Build& settings, const event::JobStart& start) {
  json out = json::array();
  if (start.source.plain_http) out.push_back({{"name", "GIT_PULL_METHOD"}, {"value", "http"}});
  if (!settings.git_secret.empty()) {
    const std::string secret = build::make_secret_name(settings.git_secret, start.third_party_id);
    out.push_back(optional_secret_key("GIT_USERNAME", secret, "username"));
    out.push_back(optional_secret_key("GIT_PASSWORD", secret, "password"));
    out.push_back(optional_secret_key("GIT_TOKEN", secret, "token"));
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

json container(const config::Build& settings, const event::JobStart& start, const std::string& destination) {
  json out = {
      {"name", "kaniko"}, {"image", settings.image}, {"args", arguments(settings, start, destination)}};
  if (json variables = environment(settings, start); !variables.empty()) out["env"] = std::move(variables);
  if (json amounts = resources(settings.resources); !amounts.empty()) out["resources"] = std::move(amounts);
  if (!settings.registry_secret.empty()) {
    out["volumeMounts"] =
        json::array({{{"name", registry_volume}, {"mountPath", "/kaniko/.docker"}, {"readOnly", true}}});
  }
  out["securityContext"] = {{"runAsUser", 0},
                            {"capabilities", {{"drop", json::array({"ALL"})}, {"add", capabilities}}}};
  // Kaniko writes the digest there; with the log in its place, nobody could tell a digest from an error.
  out["terminationMessagePolicy"] = "File";
  return out;
}

json registry_volumes(const std::string& secret) {
  const json items = json::array({{{"key", ".dockerconfigjson"}, {"path", "config.json"}}});
  return json::array({{{"name", registry_volume}, {"secret", {{"secretName", secret}, {"items", items}}}}});
}

json pod(const config::Build& settings, const event::JobStart& start, const std::string& destination) {
  json out = {
      {"restartPolicy", "Never"}, {"automountServiceAccountToken", false}, {"enableServiceLinks", false}};
  set_unless_empty(out, "serviceAccountName", settings.service_account_name);
  out["securityContext"] = {{"seccompProfile", {{"type", "RuntimeDefault"}}}};
  out["containers"] = json::array({container(settings, start, destination)});
  if (!settings.registry_secret.empty()) {
    out["volumes"] =
        registry_volumes(build::make_secret_name(settings.registry_secret, start.third_party_id));
  }
  return out;
}

}  // namespace

Job make_job(const config::Build& settings, const cloudevents::Event& event, const event::JobStart& start,
             unsigned redrive_attempt) {
  const build::EventIdentity identity{event.source, event.id, redrive_attempt};
  Job job{build::job_name(identity), settings.namespace_name, {}};
  const std::string destination = build::make_destination(settings.destination, start.third_party_id,
                                                          start.parser_id, build::event_hash(identity));
  const json own_labels = labels(start);
  const json object = {
      {"apiVersion", "batch/v1"},
      {"kind", "Job"},
      {"metadata",
       {{"name", job.name},
        {"namespace", job.namespace_name},
        {"labels", own_labels},
        {"annotations", annotations(event, start)}}},
      {"spec",
       {{"backoffLimit", 0},  // who retries a build is the operator or the sender, not Kubernetes too
        {"activeDeadlineSeconds", start.timeout.count()},
        {"ttlSecondsAfterFinished", std::chrono::ceil<seconds>(settings.ttl_after_finished).count()},
        {"template",
         {{"metadata", {{"labels", own_labels}}}, {"spec", pod(settings, start, destination)}}}}}};
  job.body = object.dump(-1, ' ', false, json::error_handler_t::replace);
  return job;
}

}  // namespace lambda::job
