#include "kube/answer.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;

constexpr std::size_t message_max_bytes = 1024;
constexpr unsigned http_conflict = 409;
constexpr unsigned http_gone = 410;
constexpr unsigned http_unprocessable = 422;

// The parts of a metav1.Status that are used; empty where the answer is none (a proxy's page, say).
struct Status {
  std::string reason;
  std::string message;
  std::string field;
};

std::string text_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

long long number_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<long long>() : 0;
}

Status parse_status(const nlohmann::json& json) {
  if (!json.is_object()) return {};
  Status status{text_at(json, "reason"), text_at(json, "message"), ""};
  const auto causes = json.value("/details/causes"_json_pointer, nlohmann::json::array());
  if (causes.is_array() && !causes.empty() && causes[0].is_object())
    status.field = text_at(causes[0], "field");
  return status;
}

ErrorKind kind_of(unsigned http_status, const Status& status) {
  switch (http_status) {
    case 400:
    case 422:
      return ErrorKind::invalid;
    case 413:
      return ErrorKind::too_large;
    case 401:
      return ErrorKind::unauthenticated;
    case 403:
      return ErrorKind::forbidden;
    case 404:
      return ErrorKind::not_found;
    case 409:
      return status.reason == "AlreadyExists" ? ErrorKind::conflict : ErrorKind::unavailable;
    case 504:
      return ErrorKind::timeout;
    default:
      return ErrorKind::unavailable;
  }
}

base::Error make_error(unsigned http_status, const Status& status,
                       std::optional<std::chrono::seconds> retry_after) {
  std::string message = "the Kubernetes API answered " + std::to_string(http_status);
  if (!status.reason.empty()) message += " " + status.reason;
  if (!status.message.empty()) message += ": " + status.message;
  return {kind_of(http_status, status), base::cut(message, message_max_bytes), status.field, retry_after,
          http_status};
}

}  // namespace

base::Error to_error(const Answer& answer) {
  return make_error(answer.status, parse_status(nlohmann::json::parse(answer.body, nullptr, false)),
                    answer.retry_after);
}

base::Error to_error(const nlohmann::json& status) {
  constexpr unsigned unknown = 500;
  const long long code = status.is_object() ? number_at(status, "code") : 0;
  return make_error(code >= 100 && code <= 599 ? static_cast<unsigned>(code) : unknown, parse_status(status),
                    std::nullopt);
}

bool is_already_there(const base::Error& error) {
  return error.http_status == http_conflict && error.kind == ErrorKind::conflict;
}

bool is_stale(const base::Error& error) {
  // An apply to a uid that is another's is told as a mistake in that field.
  const bool another_uid = error.http_status == http_unprocessable && error.field == "metadata.uid";
  return another_uid || (error.http_status == http_conflict && error.kind != ErrorKind::conflict);
}

bool is_expired(const base::Error& error) {
  return error.http_status == http_gone;
}

}  // namespace lambda::kube
