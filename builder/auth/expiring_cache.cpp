#include "auth/expiring_cache.h"

#include <utility>

namespace lambda::auth {

void ExpiringCache::put(const std::string& key, std::string value, base::TimePoint until) {
  erase(key);
  if (entries_.size() == max_entries_) {
    entries_.erase(oldest_first_.front().key);
    oldest_first_.pop_front();
  }
  oldest_first_.push_back({key, std::move(value), until});
  entries_.emplace(key, std::prev(oldest_first_.end()));
}

std::optional<std::string> ExpiringCache::find(const std::string& key, base::TimePoint now) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  if (now < found->second->until) return found->second->value;
  erase(key);
  return std::nullopt;
}

void ExpiringCache::erase(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  oldest_first_.erase(found->second);
  entries_.erase(found);
}

}  // namespace lambda::auth
