// What waits for a worker: bounded, fair between tenants, ordered by priority within a tenant.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/time.h"

namespace lambda::queue {

enum class Admission {
  admitted,
  full,         // the queue holds all that it may
  tenant_full,  // this tenant does
};

/// Tenants take turns, whatever each of them holds; a tenant's own items come by priority (higher first),
/// then in the order of their arrival. Items whose retry is not due yet count as held. Nothing here waits or
/// looks at a clock.
template <class Item>
class FairQueue {
 public:
  FairQueue(std::size_t max_size, std::size_t max_per_tenant)
      : max_size_(max_size), max_per_tenant_(max_per_tenant) {}

  Admission offer(const std::string& tenant, int priority, Item item) {
    if (size() >= max_size_) return Admission::full;
    const auto known = tenants_.find(tenant);
    if (known != tenants_.end() && known->second.held >= max_per_tenant_) return Admission::tenant_full;
    Node& node = hold(tenant);
    make_ready(node);
    node.second.ready[priority].push_back(std::move(item));
    return Admission::admitted;
  }

  /// An item that was taken, for a later retry. Always held: only as many can come back as there are workers.
  void put_back(const std::string& tenant, int priority, Item item, base::TimePoint not_before) {
    waiting_.emplace(not_before, Waiting{&hold(tenant), priority, std::move(item)});
  }

  /// The next item in turn, if one is ready.
  std::optional<Item> take(base::TimePoint now) {
    make_due_ready(now);
    if (turns_.empty()) return std::nullopt;
    Node& node = *turns_.front();
    turns_.pop_front();
    auto& ready = node.second.ready;
    auto& items = ready.begin()->second;
    Item item = std::move(items.front());
    items.pop_front();
    if (items.empty()) ready.erase(ready.begin());
    if (!ready.empty()) turns_.push_back(&node);
    --ready_;
    if (--node.second.held == 0) tenants_.erase(node.first);
    return item;
  }

  /// When the earliest waiting retry is due; nothing if none waits.
  std::optional<base::TimePoint> next_due() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first;
  }

  std::size_t size() const { return ready_ + waiting_.size(); }
  std::size_t waiting_for_retry() const { return waiting_.size(); }
  std::size_t max_size() const { return max_size_; }

 private:
  struct Tenant {
    std::size_t held = 0;  // ready and waiting
    std::map<int, std::deque<Item>, std::greater<>> ready;
  };
  using Node = std::pair<const std::string, Tenant>;
  struct Waiting {
    Node* tenant;
    int priority;
    Item item;
  };

  Node& hold(const std::string& tenant) {
    Node& node = *tenants_.try_emplace(tenant).first;
    ++node.second.held;
    return node;
  }

  void make_ready(Node& node) {
    if (node.second.ready.empty()) turns_.push_back(&node);
    ++ready_;
  }

  // A retry goes before what its tenant holds at that priority: it came earlier.
  void make_due_ready(base::TimePoint now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      auto due = waiting_.extract(waiting_.begin());
      Waiting& waiting = due.mapped();
      make_ready(*waiting.tenant);
      waiting.tenant->second.ready[waiting.priority].push_front(std::move(waiting.item));
    }
  }

  const std::size_t max_size_;
  const std::size_t max_per_tenant_;
  std::unordered_map<std::string, Tenant>
      tenants_;              // those that hold something; its nodes stay where they are
  std::deque<Node*> turns_;  // tenants with something ready; the front one is next
  std::multimap<base::TimePoint, Waiting> waiting_;
  std::size_t ready_ = 0;
};

}  // namespace lambda::queue
