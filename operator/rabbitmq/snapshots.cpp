#include "rabbitmq/snapshots.h"

#include <compare>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

namespace lambda::rabbitmq {
namespace {

using base::Clock;
using base::Error;
using base::Result;
using base::TimePoint;

constexpr std::chrono::minutes forget_after{10};
constexpr std::chrono::seconds error_lifetime{1};

/// The last look at one vhost.
struct View {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool being_read = false;
  TimePoint began;          // of the last reading that ended
  SharedSnapshot snapshot;  // of that one; null: it failed
  std::optional<Error> error;
  TimePoint failed_at;
};

/// Of a reading, by an exception too: otherwise all others would wait for ever.
struct End {
  View& view;
  std::unique_lock<std::mutex>& lock;

  ~End() {
    lock.lock();
    view.being_read = false;
    view.changed.notify_all();
  }
};

struct Place {
  Access access;
  std::string vhost;

  auto operator<=>(const Place&) const = default;
};

template <class Thing>
struct Kept {
  std::shared_ptr<Thing> thing;
  TimePoint asked_for;
};

template <class Key, class Thing, class Make>
std::shared_ptr<Thing> keep(std::map<Key, Kept<Thing>>& all, const Key& key, const Make& make) {
  const TimePoint now = Clock::now();
  std::erase_if(all, [now](const auto& each) { return now - each.second.asked_for > forget_after; });
  Kept<Thing>& kept = all[key];
  if (!kept.thing) kept.thing = make();
  kept.asked_for = now;
  return kept.thing;
}

}  // namespace

struct Snapshots::Impl {
  Impl(base::milliseconds timeout_, base::WriteGuard guard_) : timeout(timeout_), guard(std::move(guard_)) {}

  std::shared_ptr<Management> management(const Access& access) {
    const std::lock_guard lock(mutex);
    return keep(managements, access, [&] { return std::make_shared<Management>(access, timeout, guard); });
  }

  std::shared_ptr<View> view(const Place& place) {
    const std::lock_guard lock(mutex);
    return keep(views, place, [] { return std::make_shared<View>(); });
  }

  /// Reads without the lock, for all who wait.
  void read(View& view, std::unique_lock<std::mutex>& lock, const Place& place, const std::stop_token& stop) {
    view.being_read = true;
    const TimePoint began = Clock::now();
    auto snapshot = [&] {
      lock.unlock();
      const End end{view, lock};
      return management(place.access)->observe(place.vhost, stop);
    }();
    if (snapshot) {
      view.began = began;
      view.snapshot = std::make_shared<const topology::Snapshot>(std::move(*snapshot));
      view.error.reset();
    } else if (!stop.stop_requested()) {  // else it is this one's end, and no error of the broker
      view.error = std::move(snapshot.error());
      view.failed_at = Clock::now();
    }
  }

  const base::milliseconds timeout;
  const base::WriteGuard guard;
  std::mutex mutex;
  std::map<Access, Kept<Management>> managements;
  std::map<Place, Kept<View>> views;
};

Snapshots::Snapshots(base::milliseconds timeout, base::WriteGuard guard)
    : impl_(std::make_unique<Impl>(timeout, std::move(guard))) {}

Snapshots::~Snapshots() = default;

std::shared_ptr<Management> Snapshots::management(const Access& access) {
  return impl_->management(access);
}

Result<SharedSnapshot> Snapshots::get(const Access& access, const std::string& vhost, TimePoint not_before,
                                      const std::stop_token& stop) {
  const Place place{access, vhost};
  const std::shared_ptr<View> view = impl_->view(place);
  std::unique_lock lock(view->mutex);
  while (!stop.stop_requested()) {
    if (view->snapshot && view->began >= not_before) return view->snapshot;
    if (view->error && Clock::now() - view->failed_at < error_lifetime) return tl::unexpected(*view->error);
    if (view->being_read)
      view->changed.wait(lock, stop, [&view] { return !view->being_read; });
    else
      impl_->read(*view, lock, place, stop);
  }
  return base::fail(base::ErrorKind::timeout, "stopped while the broker was looked at");
}

}  // namespace lambda::rabbitmq
