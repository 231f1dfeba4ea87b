// Whether the API server is worth a try: one state for all workers, so that they don't all find out, and all
// back off, for themselves.
#pragma once

#include <chrono>
#include <optional>

#include "base/backoff.h"
#include "base/error.h"
#include "base/time.h"

namespace lambda::pool {

/// Opens when the API server is away, throttles, or refuses whatever we ask for. Then one try at a time, the
/// probe, finds out whether that has passed; each that fails makes the next wait longer.
///
/// Every try that may_try() allowed is to be told once: succeeded(), failed(), or probe_abandoned() if its
/// request was never sent. Pure: time and randomness are passed in. Not thread-safe.
class Breaker {
 public:
  enum class State {
    closed,   // try
    open,     // nobody tries until the next probe is due
    probing,  // one try is under way
  };

  struct Settings {
    /// Between two probes: `base` doubled with each that failed, at most `limit`; the jitter takes up to half
    /// of it away.
    base::Backoff probe_backoff{std::chrono::seconds(1), std::chrono::seconds(30)};
    /// Consecutive failures of any kind, with an answer or none.
    unsigned failures_to_open = 5;
    /// Consecutive tries without any answer: no connection, or silence.
    unsigned unanswered_to_open = 2;
    /// A Retry-After is honoured as the least wait, but no more of it than this.
    std::chrono::seconds retry_after_limit{300};
  };

  Breaker(Settings settings, base::Random random);

  /// Whether a try may begin now. When it is open and the probe is due, yes to one caller only.
  bool may_try(base::TimePoint now);

  /// The API server did what it was asked for: closes, whichever try that was. Only while a Retry-After runs,
  /// what began before it says nothing against it.
  void succeeded();

  /// A try that began at `began` (not before its may_try()) ended in `error`.
  /// - It was answered, and only this Job was at fault: invalid, too_large, conflict, or any 409. That is a
  ///   success.
  /// - A Retry-After came with it: opens at once.
  /// - No answer (`http_status` 0) of kind unavailable or timeout: opens after unanswered_to_open in a row.
  /// - Credentials, rights, quota, namespace (401, 403, 404), 5xx and the rest: opens after failures_to_open
  /// in
  ///   a row.
  /// - internal, unsupported: says nothing about the API server.
  /// What began before the breaker opened says nothing new and changes nothing.
  void failed(const base::Error& error, base::TimePoint began, base::TimePoint now);

  /// The probe that was allowed did not send its request: the next caller may.
  void probe_abandoned(base::TimePoint now);

  State state() const { return state_; }
  /// While open: when may_try() says yes. Nothing while closed, or while a probe is under way.
  std::optional<base::TimePoint> next_probe() const;
  /// What to tell those who are turned away: the time until the next probe in whole seconds, at least 1;
  /// while one is under way, as long as the wait for it was.
  std::chrono::seconds retry_after(base::TimePoint now) const;
  /// Why: the last failure that counted since the last success.
  const std::optional<base::Error>& last_failure() const { return last_failure_; }
  unsigned consecutive_failures() const { return failures_; }

 private:
  bool opens_it(const base::Error& error) const;
  void open(const base::Error& error, base::TimePoint now);

  const Settings settings_;
  const base::Random random_;
  State state_ = State::closed;
  unsigned failures_ = 0;       // in a row
  unsigned unanswered_ = 0;     // in a row, of them
  unsigned failed_probes_ = 0;  // since it opened
  base::milliseconds wait_{0};  // for the probe that is next or under way
  bool told_to_wait_ = false;   // by a Retry-After
  base::TimePoint next_probe_;
  base::TimePoint counts_from_ = base::TimePoint::min();  // tries that began earlier are old news
  std::optional<base::Error> last_failure_;
};

}  // namespace lambda::pool
