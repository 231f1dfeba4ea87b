// Objects of others that are asked for again and again, by many: each is read at most every so often.
#pragma once

#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <tuple>

#include <nlohmann/json.hpp>

#include "api/object.h"
#include "base/error.h"
#include "base/time.h"
#include "kube/api.h"
#include "kube/resource.h"

namespace lambda::reconcile {

/// Thread-safe. Keeps an answer for `max_age`, an error for `error_max_age`: so a Secret that is made for us
/// is seen soon, and 100 JobQueues that name the same one cost one request. Holds Secrets in memory; it logs
/// nothing.
class Lookups {
 public:
  Lookups(const kube::Api& api, base::milliseconds max_age, base::milliseconds error_max_age);

  base::Result<nlohmann::json> get(const kube::Resource& resource, const api::ObjectKey& key,
                                   const std::stop_token& stop);

  /// It turned out to be outdated: the next get() asks.
  void forget(const kube::Resource& resource, const api::ObjectKey& key);

 private:
  using Key = std::tuple<std::string_view, std::string_view, api::ObjectKey>;  // apiVersion, kind, key
  struct Entry {
    base::Result<nlohmann::json> answer;
    base::TimePoint expires;
  };

  void drop_expired(base::TimePoint now);

  const kube::Api& api_;
  const base::milliseconds max_age_;
  const base::milliseconds error_max_age_;
  std::mutex mutex_;
  std::map<Key, Entry> entries_;
};

}  // namespace lambda::reconcile
