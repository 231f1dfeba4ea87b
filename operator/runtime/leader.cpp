#include "runtime/leader.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "kube/answer.h"
#include "runtime/boot_clock.h"
#include "runtime/lease.h"
#include "runtime/line_buffer.h"
#include "runtime/micro_time.h"
#include "runtime/watch_event.h"

namespace lambda::runtime {
namespace {

using base::ErrorKind;
using base::milliseconds;
using base::Result;
using nlohmann::json;

constexpr std::size_t lease_max_bytes = 1048576;
constexpr milliseconds watch_least{300'000};
constexpr milliseconds least_idle{100};
constexpr milliseconds least_watch{1'000};

std::int64_t whole_seconds(milliseconds duration) {
  return std::chrono::ceil<std::chrono::seconds>(duration).count();
}

}  // namespace

class LeaderElector::Impl {
 public:
  Impl(LeaderSettings settings, std::shared_ptr<kube::RestClient> client, metrics::Registry& registry,
       base::Log& log, base::Random random)
      : settings_(std::move(settings)),
        api_(std::move(client), settings_.request_timeout),
        log_(log),
        random_(std::move(random)),
        gauge_(registry.gauge("operator_leader", "Whether this replica leads")),
        transitions_(registry.counter("operator_leader_transitions_total",
                                      "How often this replica began or ceased to lead")),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  ~Impl() { resign(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool leads() const { return time_left_now() > milliseconds(0); }

  Result<milliseconds> may_write(std::uint64_t term) const {
    const std::lock_guard lock(mutex_);
    const milliseconds left = time_left();
    if (term_ == term && left > milliseconds(0)) return left;
    return base::fail(ErrorKind::unavailable, "this replica does not lead, so it must not write");
  }

  std::optional<std::uint64_t> wait_until_leading(const std::stop_token& stop) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [this] { return time_left() > milliseconds(0); });
    if (stop.stop_requested()) return std::nullopt;  // also of one that leads
    return term_;
  }

  bool wait_until_lost(std::uint64_t term, const std::stop_token& stop) const {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const milliseconds left = time_left();
      if (term_ != term || left <= milliseconds(0)) return true;
      // The waits' clock may have stood still, so it is asked again and again.
      changed_.wait_for(lock, stop, std::min<milliseconds>(left, std::chrono::seconds(1)),
                        [&] { return term_ != term || !leading_; });
    }
    return false;
  }

  void resign() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    const bool had_it = leading_;
    cease("resigned");
    if (!had_it && !cut_off_) return;
    auto answer = had_it ? give_back(lease_) : give_back_if_ours();
    if (!answer && kube::is_stale(answer.error()) && cut_off_) answer = give_back_if_ours();
    if (!answer) log_.warning("cannot give the lease back", {{"error", base::describe(answer.error())}});
  }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (leading_) {
        stay(stop);
      } else {
        apply_for(stop);
      }
    }
  }

  // The end.

  // Only if nobody wrote to it since: the resource version says so.
  Result<void> give_back(const Lease& lease) {
    return api_.update(to_json(released(lease, micro_time_now()))).map([](const json&) {});
  }

  // What resign() cut off may have arrived all the same.
  Result<void> give_back_if_ours() {
    const auto found = read({});
    if (!found && found.error().kind != ErrorKind::not_found) return tl::unexpected(found.error());
    if (!found || found->holder != settings_.identity) return {};
    return give_back(*found);
  }

  // While it leads.

  void stay(const std::stop_token& stop) {
    milliseconds pause = settings_.renew_every;
    while (wait(pause, stop)) {
      if (time_left_now() <= milliseconds(0)) return cease("it was not renewed in time");
      const auto began = BootClock::now();
      const auto answer = api_.update(to_json(renewed(lease_, micro_time_now())), {}, stop);
      cut_off_ = !answer && stop.stop_requested();
      if (cut_off_) return;
      if (answer) {
        hold(*answer, began);
        pause = settings_.renew_every;
        continue;
      }
      log_.warning("cannot renew the lease", {{"error", base::describe(answer.error())}});
      const bool somebody_wrote =
          kube::is_stale(answer.error()) || answer.error().kind == ErrorKind::not_found;
      if (somebody_wrote && !look_again(stop)) return;
      pause = settings_.retry;
    }
  }

  // The lease was written by somebody: by another replica, or by ourselves when the answer got lost, or by
  // hand. False when it is no longer ours.
  bool look_again(const std::stop_token& stop) {
    const auto found = read(stop);
    const bool deleted = !found && found.error().kind == ErrorKind::not_found;
    if (deleted || (found && found->holder != settings_.identity)) {
      cease(deleted ? "the lease was deleted" : "another took the lease");
      return false;
    }
    if (found) lease_ = *found;
    return true;
  }

  // While it does not.

  void apply_for(const std::stop_token& stop) {
    auto found = read(stop);
    if (stop.stop_requested()) return;
    if (!found && found.error().kind != ErrorKind::not_found) {
      log_.write(failures_ == 0 ? base::Level::warning : base::Level::debug, "cannot read the lease",
                 {{"error", base::describe(found.error())}});
      wait(pause_after_failure(), stop);
      return;
    }
    if (!found) return take_missing(stop);
    observation_.see(*found, base::Clock::now());
    if (found->holder == settings_.identity || observation_.is_free(base::Clock::now()))
      return take(*found, stop);
    watch_lease(*found, stop);
  }

  // Deleted by hand, its holder still leads for as long as the lease was to last.
  void take_missing(const std::stop_token& stop) {
    const base::TimePoint now = base::Clock::now();
    if (observation_.last() && !observation_.is_free(now)) {
      wait(std::chrono::ceil<milliseconds>(observation_.free_at() - now), stop);
      return;
    }
    take(Lease{.key = settings_.lease}, stop);
  }

  void take(const Lease& lease, const std::stop_token& stop) {
    const auto began = BootClock::now();
    const json wanted =
        to_json(taken(lease, settings_.identity, whole_seconds(settings_.duration), micro_time_now()));
    const bool is_new = lease.resource_version.empty();
    const auto answer = is_new ? api_.create(wanted, {}, stop) : api_.update(wanted, {}, stop);
    cut_off_ = !answer && stop.stop_requested();
    if (answer) {
      failures_ = 0;
      hold(*answer, began);
    } else if (!cut_off_) {
      const bool another_was_faster =
          kube::is_stale(answer.error()) || kube::is_already_there(answer.error());
      log_.write(another_was_faster ? base::Level::debug : base::Level::warning, "cannot take the lease",
                 {{"error", base::describe(answer.error())}});
      wait(pause_after_failure(), stop);
    }
  }

  // Until it may be free: given back, or not renewed for its duration. Whether it is, the API server is asked
  // again.
  void watch_lease(const Lease& lease, const std::stop_token& stop) {
    const kube::Selection only{.namespace_name = settings_.lease.namespace_name,
                               .field_selector = "metadata.name=" + settings_.lease.name};
    const auto request = kube::watch_objects(
        kube::resources::lease, only,
        {.resource_version = lease.resource_version, .timeout = watch_time(), .bookmarks = false});
    LineBuffer lines(lease_max_bytes);
    Result<bool> held = true;
    const auto on_line = [&](std::string_view line) {
      held = is_held(line);
      return held && *held;
    };
    const base::TimePoint began = base::Clock::now();
    const auto ended = request.and_then([&](const kube::Request& watch) {
      return api_.client().stream(
          watch, [&](std::string_view bytes) { return lines.feed(bytes, on_line); },
          {.head = settings_.request_timeout, .idle = until_free()}, stop);
    });
    if (held && !*held) return;
    // A watch that can't be had, or that ends at once, is no reason to ask without pause. Nor is one that is
    // refused in an event: for as long as nobody writes to the Lease, it is, when the API server was
    // restarted meanwhile.
    const bool refused =
        !held || (ended && !ended->ok()) || (!ended && ended.error().kind != ErrorKind::timeout);
    if (refused || base::Clock::now() - began < least_watch)
      wait(std::min(pause_after_failure(), until_free()), stop);
  }

  milliseconds until_free() const {
    return std::max(least_idle, std::chrono::ceil<milliseconds>(observation_.free_at() - base::Clock::now()));
  }

  // As an event of the watch has it; not, when the Lease is given back or gone.
  Result<bool> is_held(std::string_view line) {
    const auto event = parse_watch_event(line);
    if (!event) return tl::unexpected(event.error());
    if (event->type == WatchEvent::Type::deleted) return false;
    const auto lease = parse_lease(event->object);
    if (!lease) return tl::unexpected(lease.error());
    observation_.see(*lease, base::Clock::now());
    failures_ = 0;
    return !lease->holder.empty();
  }

  Result<Lease> read(const std::stop_token& stop) {
    return api_.get(kube::resources::lease, settings_.lease.namespace_name, settings_.lease.name, stop)
        .and_then(parse_lease);
  }

  // The state.

  // The API server has our lease. When it took so long to say so that the term was over, another one begins.
  void hold(const json& answer, BootClock::time_point asked) {
    auto lease = parse_lease(answer);
    if (!lease) return cease("the answer to the renewal is no Lease");
    lease_ = std::move(*lease);
    const std::lock_guard lock(mutex_);
    const bool goes_on = time_left() > milliseconds(0);
    deadline_ = asked + settings_.duration - settings_.margin;
    if (goes_on) return;
    leading_ = true;
    ++term_;
    told_changed("this replica leads", lease_.holder);
  }

  void cease(std::string_view why) {
    const std::lock_guard lock(mutex_);
    if (!leading_) return;
    leading_ = false;
    told_changed("this replica does not lead any more", why);
  }

  void told_changed(std::string_view message, std::string_view detail) {
    gauge_.Set(leading_ ? 1 : 0);
    transitions_.Increment();
    log_.info(message, {{"lease", settings_.lease.name}, {"detail", detail}});
    changed_.notify_all();
  }

  milliseconds time_left() const {
    if (!leading_) return milliseconds(0);
    return std::max(milliseconds(0), std::chrono::floor<milliseconds>(deadline_ - BootClock::now()));
  }

  milliseconds time_left_now() const {
    const std::lock_guard lock(mutex_);
    return time_left();
  }

  bool wait(milliseconds time, const std::stop_token& stop) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
  }

  milliseconds pause_after_failure() {
    const base::Backoff backoff{settings_.retry, settings_.duration};
    return settings_.retry + backoff.delay(failures_++, random_);
  }

  milliseconds watch_time() {
    const std::chrono::duration<double, std::milli> time = watch_least * (1 + random_());
    return std::chrono::duration_cast<milliseconds>(time);
  }

  const LeaderSettings settings_;
  kube::Api api_;
  base::Log& log_;
  base::Random random_;
  prometheus::Gauge& gauge_;
  prometheus::Counter& transitions_;

  // Of the thread, and of resign() after its end.
  Lease lease_;
  LeaseObservation observation_;
  unsigned failures_ = 0;
  bool cut_off_ = false;  // the last request to write the Lease, by the stop: it may have arrived

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  bool leading_ = false;  // written by the thread only
  std::uint64_t term_ = 0;
  BootClock::time_point deadline_;
  std::jthread thread_;
};

LeaderElector::LeaderElector(LeaderSettings settings, std::shared_ptr<kube::RestClient> client,
                             metrics::Registry& registry, base::Log& log, base::Random random)
    : impl_(
          std::make_unique<Impl>(std::move(settings), std::move(client), registry, log, std::move(random))) {}
LeaderElector::~LeaderElector() = default;

bool LeaderElector::leads() const {
  return impl_->leads();
}

Result<milliseconds> LeaderElector::may_write(std::uint64_t term) const {
  return impl_->may_write(term);
}

std::optional<std::uint64_t> LeaderElector::wait_until_leading(const std::stop_token& stop) const {
  return impl_->wait_until_leading(stop);
}

bool LeaderElector::wait_until_lost(std::uint64_t term, const std::stop_token& stop) const {
  return impl_->wait_until_lost(term, stop);
}

void LeaderElector::resign() {
  impl_->resign();
}

}  // namespace lambda::runtime
