// Who sends an event, and which tenants that sender may speak for: intake.auth.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "config/auth.h"
#include "kube/connection.h"

namespace lambda::auth {

/// The tenants of one entry of intake.auth.principals.
struct Tenants {
  bool all = false;
  std::unordered_set<std::string> names;
};

/// A sender that is known.
struct Principal {
  std::string name;                        // empty with mode none
  std::shared_ptr<const Tenants> tenants;  // null: the configuration names it nowhere

  /// Whether it may send events whose third_party_id is `tenant`.
  bool may_speak_for(std::string_view tenant) const;
};

/// Used on its executor's thread only. It may be destroyed while calls are under way: they end by themselves.
class Authenticator {
 public:
  /// `now` decides how old a cached review is and when the tokens file is looked at again.
  Authenticator(boost::asio::any_io_executor executor, const config::Auth& settings,
                std::shared_ptr<kube::Endpoint> endpoint, base::Log& log,
                std::function<base::TimePoint()> now = base::Clock::now);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  /// Who sent a request, by the value of its Authorization header (empty: there is none), as RFC 6750 has it.
  /// unauthenticated: no token, no bearer token, one that nobody knows or that is made for another audience.
  /// unavailable, timeout: the API server or the tokens file can't be asked now, or not by `deadline`; an
  /// answer that was known once is not used longer than its time. No error's text holds any of the token.
  boost::asio::awaitable<base::Result<Principal>> authenticate(std::string authorization,
                                                               base::TimePoint deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lambda::auth
