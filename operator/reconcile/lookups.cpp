#include "reconcile/lookups.h"

namespace lambda::reconcile {

Lookups::Lookups(const kube::Api& api, base::milliseconds max_age, base::milliseconds error_max_age)
    : api_(api), max_age_(max_age), error_max_age_(error_max_age) {}

base::Result<nlohmann::json> Lookups::get(const kube::Resource& resource, const api::ObjectKey& key,
                                          const std::stop_token& stop) {
  const Key place{resource.api_version, resource.kind, key};
  {
    const std::lock_guard lock(mutex_);
    drop_expired(base::Clock::now());
    if (const auto found = entries_.find(place); found != entries_.end()) return found->second.answer;
  }
  // Two threads may ask for the same at once; that is cheaper than a lock held over a request.
  auto answer = api_.get(resource, key.namespace_name, key.name, stop);
  const std::lock_guard lock(mutex_);
  const base::milliseconds age = answer ? max_age_ : error_max_age_;
  entries_.insert_or_assign(place, Entry{answer, base::Clock::now() + age});
  return answer;
}

void Lookups::forget(const kube::Resource& resource, const api::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  entries_.erase(Key{resource.api_version, resource.kind, key});
}

void Lookups::drop_expired(base::TimePoint now) {
  std::erase_if(entries_, [now](const auto& entry) { return entry.second.expires <= now; });
}

}  // namespace lambda::reconcile
