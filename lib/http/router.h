// From method and path to a handler.
#pragma once

#include <map>
#include <string>

#include "http/message.h"

namespace lambda::http {

/// Paths match exactly. An unknown path is answered 404, a known path with another method 405 with Allow;
/// both say what is served. HEAD is served wherever GET is. Build it first, then share it: `handle` is const.
class Router {
 public:
  void add(const std::string& method, const std::string& path, Handler handler);

  boost::asio::awaitable<Response> handle(Request request) const;

 private:
  std::map<std::string, std::map<std::string, Handler>> routes_;  // path -> method -> handler
};

}  // namespace lambda::http
