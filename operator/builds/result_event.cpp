#include "builds/result_event.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "cloudevents/trace.h"

namespace lambda::builds {
namespace {

using base::CalendarTime;
using build::Outcome;
using cloudevents::Event;
using json = nlohmann::ordered_json;

std::string_view type_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::complete:
      return complete_type;
    case Outcome::timeout:
      return timeout_type;
    case Outcome::failed:
    case Outcome::superseded:
      return failed_type;
  }
  return failed_type;
}

// The last word of a type: an event's id has it.
std::string_view last_word(std::string_view type) {
  return type.substr(type.rfind('.') + 1);
}

// Clocks of several machines: never less than nothing.
void set_seconds(json& data, const char* name, std::optional<CalendarTime> from,
                 std::optional<CalendarTime> to) {
  if (!from || !to) return;
  data[name] = std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(*to - *from).count());
}

void set_unless_empty(json& data, const char* name, const std::string& text) {
  if (!text.empty()) data[name] = text;
}

json identity_of(const Build& build) {
  return {{"job_name", build.key.name},
          {"namespace", build.key.namespace_name},
          {"third_party_id", build.third_party_id},
          {"parser_id", build.parser_id},
          {"correlation_id", build.correlation_id},
          {"event_id", build.event_id},
          {"event_source", build.event_source},
          {"attempt", build.attempt},
          {"image", build.image}};
}

void set_start(json& data, const Build& build, std::optional<CalendarTime> container_started) {
  data["created_at"] = base::format_rfc3339(build.created);
  if (container_started) data["started_at"] = base::format_rfc3339(*container_started);
  set_seconds(data, "queued_seconds", build.created, build.started);
  set_seconds(data, "waiting_seconds", build.started, container_started);
}

void set_extension(Event& event, std::string_view name, const std::string& value) {
  if (!value.empty()) event.extensions[std::string(name)] = value;
}

Event make_event(const Build& build, std::string_view type, std::string_view source, CalendarTime time,
                 const json& data) {
  Event out;
  out.id = build.uid + "." + std::string(last_word(type));
  out.source = source;
  out.type = type;
  out.subject = build.key.name;
  out.time = base::format_rfc3339(time);
  out.datacontenttype = "application/json";
  set_extension(out, "correlationid", build.correlation_id);
  set_extension(out, "thirdpartyid", build.third_party_id);
  set_extension(out, "parserid", build.parser_id);
  if (cloudevents::is_traceparent(build.traceparent)) {
    set_extension(out, cloudevents::traceparent_extension, build.traceparent);
  }
  out.data = data.dump(-1, ' ', false, json::error_handler_t::replace);
  return out;
}

}  // namespace

Event started_event(const Build& build, CalendarTime container_started, std::string_view source) {
  json data = identity_of(build);
  set_start(data, build, container_started);
  return make_event(build, started_type, source, container_started, data);
}

Event result_event(const Build& build, const Verdict& verdict, std::string_view source) {
  json data = identity_of(build);
  data["outcome"] = build::to_string(verdict.outcome);
  if (verdict.failure_class) data["class"] = build::to_string(*verdict.failure_class);
  data["reason"] = verdict.reason;
  data["message"] = verdict.message;
  set_unless_empty(data, "digest", verdict.digest);
  set_start(data, build, verdict.container_started);
  data["finished_at"] = base::format_rfc3339(verdict.finished);
  set_seconds(data, "build_seconds", verdict.container_started, verdict.finished);
  set_unless_empty(data, "retried_as", verdict.retried_as);
  set_unless_empty(data, "log_tail", verdict.log_tail);
  return make_event(build, type_of(verdict.outcome), source, verdict.finished, data);
}

}  // namespace lambda::builds
