// Which key is to be worked on next: the rules of a work queue, without a clock, a lock or a wait of its own.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/time.h"
#include "base/token_bucket.h"

namespace lambda::runtime {

struct RetryLimits {
  base::Backoff backoff{base::milliseconds(500), base::milliseconds(300'000)};  // of one key
  double per_second = 10;                                                       // of all keys together
  double burst = 100;
};

/// Each key stands in it once, however often it was added, and is never taken while it is being worked on:
/// what is added then waits for done(). Ready keys are taken in the order in which they became ready. Not
/// thread-safe.
template <class Key>
class WorkSchedule {
 public:
  WorkSchedule(const RetryLimits& limits, base::Random random)
      : backoff_(limits.backoff), bucket_(limits.per_second, limits.burst), random_(std::move(random)) {}

  void add(const Key& key) {
    give_up_later(key);
    if (working_.contains(key)) {
      again_.insert(key);
    } else if (const auto [place, is_new] = waiting_.insert(key); is_new) {
      ready_.push_back(place);
    }
  }

  /// Of several times for a key the earliest counts.
  void add_at(const Key& key, base::TimePoint time) {
    if (waiting_.contains(key) || again_.contains(key)) return;
    const auto found = later_.find(key);
    if (found != later_.end() && found->second <= time) return;
    give_up_later(key);
    later_.emplace(key, time);
    by_time_.emplace(time, key);
  }

  /// Later and later, half of the wait by chance; and all keys together no faster than the limit. Returns the
  /// wait.
  base::milliseconds add_rate_limited(const Key& key, base::TimePoint now) {
    const unsigned failures = failures_[key]++;
    const auto half_by_chance = [this] { return (1 + random_()) / 2; };
    const auto wait = std::max(backoff_.delay(failures, half_by_chance), bucket_.reserve(now));
    add_at(key, now + wait);
    return wait;
  }

  /// It went well: the next add_rate_limited begins with the shortest wait.
  void forget(const Key& key) { failures_.erase(key); }

  unsigned failures(const Key& key) const {
    const auto found = failures_.find(key);
    return found == failures_.end() ? 0 : found->second;
  }

  /// The next key, which is then worked on until done(). Its later time, if it has one, is given up: who
  /// works on it says anew when to come back.
  std::optional<Key> take(base::TimePoint now) {
    move_due(now);
    if (ready_.empty()) return std::nullopt;
    Key key = *ready_.front();
    waiting_.erase(ready_.front());
    ready_.pop_front();
    give_up_later(key);
    working_.insert(key);
    return key;
  }

  void done(const Key& key) {
    working_.erase(key);
    if (again_.erase(key) > 0) add(key);
  }

  /// When take() may next have a key by time alone; nothing if there is no such time.
  std::optional<base::TimePoint> next_due() const {
    for (const auto& [time, key] : by_time_) {
      if (!working_.contains(key)) return time;
    }
    return std::nullopt;
  }

  std::size_t ready() const { return ready_.size() + again_.size(); }
  std::size_t later() const { return later_.size(); }

 private:
  void move_due(base::TimePoint now) {
    std::vector<Key> due;
    for (const auto& [time, key] : by_time_) {
      if (time > now) break;
      if (!working_.contains(key)) due.push_back(key);
    }
    for (const Key& key : due) add(key);
  }

  void give_up_later(const Key& key) {
    const auto found = later_.find(key);
    if (found == later_.end()) return;
    by_time_.erase({found->second, key});
    later_.erase(found);
  }

  base::Backoff backoff_;
  base::TokenBucket bucket_;
  base::Random random_;
  std::set<Key> waiting_;                                     // to be taken
  std::deque<typename std::set<Key>::const_iterator> ready_;  // in this order; places in waiting_
  std::set<Key> working_;                                     // taken
  std::set<Key> again_;                                       // added while they were being worked on
  std::map<Key, base::TimePoint> later_;                      // in neither of waiting_ and again_
  std::set<std::pair<base::TimePoint, Key>> by_time_;         // the same
  std::map<Key, unsigned> failures_;
};

}  // namespace lambda::runtime
