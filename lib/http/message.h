// HTTP requests and responses as plain values; what handlers take and give.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/error.h"

namespace lambda::http {

/// Name and value as they stood on the wire, in that order; names may repeat and compare without case.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first value of that name, or empty.
std::string_view find_header(const Headers& headers, std::string_view name);

struct Request {
  std::string method;
  std::string path;   // without the query
  std::string query;  // without the '?'
  Headers headers;
  std::string body;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;
};

/// {"status":"error","error":{"type","message","field"?},"correlation_id"?}, with Retry-After where the error
/// says so (a 503 always does: every sender needs to know when to come back).
Response error_response(unsigned status, const base::Error& error, std::string_view correlation_id = {});

using Handler = std::function<boost::asio::awaitable<Response>(Request)>;

/// A handler that has its answer at once.
Handler immediate(std::function<Response(const Request&)> answer);

}  // namespace lambda::http
