// The objects of a kind as they were last seen, each reduced to what is needed of it.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/object.h"
#include "runtime/reflector.h"

namespace lambda::runtime {

/// What a reflector fills and everybody reads. Thread-safe.
///
/// `keep` makes of an object what is to be kept, or nothing: then it counts as not there. The handler is told
/// of each change, on the reflector's thread and after the store has it: before and after, of which one may
/// be null. An object that was listed anew without a change is no change, nor is one that `keep` reduced to
/// the same (if T can be compared).
template <class T>
class ObjectStore : public ObjectSink {
 public:
  using Pointer = std::shared_ptr<const T>;
  using Keep = std::function<std::optional<T>(nlohmann::json&& object)>;
  using Handler = std::function<void(const api::ObjectKey& key, const Pointer& before, const Pointer& after)>;

  ObjectStore(Keep keep, Handler handler) : keep_(std::move(keep)), handler_(std::move(handler)) {}

  /// Null if there is none.
  Pointer find(const api::ObjectKey& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second.object;
  }

  std::vector<std::pair<api::ObjectKey, Pointer>> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<api::ObjectKey, Pointer>> out;
    out.reserve(objects_.size());
    for (const auto& [key, entry] : objects_) out.emplace_back(key, entry.object);
    return out;
  }

  /// The same without the keys.
  std::vector<Pointer> values() const {
    const std::lock_guard lock(mutex_);
    std::vector<Pointer> out;
    out.reserve(objects_.size());
    for (const auto& [key, entry] : objects_) out.push_back(entry.object);
    return out;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
  }

  // ObjectSink, for the reflector's thread.

  void begin_list() override { ++list_; }

  void upsert(api::ObjectKey key, std::string resource_version, nlohmann::json&& object) override {
    if (is_known(key, resource_version)) return;
    std::optional<T> kept = keep_(std::move(object));
    if (!kept) return erase(key);
    replace(key, Entry{std::move(resource_version), std::make_shared<const T>(std::move(*kept)), list_});
  }

  void erase(const api::ObjectKey& key) override { replace(key, std::nullopt); }

  void end_list() override {
    std::vector<api::ObjectKey> vanished;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, entry] : objects_) {
        if (entry.list != list_) vanished.push_back(key);
      }
    }
    for (const api::ObjectKey& key : vanished) erase(key);
  }

 private:
  struct Entry {
    std::string resource_version;
    Pointer object;
    std::uint64_t list = 0;  // the last list that had it, or during which it changed
  };

  bool is_known(const api::ObjectKey& key, const std::string& resource_version) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found == objects_.end() || found->second.resource_version != resource_version) return false;
    found->second.list = list_;
    return true;
  }

  static bool is_change(const Pointer& before, const Pointer& after) {
    if constexpr (std::equality_comparable<T>) {
      if (before && after) return !(*before == *after);
    }
    return before || after;
  }

  void replace(const api::ObjectKey& key, std::optional<Entry> entry) {
    const Pointer after = entry ? entry->object : nullptr;
    Pointer before;
    {
      const std::lock_guard lock(mutex_);
      const auto found = objects_.find(key);
      if (found != objects_.end()) before = found->second.object;
      if (entry) {
        objects_.insert_or_assign(key, std::move(*entry));
      } else {
        objects_.erase(key);
      }
    }
    if (handler_ && is_change(before, after)) handler_(key, before, after);
  }

  Keep keep_;
  Handler handler_;
  mutable std::mutex mutex_;
  std::map<api::ObjectKey, Entry> objects_;
  std::uint64_t list_ = 0;  // on the reflector's thread only
};

}  // namespace lambda::runtime
