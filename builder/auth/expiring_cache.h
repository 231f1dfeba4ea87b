// A bounded cache of texts by key, each with the time from which it is not used any more. Private to this
// folder; pure.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/time.h"

namespace lambda::auth {

class ExpiringCache {
 public:
  explicit ExpiringCache(std::size_t max_entries) : max_entries_(max_entries) {}

  /// Replaces what the key had. When full, the entry that was put first goes.
  void put(const std::string& key, std::string value, base::TimePoint until);

  /// Nothing if it isn't there, or no more at `now`.
  std::optional<std::string> find(const std::string& key, base::TimePoint now);

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    std::string value;
    base::TimePoint until;
  };

  void erase(const std::string& key);

  std::size_t max_entries_;
  std::list<Entry> oldest_first_;
  std::unordered_map<std::string, std::list<Entry>::iterator> entries_;
};

}  // namespace lambda::auth
