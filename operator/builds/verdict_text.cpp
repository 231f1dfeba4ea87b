#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "builds/json_fields.h"
#include "builds/verdict.h"

namespace lambda::builds {
namespace {

using base::CalendarTime;
using base::ErrorKind;
using json = nlohmann::ordered_json;

constexpr std::array members{"outcome",    "class",    "reason",     "message",    "digest",
                             "retried_as", "log_tail", "started_at", "finished_at"};

void set_unless_empty(json& object, const char* name, const std::string& text) {
  if (!text.empty()) object[name] = text;
}

base::Result<void> check_members(const nlohmann::json& object) {
  if (!object.is_object()) return base::fail(ErrorKind::invalid, "a verdict is a JSON object");
  for (const auto& [name, value] : object.items()) {
    if (std::ranges::find(members, name) == members.end()) {
      return base::fail(ErrorKind::invalid, "no member of a verdict", name);
    }
    if (!value.is_string()) return base::fail(ErrorKind::invalid, "a text is expected", name);
  }
  return {};
}

bool is_without_class(build::Outcome outcome) {
  return outcome == build::Outcome::complete || outcome == build::Outcome::superseded;
}

base::Result<void> read_words(Verdict& out, const nlohmann::json& object) {
  const auto outcome = build::parse_outcome(text_of(object, "outcome"));
  if (!outcome) return base::fail(ErrorKind::invalid, "complete, failed, timeout or superseded", "outcome");
  out.outcome = *outcome;
  out.failure_class = build::parse_failure_class(text_of(object, "class"));
  if (out.failure_class.has_value() != object.contains("class")) {
    return base::fail(ErrorKind::invalid, "no class of failures", "class");
  }
  if (out.failure_class.has_value() == is_without_class(out.outcome)) {
    return base::fail(ErrorKind::invalid, "goes with failed and timeout, and only with these", "class");
  }
  return {};
}

base::Result<void> read_times(Verdict& out, const nlohmann::json& object) {
  out.container_started = time_of(object, "started_at");
  if (out.container_started.has_value() != object.contains("started_at")) {
    return base::fail(ErrorKind::invalid, "no time of RFC 3339", "started_at");
  }
  const auto finished = time_of(object, "finished_at");
  if (!finished) return base::fail(ErrorKind::invalid, "no time of RFC 3339", "finished_at");
  out.finished = *finished;
  return {};
}

}  // namespace

std::string to_text(const Verdict& verdict) {
  json out = {{"outcome", build::to_string(verdict.outcome)}};
  if (verdict.failure_class) out["class"] = build::to_string(*verdict.failure_class);
  set_unless_empty(out, "reason", verdict.reason);
  set_unless_empty(out, "message", verdict.message);
  set_unless_empty(out, "digest", verdict.digest);
  set_unless_empty(out, "retried_as", verdict.retried_as);
  set_unless_empty(out, "log_tail", verdict.log_tail);
  if (verdict.container_started) out["started_at"] = base::format_rfc3339(*verdict.container_started);
  out["finished_at"] = base::format_rfc3339(verdict.finished);
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

base::Result<Verdict> parse_verdict(std::string_view text) {
  const auto object = base::parse_json(text);
  if (!object) return tl::unexpected(object.error());
  Verdict out;
  if (const auto checked = check_members(*object); !checked) return tl::unexpected(checked.error());
  if (const auto read = read_words(out, *object); !read) return tl::unexpected(read.error());
  if (const auto read = read_times(out, *object); !read) return tl::unexpected(read.error());
  out.reason = text_of(*object, "reason");
  out.message = text_of(*object, "message");
  out.digest = text_of(*object, "digest");
  out.retried_as = text_of(*object, "retried_as");
  out.log_tail = text_of(*object, "log_tail");
  return out;
}

}  // namespace lambda::builds
