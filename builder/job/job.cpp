#include "job/job.h"

#include <array>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "build/destination.h"
#include "build/identity.h"
#include "build/ids.h"
#include "build/labels.h"
#include "cloudevents/json.h"
#include "cloudevents/trace.h"
#include "job/object.h"
#include "job/template.h"

namespace lambda::job {
namespace {

namespace annotation = build::annotation;
namespace label = build::label;
using base::append_json_string;
using std::chrono::seconds;

// -- What an event writes into the gaps of a template

// A further member of an object.
void append_member(std::string& out, std::string_view key, std::string_view value) {
  out += ",\"";
  out += key;
  out += "\":";
  append_json_string(out, value);
}

void append_unless_empty(std::string& out, std::string_view key, std::string_view value) {
  if (!value.empty()) append_member(out, key, value);
}

// A further item of an array.
void append_argument(std::string& out, std::string_view argument) {
  out += ',';
  append_json_string(out, argument);
}

// The id itself, where the label could only hold its hash.
void append_original(std::string& out, std::string_view key, const std::string& id, std::string_view label) {
  if (label != id) append_member(out, key, id);
}

// Kubernetes replaces $(NAME) in arguments by the container's variables, the git credentials among them. "$$"
// is how it writes a plain "$".
std::string literally(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

void append_context(std::string& out, const event::Source& source) {
  append_json_string(out, "--context=" + source.context);
  if (!source.sub_path.empty()) append_argument(out, "--context-sub-path=" + source.sub_path);
}

void append_build_arguments(std::string& out, const event::JobStart& start) {
  for (const auto& [name, value] : start.environment) {
    append_argument(out, "--build-arg=" + name + "=" + literally(value));
  }
}

// One event's answers to the gaps.
class Filler {
 public:
  Filler(const config::Build& settings, const cloudevents::Event& event, const event::JobStart& start,
         const std::string& job_name, const std::string& event_hash)
      : settings_(settings),
        event_(event),
        start_(start),
        job_name_(job_name),
        event_hash_(event_hash),
        third_party_label_(build::label_value(start.third_party_id)),
        parser_label_(build::label_value(start.parser_id)) {}

  void operator()(std::string& out, Gap gap) const {
    switch (gap) {
      case Gap::none:
        return;
      case Gap::more_labels:
        return append_unless_empty(out, label::runtime, start_.runtime);
      case Gap::more_annotations:
        return append_annotations(out);
      case Gap::more_arguments:
        return append_build_arguments(out, start_);
      case Gap::context:
        return append_context(out, start_.source);
      case Gap::timeout_seconds:
        out += std::to_string(start_.timeout.count());
        return;
      default:
        append_json_string(out, text_of(gap));
    }
  }

 private:
  void append_annotations(std::string& out) const {
    append_unless_empty(out, annotation::event_time, event_.time);
    append_unless_empty(out, annotation::job_name, start_.job_name);
    if (start_.redrive_attempt > 0)
      append_member(out, annotation::attempt, std::to_string(start_.redrive_attempt));
    append_original(out, annotation::third_party_id, start_.third_party_id, third_party_label_);
    append_original(out, annotation::parser_id, start_.parser_id, parser_label_);
    append_unless_empty(out, annotation::traceparent, cloudevents::traceparent(event_));
    const std::string text = cloudevents::encode_with_json_data(event_);
    if (text.size() <= event_annotation_max_bytes) append_member(out, annotation::event, text);
  }

  std::string text_of(Gap gap) const {
    const std::string& tenant = start_.third_party_id;
    switch (gap) {
      case Gap::job_name:
        return job_name_;
      case Gap::third_party_label:
        return third_party_label_;
      case Gap::parser_label:
        return parser_label_;
      case Gap::queue_name:
        return build::make_queue_name(settings_.kueue.queue_name, tenant);
      case Gap::event_id:
        return event_.id;
      case Gap::event_source:
        return event_.source;
      case Gap::correlation_id:
        return start_.correlation_id;
      case Gap::priority:
        return std::to_string(start_.priority);
      case Gap::destination:
        return "--destination=" +
               build::make_destination(settings_.destination, tenant, start_.parser_id, event_hash_);
      case Gap::cache_repository:
        return "--cache-repo=" + build::make_cache_repository(settings_.cache.repo, tenant, start_.parser_id);
      default:
        return name_of(gap);
    }
  }

  // Of a Secret or ConfigMap.
  std::string name_of(Gap gap) const {
    const std::string& tenant = start_.third_party_id;
    switch (gap) {
      case Gap::registry_secret:
        return build::make_secret_name(settings_.registry_secret, tenant);
      case Gap::git_secret:
        return build::make_secret_name(settings_.git_secret, tenant);
      case Gap::source_secret:
        return build::make_secret_name(settings_.source_secret, tenant);
      case Gap::runtime_config_map:
        return settings_.runtimes.find(start_.runtime)->second.config_map;
      case Gap::runtime_key:
        return settings_.runtimes.find(start_.runtime)->second.key;
      default:
        return {};
    }
  }

  const config::Build& settings_;
  const cloudevents::Event& event_;
  const event::JobStart& start_;
  const std::string& job_name_;
  const std::string& event_hash_;
  const std::string third_party_label_;
  const std::string parser_label_;
};

}  // namespace

// One for each shape that a Job can have.
struct JobMaker::Templates {
  static constexpr std::size_t count = source_kinds * 2 * 2;

  explicit Templates(const config::Build& settings) {
    for (std::size_t i = 0; i < count; ++i) {
      const Shape shape{static_cast<event::SourceKind>(i / 4), i / 2 % 2 == 1,
                        i % 2 == 1 ? event::BuildType::function : event::BuildType::container};
      all[i] = Template(render(settings, shape));
    }
  }

  const Template& of(const event::JobStart& start) const {
    const bool function = start.build_type == event::BuildType::function;
    return all[static_cast<std::size_t>(start.source.kind) * 4 + (start.source.plain_http ? 2U : 0U) +
               (function ? 1U : 0U)];
  }

  std::array<Template, count> all;
};

JobMaker::JobMaker(const config::Build& settings)
    : settings_(settings), templates_(std::make_unique<const Templates>(settings)) {}

JobMaker::~JobMaker() = default;

Job JobMaker::make(const cloudevents::Event& event, const event::JobStart& start) const {
  constexpr std::size_t usual_body_bytes = 4096;
  const std::string event_hash = build::event_hash({event.source, event.id, start.redrive_attempt});
  Job job{build::job_name_of(event_hash), settings_.namespace_name, {}};
  job.body.reserve(usual_body_bytes + 2 * event.data.size());
  templates_->of(start).write(job.body, Filler(settings_, event, start, job.name, event_hash));
  return job;
}

Job JobMaker::make_reference() const {
  cloudevents::Event event;
  event.id = "preflight";
  event.source = "knative-lambda-builder";
  event.type = event::job_start_type;
  event.data = "{}";
  event::JobStart start;
  start.third_party_id = "preflight";
  start.parser_id = "preflight";
  start.correlation_id = "preflight";
  start.source.context = "git://example.invalid/preflight";
  start.timeout = std::chrono::ceil<seconds>(settings_.timeout);
  return make(event, start);
}

}  // namespace lambda::job
