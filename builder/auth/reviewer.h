// Tokens that the Kubernetes API reviews, with a cache. Private to this folder.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "kube/connection.h"

namespace lambda::auth {

/// Used on its executor's thread only.
///
/// At most four reviews run at the same time, and as many wait as fit the bound; calls with the same token
/// share one. What the API server said is used again, by the digest of the token: that it is good for 60 s,
/// but not past the token's own `exp`; that it is not, for 10 s. The two have a cache each, so that a flood
/// of bad tokens drives out no good one.
class Reviewer {
 public:
  Reviewer(boost::asio::any_io_executor executor, std::string audience,
           std::shared_ptr<kube::Endpoint> endpoint, base::Log& log, std::function<base::TimePoint()> now);
  ~Reviewer();
  Reviewer(const Reviewer&) = delete;
  Reviewer& operator=(const Reviewer&) = delete;

  /// The name of the token's user. Errors as those of Authenticator::authenticate.
  boost::asio::awaitable<base::Result<std::string>> review(std::string token, base::TimePoint deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lambda::auth
