#include "auth/token_table.h"

#include <chrono>
#include <utility>

namespace lambda::auth {
namespace {

constexpr std::chrono::seconds look_again_after{1};

}  // namespace

base::Result<std::string> TokenTable::principal_of(std::string_view token, base::TimePoint now) {
  if (!looked_at_ || now - *looked_at_ >= look_again_after) look(now);
  if (!principals_) return base::fail(base::ErrorKind::unavailable, "the tokens file can't be read now");
  const auto found = principals_->find(digest_.of(token));
  if (found == principals_->end())
    return base::fail(base::ErrorKind::unauthenticated, "the token is unknown");
  return found->second;
}

void TokenTable::look(base::TimePoint now) {
  looked_at_ = now;
  // Before it is read: what is written meanwhile then shows as another stamp the next time.
  const config::FileStamp stamp = config::stamp_of(file_);
  // Rights that were mended don't show in the stamp.
  if (stamp == loaded_ && trouble_.empty()) return;
  load();
  loaded_ = stamp;
}

void TokenTable::load() {
  const auto tokens = config::load_tokens(file_);
  if (!tokens) return warn(config::to_string(tokens.error().front()));
  std::unordered_map<std::string, std::string> principals;
  for (const config::PrincipalToken& entry : *tokens) {
    principals.emplace(digest_.of(entry.token), entry.principal);
  }
  const bool again = principals_.has_value();
  principals_ = std::move(principals);
  trouble_.clear();
  if (again) log_.info("the tokens file was read again");
}

void TokenTable::warn(const std::string& trouble) {
  if (trouble == std::exchange(trouble_, trouble)) return;
  log_.warning("the tokens file can't be used, what was read last holds", {{"error", trouble}});
}

}  // namespace lambda::auth
