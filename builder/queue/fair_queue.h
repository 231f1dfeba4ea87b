// What waits for a worker: bounded, fair between tenants, ordered by priority and age within a tenant.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"

namespace lambda::queue {

enum class Admission {
  admitted,
  full,         // the queue holds all that it may, and nobody holds more of it than this tenant would
  tenant_full,  // this tenant holds all that it may
};

template <class Item>
struct Offer {
  Admission admission = Admission::admitted;
  std::optional<Item> displaced;  // what gave way to it: the last item of the tenant that held most
};

struct Settings {
  std::size_t max_size = 0;
  std::size_t max_per_tenant = 0;
  /// An item gains one priority for each such time that it has waited.
  base::milliseconds priority_step{2000};
  /// Shares of the tenants that are not 1; used within [0.001, 1000].
  std::map<std::string, double, std::less<>> weights = {};
};

/// Tenants take turns by self-clocked fair queueing: while several hold something that is ready, each gets as
/// many takes as its weight says, whatever it holds and however it offers it. A tenant's own items come by
/// arrival - priority · priority_step; priorities count within ±1000.
///
/// When the queue is full, an item of the tenant that holds most for its weight gives way to one of a tenant
/// that would hold less even with it. Beside the items that wait, those that were taken lately (about the
/// last max_size) count as held: who always has more to offer would otherwise keep as much of the queue as
/// each of those who come with a few. Only for a tenant's single item they don't count, so that nobody loses
/// that, and with it its turn, for what it had before. Items whose retry is not due never give way.
///
/// Each change costs O(log n) (amortised), memory is that of max_size items and the names of three times as
/// many tenants. Nothing here waits or looks at a clock. Not thread-safe.
template <class Item>
class FairQueue {
 public:
  explicit FairQueue(Settings settings) : settings_(std::move(settings)) {}

  /// `bounded`: whether max_per_tenant counts. It need not where the sender has a bound of its own.
  Offer<Item> offer(const std::string& tenant, int priority, Item item, base::TimePoint now,
                    bool bounded = true) {
    const auto known = tenants_.find(tenant);
    const std::size_t held = known == tenants_.end() ? 0 : known->second.held;
    const std::size_t taken = known == tenants_.end() ? 0 : known->second.taken;
    if (bounded && held >= settings_.max_per_tenant) return {Admission::tenant_full, std::nullopt};
    Offer<Item> offer;
    if (size() >= settings_.max_size) {
      offer.displaced = make_room(share(held + 1, taken, weight_of(tenant)));
      if (!offer.displaced) return {Admission::full, std::nullopt};
    }
    make_ready(hold(tenant, now), order(now, priority, false), Held{now, std::move(item)});
    return offer;
  }

  /// An item that was taken, for a retry at `not_before`; `arrival` is when it was first offered, so that it
  /// goes before what came later. Always held: only as many can come back as there are workers.
  void put_back(const std::string& tenant, int priority, Item item, base::TimePoint arrival,
                base::TimePoint not_before) {
    waiting_.emplace(not_before, Waiting{&hold(tenant, arrival), order(arrival, priority, true),
                                         Held{arrival, std::move(item)}});
  }

  /// The next item in turn, if one is ready.
  std::optional<Item> take(base::TimePoint now) {
    make_due_ready(now);
    if (turns_.empty()) return std::nullopt;
    Node& node = *turns_.begin()->tenant;
    virtual_time_ = turns_.begin()->value;
    turns_.erase(turns_.begin());
    auto& ready = node.second.ready;
    Held next = std::move(ready.extract(ready.begin()).mapped());
    if (!ready.empty()) join_turns(node);
    if (turns_.empty()) virtual_time_ = 0;  // nothing is measured by it now
    --ready_;
    ++node.second.taken;
    release(node, next.arrival);
    if (++taken_ >= settings_.max_size) forget_half();
    return std::move(next.item);
  }

  /// Drops an item of that tenant, if it is held. O(what the tenant holds and what waits for a retry).
  void erase(const std::string& tenant, const Item& item) {
    const auto node = tenants_.find(tenant);
    if (node != tenants_.end() && !erase_ready(*node, item)) erase_waiting(item);
  }

  /// When the earliest waiting retry is due; nothing if none waits.
  std::optional<base::TimePoint> next_due() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first;
  }

  /// The arrival of the item that is held longest; nothing if none is.
  std::optional<base::TimePoint> oldest() const {
    if (arrivals_.empty()) return std::nullopt;
    return *arrivals_.begin();
  }

