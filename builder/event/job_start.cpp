#include "event/job_start.h"

#include <memory>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "build/attempt.h"
#include "event/fields.h"

namespace lambda::event {
namespace {

using base::ErrorKind;
using base::fail;
using base::quote;
using base::Result;
using nlohmann::json;
using std::chrono::seconds;

constexpr std::size_t id_max_bytes = 256;
constexpr std::size_t job_name_max_bytes = 1024;
constexpr std::size_t word_max_bytes = 63;
constexpr int priority_max = 10;
constexpr int priority_default = 1;

Result<std::shared_ptr<const json>> parse_data(const cloudevents::Event& event) {
  if (event.type != job_start_type && event.type != build_start_type) {
    return fail(
        ErrorKind::invalid,
        "is " + quote(event.type) + "; accepted: " + quote(job_start_type) + ", " + quote(build_start_type),
        "type");
  }
  if (!cloudevents::declares_json(event)) {
    return fail(ErrorKind::unsupported,
                "is " + quote(event.datacontenttype) + "; accepted: \"application/json\"", "datacontenttype");
  }
  if (event.data.empty()) return fail(ErrorKind::invalid, "is required: a JSON object", "data");
  std::shared_ptr<const json> data = event.read_data.value;
  if (data == nullptr) {
    // One level is left for the event around it: what is accepted here fits the annotation and the dead
    // letter.
    auto parsed = base::parse_json(event.data, base::json_max_depth - 1);
    if (!parsed) return fail(ErrorKind::invalid, parsed.error().message, "data");
    data = std::make_shared<const json>(std::move(*parsed));
  }
  if (data->is_object()) return data;
  return fail(ErrorKind::invalid, std::string("is of type ") + data->type_name() + "; accepted: object",
              "data");
}

// Both places are checked, even where one of them does not count.
int read_priority(Fields& data, Fields& parameters) {
  const auto outer = data.optional_integer("priority", 0, priority_max);
  const auto inner = parameters.optional_integer("priority", 0, priority_max);
  return static_cast<int>(outer.value_or(inner.value_or(priority_default)));
}

BuildType read_build_type(Fields& parameters) {
  const std::string type = parameters.optional_text("build_type", word_max_bytes);
  if (type == "function") return BuildType::function;
  if (!type.empty() && type != "container") {
    parameters.refuse(ErrorKind::invalid, "is " + quote(type) + "; accepted: \"container\", \"function\"",
                      "build_type");
  }
  return BuildType::container;
}

std::string names_of(const config::Runtimes& runtimes) {
  std::string out;
  for (const auto& [name, runtime] : runtimes) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none, as build.runtimes of the installation is empty" : out;
}

std::string read_runtime(Fields& parameters, BuildType build_type, const config::Runtimes& runtimes) {
  std::string runtime = parameters.optional_text("runtime", word_max_bytes);
  if (!base::is_label_value(runtime)) {
    parameters.refuse(
        ErrorKind::invalid,
        "is " + quote(runtime) + "; accepted: letters, digits and ._- with a letter or digit at both ends",
        "runtime");
  } else if (build_type == BuildType::function && !runtimes.contains(runtime)) {
    parameters.refuse(ErrorKind::invalid,
                      (runtime.empty() ? "is required of a function" : "is " + quote(runtime)) +
                          "; accepted: " + names_of(runtimes),
                      "runtime");
  }
  return runtime;
}

seconds read_timeout(Fields& parameters, const config::Build& settings) {
  const auto most = std::chrono::floor<seconds>(settings.max_timeout);
  const auto asked = parameters.optional_integer("build_timeout", 1, most.count());
  return asked ? seconds(*asked) : std::chrono::ceil<seconds>(settings.timeout);
}

Source read_source(Fields& parameters, const config::Build& settings) {
  const std::string url = parameters.required_text("source_url", source_url_max_bytes);
  auto source = parse_source(url, {settings.allowed_sources, settings.plain_http});
  if (source) return std::move(*source);
  parameters.refuse(source.error().kind, source.error().message, "source_url");
  return {};
}

Environment read_environment(Fields& parameters, std::optional<base::Error>& error) {
  auto environment =
      parse_environment(parameters.optional_object("environment"), parameters.path_of("environment"));
  if (environment) return std::move(*environment);
  if (!error) error = environment.error();
  return {};
}

}  // namespace

Result<JobStart> parse_job_start(const cloudevents::Event& event, const config::Build& settings) {
  const auto attempt = build::redrive_attempt(event);
  if (!attempt) return tl::unexpected(attempt.error());
  const auto object = parse_data(event);
  if (!object) return tl::unexpected(object.error());
  std::optional<base::Error> error;
  Fields data(**object, "data", error);
  Fields parameters(data.required_object("parameters"), "data.parameters", error);

  JobStart start;
  start.redrive_attempt = *attempt;
  start.third_party_id = data.required_text("third_party_id", id_max_bytes);
  start.parser_id = data.required_text("parser_id", id_max_bytes);
  start.correlation_id = data.optional_text("correlation_id", id_max_bytes);
  if (start.correlation_id.empty()) start.correlation_id = event.id;
  start.job_name = data.optional_text("job_name", job_name_max_bytes);
  start.priority = read_priority(data, parameters);
  start.build_type = read_build_type(parameters);
  start.runtime = read_runtime(parameters, start.build_type, settings.runtimes);
  start.source = read_source(parameters, settings);
  start.timeout = read_timeout(parameters, settings);
  start.environment = read_environment(parameters, error);
  if (error) return tl::unexpected(*error);
  return start;
}

}  // namespace lambda::event
