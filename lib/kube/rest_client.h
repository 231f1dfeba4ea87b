// The Kubernetes API for plain blocking code, over cpprestsdk: for everything that is not the builder's hot
// path.
#pragma once

#include <memory>
#include <stop_token>

#include "base/error.h"
#include "base/time.h"
#include "kube/answer.h"
#include "kube/cluster.h"
#include "kube/request.h"

namespace lambda::kube {

/// Thread-safe; keeps its connections. The library's own threads are two, whatever the number of clients.
class RestClient {
 public:
  explicit RestClient(const Cluster& cluster);
  ~RestClient();
  RestClient(const RestClient&) = delete;
  RestClient& operator=(const RestClient&) = delete;

  /// The same promise as Connection::send, except that a request which is sent again over a new connection is
  /// not told apart (cpprestsdk does it by itself). Blocks for at most `timeout`, or until `stop` is
  /// requested; never call it from one of the library's own continuations.
  base::Result<Answer> send(const Request& request, base::milliseconds timeout,
                            const std::stop_token& stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::kube
