// An HTTP client for plain blocking code, over cpprestsdk: the one for every web API that is not on the
// builder's hot path.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace lambda::rest {

/// Where a server is, and who we are to it.
struct Endpoint {
  std::string url;            // "https://host:port/prefix"; the prefix stands before every target
  std::string ca_pem{};       // the authority to trust; empty: the system's
  std::string server_name{};  // the name on the certificate, where it is not the URL's; sent as Host
  std::string client_certificate_pem{};
  std::string client_key_pem{};
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method = "GET";
  std::string target = "/";  // path and query, percent-encoded; sent as it is
  Headers headers{};
  std::string content_type{};  // of the body; without a body: none
  std::string body{};
};

struct Response {
  unsigned status = 0;
  std::string content_type{};
  std::optional<std::chrono::seconds> retry_after;
  std::string body{};

  bool ok() const { return status >= 200 && status < 300; }
};

struct StreamLimits {
  base::milliseconds head;  // from the call to the answer's header
  base::milliseconds idle;  // from there to the next bytes, and so on
};

/// Takes the next bytes of a body; false: enough.
using OnBytes = std::function<bool(std::string_view)>;

/// Thread-safe; keeps its connections. The library's own threads are two, whatever the number of clients.
///
/// Every call blocks; never make one from a continuation of the library's. Errors are only what is no answer:
/// - invalid: the request can't be sent as it is (a control character in the target or in a header, no URL)
/// - unavailable: no connection, no HTTP, a body that broke off or was larger than the bound
/// - timeout: past the limit, or `stop` was requested
/// In each case but the first the server may have carried out the request. Redirects are not followed. A kept
/// connection that turns out dead is mended by the library, which sends the request a second time, untold.
class Client {
 public:
  static constexpr std::size_t default_body_max_bytes = 67108864;

  explicit Client(const Endpoint& endpoint, std::size_t body_max_bytes = default_body_max_bytes);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The answer, whatever its status, within `timeout`.
  base::Result<Response> send(const Request& request, base::milliseconds timeout,
                              const std::stop_token& stop = {});

  /// Hands the body of a 2xx answer to `on_bytes` piece by piece, on the caller's thread, and holds no more
  /// of it: the connection is not read on before on_bytes is back. Ends with the body, or when on_bytes has
  /// enough; Response::body is empty then. Of any other answer it holds the body, as send() does.
  base::Result<Response> stream(const Request& request, const OnBytes& on_bytes, const StreamLimits& limits,
                                const std::stop_token& stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::rest
