#include "intake/answer.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lambda::intake {
namespace {

using base::ErrorKind;
using nlohmann::json;

std::string text_of(const json& body) {
  return body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

unsigned client_error_status(const base::Error& error) {
  switch (error.kind) {
    case ErrorKind::too_large:
      return 413;
    case ErrorKind::unsupported:
      // A mode or media type; or something that the data asks for, and then the media type was right.
      return error.field.starts_with("data.") ? 400 : 415;
    case ErrorKind::unauthenticated:
      return 401;
    case ErrorKind::forbidden:
      return 403;
    case ErrorKind::conflict:
      return 409;
    default:
      return 400;
  }
}

unsigned status_of(const Verdict& verdict, Flow flow) {
  switch (verdict.ending) {
    case Ending::created:
    case Ending::duplicate:
    case Ending::queued:
      return 202;
    case Ending::dead_lettered:
      return 200;
    case Ending::refused:
    case Ending::malformed:
      return flow == Flow::direct ? client_error_status(verdict.error) : 503;
    case Ending::unavailable:
      return 503;
  }
  return 503;
}

json error_of(const base::Error& error) {
  json out{{"type", base::to_string(error.kind)}, {"message", error.message}};
  if (!error.field.empty()) out["field"] = error.field;
  return out;
}

json body_of(const Verdict& verdict) {
  if (!verdict.safe()) return {{"status", "error"}, {"error", error_of(verdict.error)}};
  if (verdict.ending == Ending::dead_lettered) {
    json body{{"status", "dead-lettered"}, {"error", error_of(verdict.error)}};
    if (!verdict.correlation_id.empty()) body["correlation_id"] = verdict.correlation_id;
    return body;
  }
  return {{"status", "queued"},
          {"job_name", verdict.job_name},
          {"namespace", verdict.namespace_name},
          {"correlation_id", verdict.correlation_id},
          {"duplicate", verdict.ending == Ending::duplicate}};
}

// The same with its time, as text at once: nearly every answer is this one.
std::string queued_text(const Verdict& verdict, std::string_view timestamp) {
  constexpr std::size_t usual_bytes = 512;
  std::string out;
  out.reserve(usual_bytes);
  out += R"({"status":"queued","job_name":)";
  base::append_json_string(out, verdict.job_name);
  out += R"(,"namespace":)";
  base::append_json_string(out, verdict.namespace_name);
  out += R"(,"correlation_id":)";
  base::append_json_string(out, verdict.correlation_id);
  out += verdict.ending == Ending::duplicate ? R"(,"duplicate":true,"timestamp":)"
                                             : R"(,"duplicate":false,"timestamp":)";
  base::append_json_string(out, timestamp);
  return out + "}\n";
}

}  // namespace

http::Response answer(const Verdict& verdict, Flow flow, std::string_view timestamp) {
  const unsigned status = status_of(verdict, flow);
  if (!verdict.safe()) {
    http::Response response = http::error_response(status, verdict.error, verdict.correlation_id);
    if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  http::Response response;
  response.status = status;
  if (verdict.ending == Ending::dead_lettered) {
    json body = body_of(verdict);
    body["timestamp"] = timestamp;
    response.body = text_of(body);
  } else {
    response.body = queued_text(verdict, timestamp);
  }
  return response;
}

http::Response answer_batch(const std::vector<Verdict>& verdicts, std::string_view timestamp) {
  const auto not_now = std::ranges::find(verdicts, Ending::unavailable, &Verdict::ending);
  const auto never = std::ranges::find_if(verdicts, [](const Verdict& verdict) { return !verdict.safe(); });
  const auto worst = not_now != verdicts.end() ? not_now : never;
  json body{{"status", "queued"}, {"timestamp", timestamp}};
  http::Response response;
  response.status = 202;
  if (worst != verdicts.end()) {
    response = answer(*worst, Flow::direct, timestamp);
    body = {{"status", "error"}, {"error", error_of(worst->error)}};
  }
  json& results = body["results"] = json::array();
  for (const Verdict& verdict : verdicts) results.push_back(body_of(verdict));
  response.body = text_of(body);
  return response;
}

}  // namespace lambda::intake
