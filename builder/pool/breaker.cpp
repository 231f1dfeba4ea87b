#include "pool/breaker.h"

#include <algorithm>
#include <utility>

namespace lambda::pool {
namespace {

using base::ErrorKind;
using std::chrono::seconds;

enum class Meaning { works, fails, nothing };

Meaning meaning_of(const base::Error& error) {
  if (error.http_status == 409) return Meaning::works;
  switch (error.kind) {
    case ErrorKind::invalid:
    case ErrorKind::too_large:
    case ErrorKind::conflict:
      return Meaning::works;
    case ErrorKind::unsupported:
    case ErrorKind::internal:
      return Meaning::nothing;
    case ErrorKind::not_found:
    case ErrorKind::unauthenticated:
    case ErrorKind::forbidden:
    case ErrorKind::unavailable:
    case ErrorKind::timeout:
      return Meaning::fails;
  }
  return Meaning::nothing;
}

bool is_unanswered(const base::Error& error) {
  return error.http_status == 0 && base::worth_retrying(error.kind);
}

// Not down to nothing, as full jitter goes: a probe is alone, and the wait is to grow each time.
base::milliseconds probe_wait(const base::Backoff& backoff, unsigned failed_probes,
                              const base::Random& random) {
  return backoff.delay(failed_probes, [&random] { return (1 + random()) / 2; });
}

}  // namespace

Breaker::Breaker(Settings settings, base::Random random) : settings_(settings), random_(std::move(random)) {}

bool Breaker::may_try(base::TimePoint now) {
  if (state_ == State::closed) return true;
  if (state_ == State::probing || now < next_probe_) return false;
  state_ = State::probing;
  counts_from_ = now;
  return true;
}

void Breaker::succeeded() {
  if (state_ == State::open && told_to_wait_) return;
  state_ = State::closed;
  failures_ = 0;
  unanswered_ = 0;
  failed_probes_ = 0;
  last_failure_.reset();
}

void Breaker::failed(const base::Error& error, base::TimePoint began, base::TimePoint now) {
  const Meaning meaning = meaning_of(error);
  if (meaning == Meaning::works) return succeeded();
  if (state_ == State::open || began < counts_from_) return;
  if (meaning == Meaning::nothing) return probe_abandoned(now);
  ++failures_;
  unanswered_ = is_unanswered(error) ? unanswered_ + 1 : 0;
  if (state_ == State::probing) ++failed_probes_;
  last_failure_ = error;
  if (opens_it(error)) open(error, now);
}

bool Breaker::opens_it(const base::Error& error) const {
  return state_ == State::probing || error.retry_after || failures_ >= settings_.failures_to_open ||
         unanswered_ >= settings_.unanswered_to_open;
}

void Breaker::open(const base::Error& error, base::TimePoint now) {
  const base::milliseconds asked_for =
      std::min(error.retry_after.value_or(seconds(0)), settings_.retry_after_limit);
  wait_ = std::max(probe_wait(settings_.probe_backoff, failed_probes_, random_), asked_for);
  told_to_wait_ = error.retry_after.has_value();
  state_ = State::open;
  next_probe_ = now + wait_;
  counts_from_ = now;
}

void Breaker::probe_abandoned(base::TimePoint now) {
  if (state_ != State::probing) return;
  state_ = State::open;
  next_probe_ = now;
}

std::optional<base::TimePoint> Breaker::next_probe() const {
  if (state_ != State::open) return std::nullopt;
  return next_probe_;
}

seconds Breaker::retry_after(base::TimePoint now) const {
  constexpr seconds least{1};
  if (state_ == State::closed) return least;
  const auto left = state_ == State::open ? next_probe_ - now : base::Clock::duration(wait_);
  return std::max(least, std::chrono::ceil<seconds>(left));
}

}  // namespace lambda::pool
