// The Kubernetes API for plain blocking code, over lib/rest: for everything that is not the builder's hot
// path.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "kube/answer.h"
#include "kube/cluster.h"
#include "kube/request.h"
#include "rest/client.h"

namespace lambda::kube {

/// Hears of each request before it is sent, by whatever thread sends it.
using OnRequest = std::function<void(std::string_view method)>;

/// Thread-safe, as long as `on_request` is; keeps its connections.
class RestClient {
 public:
  explicit RestClient(const Cluster& cluster, OnRequest on_request = {});
  ~RestClient();
  RestClient(const RestClient&) = delete;
  RestClient& operator=(const RestClient&) = delete;

  /// The same promise as Connection::send, except that a request which is sent again over a new connection is
  /// not told apart (cpprestsdk does it by itself). Blocks for at most `timeout`, or until `stop` is
  /// requested.
  base::Result<Answer> send(const Request& request, base::milliseconds timeout,
                            const std::stop_token& stop = {});

  /// Hands a 2xx answer's body to `on_bytes` as it comes in (rest::Client::stream): for watches.
  base::Result<Answer> stream(const Request& request, const rest::OnBytes& on_bytes,
                              const rest::StreamLimits& limits, const std::stop_token& stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::kube
