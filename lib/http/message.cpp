#include "http/message.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::http {
namespace {

using Answer = std::function<Response(const Request&)>;

boost::asio::awaitable<Response> answer_now(Answer answer, Request request) {
  co_return answer(request);
}

}  // namespace

std::string_view find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (base::equals_ignoring_case(key, name)) return value;
  }
  return {};
}

Response error_response(unsigned status, const base::Error& error, std::string_view correlation_id) {
  constexpr std::chrono::seconds retry_after_default{1};
  nlohmann::json body{{"status", "error"},
                      {"error", {{"type", base::to_string(error.kind)}, {"message", error.message}}}};
  if (!error.field.empty()) body["error"]["field"] = error.field;
  if (!correlation_id.empty()) body["correlation_id"] = correlation_id;
  Response response;
  response.status = status;
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (error.retry_after || status == 503) {
    const auto seconds = error.retry_after.value_or(retry_after_default).count();
    response.headers.emplace_back("Retry-After", std::to_string(seconds));
  }
  return response;
}

Handler immediate(Answer answer) {
  return [answer = std::move(answer)](Request request) { return answer_now(answer, std::move(request)); };
}

}  // namespace lambda::http
