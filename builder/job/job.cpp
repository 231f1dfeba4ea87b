#include "job/job.h"

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
#include "job/json_template.h"
#include "job/object.h"
#include "job/protobuf_template.h"

namespace lambda::job {
namespace {

namespace annotation = build::annotation;
namespace label = build::label;
using std::chrono::seconds;

// Kubernetes replaces $(NAME) in arguments by the container's variables, the git credentials among them. "$$"
// is how it writes a plain "$".
std::string literally(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

// One event's answers to the gaps, by the Writer of whichever template has them.
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

  template <class Writer>
  void operator()(Writer out, Gap gap) const {
    switch (gap) {
      case Gap::none:
        return;
      case Gap::more_labels:
        if (!start_.runtime.empty()) out.member(label::runtime, start_.runtime);
        return;
      case Gap::more_annotations:
        return write_annotations(out);
      case Gap::more_arguments:
        return write_build_arguments(out);
      case Gap::context:
        return write_context(out);
      case Gap::timeout_seconds:
        return out.value(std::int64_t{start_.timeout.count()});
      default:
        out.value(text_of(gap));
    }
  }

 private:
  template <class Writer>
  void write_annotations(Writer& out) const {
    const auto unless_empty = [&](std::string_view key, std::string_view value) {
      if (!value.empty()) out.member(key, value);
    };
    unless_empty(annotation::event_time, event_.time);
    unless_empty(annotation::job_name, start_.job_name);
    if (start_.redrive_attempt > 0) out.member(annotation::attempt, std::to_string(start_.redrive_attempt));
    // The id itself, where the label could only hold its hash.
    if (third_party_label_ != start_.third_party_id)
      out.member(annotation::third_party_id, start_.third_party_id);
    if (parser_label_ != start_.parser_id) out.member(annotation::parser_id, start_.parser_id);
    unless_empty(annotation::traceparent, cloudevents::traceparent(event_));
    const std::string text = cloudevents::encode_with_json_data(event_);
    if (text.size() <= event_annotation_max_bytes) out.member(annotation::event, text);
  }

  template <class Writer>
  void write_context(Writer& out) const {
    out.value("--context=" + start_.source.context);
    if (!start_.source.sub_path.empty()) out.item("--context-sub-path=" + start_.source.sub_path);
  }

  template <class Writer>
  void write_build_arguments(Writer& out) const {
    for (const auto& [name, value] : start_.environment) {
      out.item("--build-arg=" + name + "=" + literally(value));
    }
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

// One for each shape that a Job can have, in one of the formats.
struct JobMaker::Templates {
  Templates(const config::Build& settings, Format format) {
    if (format == Format::protobuf) compile_protobuf(settings);
    if (!protobuf.empty()) return;
    for (const Shape& shape : shapes()) json.emplace_back(render(settings, shape));
  }

  void compile_protobuf(const config::Build& settings) {
    for (const Shape& shape : shapes()) {
      base::Result<ProtobufTemplate> compiled = ProtobufTemplate::make(render(settings, shape));
      if (!compiled) {
        protobuf.clear();
        why_json = std::move(compiled.error());
        return;
      }
      protobuf.push_back(std::move(*compiled));
    }
  }

  static std::vector<Shape> shapes() {
    std::vector<Shape> out;
    for (std::size_t source = 0; source < source_kinds; ++source) {
      for (const bool plain_http : {false, true}) {
        for (const auto build_type : {event::BuildType::container, event::BuildType::function})
          out.push_back({static_cast<event::SourceKind>(source), plain_http, build_type});
      }
    }
    return out;
  }

  // Of its shape, among shapes().
  static std::size_t index_of(const event::JobStart& start) {
    const bool function = start.build_type == event::BuildType::function;
    return static_cast<std::size_t>(start.source.kind) * 4 + (start.source.plain_http ? 2U : 0U) +
           (function ? 1U : 0U);
  }

  std::vector<JsonTemplate> json;
  std::vector<ProtobufTemplate> protobuf;
  std::optional<base::Error> why_json;
};

JobMaker::JobMaker(const config::Build& settings, Format format)
    : settings_(settings), templates_(std::make_unique<const Templates>(settings, format)) {}

JobMaker::~JobMaker() = default;

const std::optional<base::Error>& JobMaker::why_json() const {
  return templates_->why_json;
}

Job JobMaker::make(const cloudevents::Event& event, const event::JobStart& start) const {
  constexpr std::size_t usual_body_bytes = 4096;
  const std::string event_hash = build::event_hash({event.source, event.id, start.redrive_attempt});
  Job job{build::job_name_of(event_hash), settings_.namespace_name, {}};
  job.body.reserve(usual_body_bytes + 2 * event.data.size());
  const Filler fill(settings_, event, start, job.name, event_hash);
  const std::size_t shape = Templates::index_of(start);
  if (templates_->protobuf.empty()) {
    templates_->json[shape].write(job.body, fill);
  } else {
    templates_->protobuf[shape].write(job.body, fill);
    job.content_type = kube::protobuf_type;
  }
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
