#include "intake/answer.h"

#include <nlohmann/json.hpp>

namespace lambda::intake {
namespace {

using base::ErrorKind;

unsigned client_error_status(const base::Error& error) {
  switch (error.kind) {
    case ErrorKind::too_large:
      return 413;
    case ErrorKind::unsupported:
      // A mode or media type; or something that the data asks for, and then the media type was right.
      return error.field.starts_with("data.") ? 400 : 415;
    case ErrorKind::forbidden:
      return 403;
    case ErrorKind::conflict:
      return 409;
    default:
      return 400;
  }
}

}  // namespace

std::string_view to_string(Flow flow) {
  return flow == Flow::direct ? "direct" : "queue";
}

http::Response queued(const job::Job& job, std::string_view correlation_id, bool duplicate,
                      std::string_view timestamp) {
  const nlohmann::json body{{"status", "queued"},
                            {"job_name", job.name},
                            {"namespace", job.namespace_name},
                            {"correlation_id", correlation_id},
                            {"duplicate", duplicate},
                            {"timestamp", timestamp}};
  http::Response response;
  response.status = 202;
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

http::Response refused(Flow flow, const base::Error& error, std::string_view correlation_id) {
  const unsigned status = flow == Flow::direct ? client_error_status(error) : 503;
  return http::error_response(status, error, correlation_id);
}

http::Response unavailable(const base::Error& error, std::string_view correlation_id) {
  return http::error_response(503, error, correlation_id);
}

}  // namespace lambda::intake
