#include "http/router.h"

#include "base/text.h"

namespace lambda::http {
namespace {

template <class Map>
std::string joined_keys(const Map& map) {
  std::string out;
  for (const auto& entry : map) out += (out.empty() ? "" : ", ") + entry.first;
  return out;
}

}  // namespace

void Router::add(const std::string& method, const std::string& path, Handler handler) {
  routes_[path][method] = std::move(handler);
}

boost::asio::awaitable<Response> Router::handle(Request request) const {
  const auto path = routes_.find(request.path);
  if (path == routes_.end()) {
    const base::Error error{
        base::ErrorKind::not_found,
        "no such path: " + base::quote(request.path) + "; served here: " + joined_keys(routes_), ""};
    co_return error_response(404, error);
  }
  const auto handler = path->second.find(request.method == "HEAD" ? "GET" : request.method);
  if (handler == path->second.end()) {
    const std::string allowed = joined_keys(path->second);
    const base::Error error{
        base::ErrorKind::unsupported,
        "method " + base::quote(request.method) + " on " + request.path + "; accepted: " + allowed, ""};
    Response response = error_response(405, error);
    response.headers.emplace_back("Allow", allowed);
    co_return response;
  }
  co_return co_await handler->second(std::move(request));
}

}  // namespace lambda::http