  /// The tenants that hold most and how much, at most `count`, in falling order, then by name. O(tenants).
  std::vector<std::pair<std::string, std::size_t>> deepest(std::size_t count) const {
    std::vector<const Node*> all;
    all.reserve(shares_.size());
    for (const Place& place : shares_) all.push_back(place.tenant);
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(count, all.size()));
    std::partial_sort(all.begin(), end, all.end(), [](const Node* a, const Node* b) {
      return std::tie(b->second.held, a->first) < std::tie(a->second.held, b->first);
    });
    std::vector<std::pair<std::string, std::size_t>> out;
    for (auto node = all.begin(); node != end; ++node) out.emplace_back((*node)->first, (*node)->second.held);
    return out;
  }

  std::size_t size() const { return ready_ + waiting_.size(); }
  std::size_t waiting_for_retry() const { return waiting_.size(); }
  std::size_t max_size() const { return settings_.max_size; }
  std::size_t tenants() const { return shares_.size(); }

 private:
  struct Tenant;
  using Node = std::pair<const std::string, Tenant>;

  // Where a tenant stands among the others; of equals the earlier one is first.
  struct Place {
    double value = 0;
    std::uint64_t number = 0;
    Node* tenant = nullptr;
    bool operator<(const Place& other) const {
      return std::tie(value, number) < std::tie(other.value, other.number);
    }
  };
  // Where an item stands among its tenant's; of equals a retry, which came earlier, is first.
  struct Order {
    base::TimePoint at;
    bool is_new;
    std::uint64_t number;
    bool operator<(const Order& other) const {
      return std::tie(at, is_new, number) < std::tie(other.at, other.is_new, other.number);
    }
  };
  struct Held {
    base::TimePoint arrival;
    Item item;
  };
  struct Waiting {
    Node* tenant;
    Order order;
    Held held;
  };
  struct Tenant {
    double weight = 1;
    std::size_t held = 0;   // ready and waiting
    std::size_t taken = 0;  // lately
    std::map<Order, Held> ready;
    Place turn;   // in turns_ while something is ready
    Place share;  // in shares_ while something is held
  };

  static double share(std::size_t held, std::size_t taken, double weight) {
    return static_cast<double>(held > 1 ? held + taken : held) / weight;
  }

  double weight_of(const std::string& tenant) const {
    const auto found = settings_.weights.find(tenant);
    return found == settings_.weights.end() ? 1 : std::min(std::max(0.001, found->second), 1000.0);
  }

  // Does not change as the item waits: all of a tenant's items gain priority at the same pace.
  Order order(base::TimePoint arrival, int priority, bool retried) {
    return {arrival - std::clamp(priority, -1000, 1000) * settings_.priority_step, !retried, ++number_};
  }

  Node& hold(const std::string& tenant, base::TimePoint arrival) {
    const auto [node, added] = tenants_.try_emplace(tenant);
    if (added) node->second.weight = weight_of(tenant);
    arrivals_.insert(arrival);
    set_held(*node, node->second.held + 1);
    return *node;
  }

  void release(Node& node, base::TimePoint arrival) {
    arrivals_.erase(arrivals_.find(arrival));
    set_held(node, node.second.held - 1);
    if (is_forgotten(node.second)) tenants_.erase(tenants_.find(node.first));
  }

  static bool is_forgotten(const Tenant& tenant) { return tenant.held == 0 && tenant.taken == 0; }

  void set_held(Node& node, std::size_t held) {
    node.second.held = held;
    set_share(node, ++number_);
  }

  void set_share(Node& node, std::uint64_t number) {
    Tenant& tenant = node.second;
    shares_.erase(tenant.share);
    tenant.share = Place{share(tenant.held, tenant.taken, tenant.weight), number, &node};
    if (tenant.held > 0) shares_.insert(tenant.share);
  }

  // Counted in takes, not in time: while nothing is taken, nothing that was is forgotten.
  void forget_half() {
    taken_ = 0;
    for (auto node = tenants_.begin(); node != tenants_.end();) {
      node->second.taken /= 2;
      if (node->second.held > 1) set_share(*node, node->second.share.number);  // else it is not of its share
      node = is_forgotten(node->second) ? tenants_.erase(node) : std::next(node);
    }
  }

  // The tag is when its turn would end, so one that was away needs no memory: what it had before was at most
  // the virtual time of now.
  void join_turns(Node& node) {
    node.second.turn = Place{virtual_time_ + 1 / node.second.weight, ++number_, &node};
    turns_.insert(node.second.turn);
  }

  void make_ready(Node& node, Order order, Held held) {
    if (node.second.ready.empty()) join_turns(node);
    node.second.ready.emplace(order, std::move(held));
    ++ready_;
  }

  void make_due_ready(base::TimePoint now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      Waiting due = std::move(waiting_.extract(waiting_.begin()).mapped());
      make_ready(*due.tenant, due.order, std::move(due.held));
    }
  }

  bool erase_ready(Node& node, const Item& item) {
    auto& ready = node.second.ready;
    for (auto held = ready.begin(); held != ready.end(); ++held) {
      if (held->second.item == item) {
        drop(node, held);
        return true;
      }
    }
    return false;
  }

  void erase_waiting(const Item& item) {
    for (auto held = waiting_.begin(); held != waiting_.end(); ++held) {
      if (held->second.held.item == item) {
        const Waiting gone = std::move(waiting_.extract(held).mapped());
        return release(*gone.tenant, gone.held.arrival);
      }
    }
  }

  // Out of its order, so that the tenant's turn may have nothing left to take.
  Item drop(Node& node, typename std::map<Order, Held>::iterator held) {
    auto& ready = node.second.ready;
    Held dropped = std::move(ready.extract(held).mapped());
    if (ready.empty()) turns_.erase(node.second.turn);
    --ready_;
    release(node, dropped.arrival);
    return std::move(dropped.item);
  }

  std::optional<Item> make_room(double newcomers_share) {
    if (shares_.empty() || shares_.rbegin()->value <= newcomers_share) return std::nullopt;
    Node& node = *shares_.rbegin()->tenant;
    auto& ready = node.second.ready;
    if (ready.empty()) return std::nullopt;
    return drop(node, std::prev(ready.end()));
  }

  const Settings settings_;
  std::unordered_map<std::string, Tenant>
      tenants_;             // those that hold something or took it lately; its nodes stay where they are
  std::set<Place> turns_;   // by tag; the first is next
  std::set<Place> shares_;  // by what is held for the weight; the last holds most
  std::multimap<base::TimePoint, Waiting> waiting_;
  std::multiset<base::TimePoint> arrivals_;
  double virtual_time_ = 0;
  std::size_t taken_ = 0;     // since half was forgotten
  std::uint64_t number_ = 0;  // of places and orders, for those that are equal otherwise
  std::size_t ready_ = 0;
};

}  // namespace lambda::queue
