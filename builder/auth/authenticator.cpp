#include "auth/authenticator.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "auth/reviewer.h"
#include "auth/token.h"
#include "auth/token_table.h"

namespace lambda::auth {
namespace {

namespace asio = boost::asio;
using base::Result;
using base::TimePoint;
using Mode = config::Auth::Mode;

std::shared_ptr<const Tenants> tenants_of(const std::vector<std::string>& names) {
  auto tenants = std::make_shared<Tenants>();
  tenants->all = std::ranges::find(names, "*") != names.end();
  tenants->names.insert(names.begin(), names.end());
  return tenants;
}

}  // namespace

bool Principal::may_speak_for(std::string_view tenant) const {
  return tenants && (tenants->all || tenants->names.contains(std::string(tenant)));
}

struct Authenticator::Impl {
  Impl(asio::any_io_executor executor, const config::Auth& settings, std::shared_ptr<kube::Endpoint> endpoint,
       base::Log& log, std::function<TimePoint()> clock)
      : mode(settings.mode), now(std::move(clock)) {
    for (const config::AuthPrincipal& principal : settings.principals) {
      principals.emplace(principal.name, tenants_of(principal.tenants));
    }
    if (mode == Mode::bearer) table.emplace(settings.tokens_file, log);
    if (mode == Mode::oidc)
      reviewer.emplace(std::move(executor), settings.audience, std::move(endpoint), log, now);
  }

  asio::awaitable<Result<Principal>> authenticate(std::string authorization, TimePoint deadline);
  asio::awaitable<Result<std::string>> name_of(std::string token, TimePoint deadline);

  Principal principal(std::string name) const {
    const auto found = principals.find(name);
    return {std::move(name), found != principals.end() ? found->second : nullptr};
  }

  Mode mode;
  std::function<TimePoint()> now;
  std::shared_ptr<const Tenants> everybody = tenants_of({"*"});
  std::unordered_map<std::string, std::shared_ptr<const Tenants>> principals;
  std::optional<TokenTable> table;
  std::optional<Reviewer> reviewer;
};

asio::awaitable<Result<std::string>> Authenticator::Impl::name_of(std::string token, TimePoint deadline) {
  if (mode == Mode::bearer) co_return table->principal_of(token, now());
  co_return co_await reviewer->review(std::move(token), deadline);
}

asio::awaitable<Result<Principal>> Authenticator::Impl::authenticate(std::string authorization,
                                                                     TimePoint deadline) {
  if (mode == Mode::none) co_return Principal{"", everybody};
  Result<std::string> token = bearer_token(authorization);
  if (!token) co_return tl::unexpected(std::move(token.error()));
  Result<std::string> name = co_await name_of(std::move(*token), deadline);
  if (!name) co_return tl::unexpected(std::move(name.error()));
  co_return principal(std::move(*name));
}

Authenticator::Authenticator(asio::any_io_executor executor, const config::Auth& settings,
                             std::shared_ptr<kube::Endpoint> endpoint, base::Log& log,
                             std::function<TimePoint()> now)
    : impl_(std::make_shared<Impl>(std::move(executor), settings, std::move(endpoint), log, std::move(now))) {
}
Authenticator::~Authenticator() = default;

asio::awaitable<Result<Principal>> Authenticator::authenticate(std::string authorization,
                                                               TimePoint deadline) {
  const std::shared_ptr<Impl> impl = impl_;  // what outlives us
  co_return co_await impl->authenticate(std::move(authorization), deadline);
}

}  // namespace lambda::auth
