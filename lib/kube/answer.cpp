#include "kube/answer.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;

constexpr std::size_t message_max_bytes = 1024;

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

Status parse_status(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
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

}  // namespace

base::Error to_error(const Answer& answer) {
  const Status status = parse_status(answer.body);
  std::string message = "the Kubernetes API answered " + std::to_string(answer.status);
  if (!status.reason.empty()) message += " " + status.reason;
  if (!status.message.empty()) message += ": " + status.message;
  return {kind_of(answer.status, status), base::cut(message, message_max_bytes), status.field,
          answer.retry_after, answer.status};
}

}  // namespace lambda::kube
