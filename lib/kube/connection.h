// One kept-alive connection to the Kubernetes API, for coroutines: the builder's hot path.
#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/error.h"
#include "base/time.h"
#include "kube/answer.h"
#include "kube/cluster.h"
#include "kube/request.h"

namespace lambda::kube {

/// What the connections to one cluster share: the parsed certificates, and the bearer token with its renewal.
/// Used on one thread.
class Endpoint {
 public:
  /// Fails on certificates or keys that OpenSSL does not read.
  static base::Result<std::shared_ptr<Endpoint>> make(const Cluster& cluster);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

 private:
  friend class Connection;
  struct Impl;
  explicit Endpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Connects when it is first used, keeps the connection, and connects anew when it broke. One request at a
/// time; not thread-safe.
class Connection {
 public:
  Connection(const boost::asio::any_io_executor& executor, std::shared_ptr<Endpoint> endpoint);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) = delete;

  /// The API's answer, whatever its status. An error only where there is none: unavailable (no connection, it
  /// broke, no HTTP) or timeout (past `deadline`); the request may have been carried out all the same.
  ///
  /// Two things are mended here, once each: a kept connection that turns out dead before a byte of the answer
  /// came (sent again, Answer::resent), and a 401 where the token can be read again.
  boost::asio::awaitable<base::Result<Answer>> send(Request request, base::TimePoint deadline);

  /// Whether the API server may have seen any of the last send()'s request. False after an error means that
  /// it was surely not carried out: there was no connection to write it to.
  bool may_have_arrived() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::kube
