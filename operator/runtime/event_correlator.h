// Which of many notes become Kubernetes Events. Pure.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"
#include "base/token_bucket.h"
#include "runtime/event_recorder.h"

namespace lambda::runtime {

/// The entries that were used last. Not thread-safe.
template <class Key, class Value>
class Remembered {
 public:
  explicit Remembered(std::size_t max) : max_(max) {}

  /// Null if it is not remembered.
  Value* find(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }

  Value& insert(const Key& key, Value value) {
    forget(key);
    entries_.emplace_front(key, std::move(value));
    places_[key] = entries_.begin();
    if (entries_.size() > max_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }

  void forget(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return;
    entries_.erase(found->second);
    places_.erase(found);
  }

  std::size_t size() const { return entries_.size(); }

 private:
  std::size_t max_;
  std::list<std::pair<Key, Value>> entries_;
  std::map<Key, typename std::list<std::pair<Key, Value>>::iterator> places_;
};

class EventCorrelator {
 public:
  struct Send {
    std::string name;        // of the Event
    std::int64_t count = 1;  // 1: create it; more: it was there so often
  };

  explicit EventCorrelator(const EventSettings& settings);

  /// What to send for the note; nothing if it is only counted, or if its object has had too many.
  std::optional<Send> admit(const EventNote& note, base::TimePoint now, std::string_view unique);

  /// The Event is not there any more, or never was: the next such note makes a new one.
  void forget(const EventNote& note) { events_.forget(note); }

 private:
  struct Known {
    std::string name;
    std::int64_t count = 1;
    base::TimePoint sent_at;
  };

  bool has_token(const ObjectReference& object, base::TimePoint now);

  EventSettings settings_;
  Remembered<EventNote, Known> events_;
  Remembered<ObjectReference, base::TokenBucket> buckets_;
};

}  // namespace lambda::runtime
