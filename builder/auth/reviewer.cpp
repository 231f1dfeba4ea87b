#include "auth/reviewer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "auth/expiring_cache.h"
#include "auth/token.h"
#include "auth/token_review.h"
#include "kube/request.h"

namespace lambda::auth {
namespace {

namespace asio = boost::asio;
using base::ErrorKind;
using base::Result;
using base::TimePoint;
using Verdict = Result<std::string>;

constexpr std::size_t running_max = 4;
constexpr std::size_t waiting_max = 256;
constexpr std::size_t cache_max_entries = 1024;
constexpr std::chrono::seconds good_for{60};
constexpr std::chrono::seconds bad_for{10};
constexpr std::chrono::seconds request_timeout{10};
constexpr std::chrono::seconds warn_again_after{10};

// One token under review, and who waits for what comes of it.
struct Review {
  std::string token;
  std::string digest;
  std::size_t waiting = 0;
  std::optional<Verdict> verdict;  // decides; the timers only wake
  std::vector<std::shared_ptr<asio::steady_timer>> timers;
};
using ReviewPtr = std::shared_ptr<Review>;

std::string without(std::string text, const std::string& secret) {
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "*");
  }
  return text;
}

}  // namespace

struct Reviewer::Impl : std::enable_shared_from_this<Reviewer::Impl> {
  Impl(asio::any_io_executor on, std::string for_audience, std::shared_ptr<kube::Endpoint> to,
       base::Log& into, std::function<TimePoint()> clock)
      : executor(std::move(on)),
        audience(std::move(for_audience)),
        endpoint(std::move(to)),
        log(into),
        now(std::move(clock)) {}

  asio::awaitable<Verdict> review(std::string token, TimePoint deadline);
  std::optional<Verdict> remembered(const std::string& digest);
  ReviewPtr join_or_begin(std::string token, const std::string& digest);
  void begin(const ReviewPtr& review);
  static asio::awaitable<void> run(std::shared_ptr<Impl> self, kube::Connection connection);
  asio::awaitable<Verdict> ask(kube::Connection& connection, const Review& review);
  void conclude(Review& review, Verdict verdict);
  void remember(const Review& review, const Verdict& verdict);
  void warn(const base::Error& error);

  asio::any_io_executor executor;
  std::string audience;
  std::shared_ptr<kube::Endpoint> endpoint;
  base::Log& log;
  std::function<TimePoint()> now;
  TokenDigest digest_of;
  ExpiringCache good{cache_max_entries};
  ExpiringCache bad{cache_max_entries};
  std::unordered_map<std::string, ReviewPtr> reviews;  // by the digest; queued or running
  std::deque<ReviewPtr> queue;
  std::vector<kube::Connection> idle;
  std::size_t running = 0;
  std::optional<TimePoint> warned_at;
};

asio::awaitable<Verdict> Reviewer::Impl::review(std::string token, TimePoint deadline) {
  const std::string digest = digest_of.of(token);
  if (auto known = remembered(digest)) co_return std::move(*known);
  const ReviewPtr review = join_or_begin(std::move(token), digest);
  if (!review) co_return base::fail(ErrorKind::unavailable, "too many tokens wait for their review");
  const auto timer = std::make_shared<asio::steady_timer>(executor, deadline);
  review->timers.push_back(timer);
  boost::system::error_code ignored;
  co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  --review->waiting;
  if (!review->verdict) co_return base::fail(ErrorKind::timeout, "the token was not reviewed in time");
  co_return *review->verdict;
}

std::optional<Verdict> Reviewer::Impl::remembered(const std::string& digest) {
  const TimePoint at = now();
  if (auto name = good.find(digest, at)) return Verdict(std::move(*name));
  if (auto reason = bad.find(digest, at))
    return Verdict(base::fail(ErrorKind::unauthenticated, std::move(*reason)));
  return std::nullopt;
}

ReviewPtr Reviewer::Impl::join_or_begin(std::string token, const std::string& digest) {
  ReviewPtr& review = reviews[digest];
  if (!review) {
    if (reviews.size() > waiting_max + running_max) {
      reviews.erase(digest);
      return nullptr;
    }
    review = std::make_shared<Review>();
    review->token = std::move(token);
    review->digest = digest;
    begin(review);
  }
  ++review->waiting;
  return review;
}

void Reviewer::Impl::begin(const ReviewPtr& review) {
  queue.push_back(review);
  if (running == running_max) return;
  ++running;
  if (idle.empty()) idle.emplace_back(executor, endpoint);
  kube::Connection connection = std::move(idle.back());
  idle.pop_back();
  asio::co_spawn(executor, run(shared_from_this(), std::move(connection)), asio::detached);
}

asio::awaitable<void> Reviewer::Impl::run(std::shared_ptr<Impl> self, kube::Connection connection) {
  while (!self->queue.empty()) {
    const ReviewPtr review = std::move(self->queue.front());
    self->queue.pop_front();
    if (review->waiting == 0) {
      self->reviews.erase(review->digest);
      continue;
    }
    Verdict verdict = co_await self->ask(connection, *review);
    self->conclude(*review, std::move(verdict));
  }
  --self->running;
  self->idle.push_back(std::move(connection));
}

asio::awaitable<Verdict> Reviewer::Impl::ask(kube::Connection& connection, const Review& review) {
  Result<kube::Request> request = kube::review_token(review.token, audience);
  if (!request) co_return tl::unexpected(std::move(request.error()));
  const TimePoint deadline = base::Clock::now() + request_timeout;
  const Result<kube::Answer> answer = co_await connection.send(std::move(*request), deadline);
  if (!answer) co_return tl::unexpected(answer.error());
  co_return read_review(*answer, audience);
}

void Reviewer::Impl::conclude(Review& review, Verdict verdict) {
  if (verdict || verdict.error().kind == ErrorKind::unauthenticated) {
    remember(review, verdict);
  } else {
    // What the API server says of us is for our log; the sender can only come back.
    base::Error& error = verdict.error();
    error.message = without(std::move(error.message), review.token);
    warn(error);
    error.message = "the token can't be reviewed by the Kubernetes API now";
    error.field.clear();
  }
  reviews.erase(review.digest);
  review.verdict = std::move(verdict);
  for (const auto& timer : review.timers) timer->cancel();
}

void Reviewer::Impl::remember(const Review& review, const Verdict& verdict) {
  if (!verdict) return bad.put(review.digest, verdict.error().message, now() + bad_for);
  using std::chrono::system_clock;
  system_clock::duration good_until = good_for;
  if (const auto expiry = expiry_of(review.token))
    good_until = std::min(good_until, *expiry - system_clock::now());
  if (good_until.count() <= 0) return;
  good.put(review.digest, *verdict, now() + std::chrono::duration_cast<base::Clock::duration>(good_until));
}

void Reviewer::Impl::warn(const base::Error& error) {
  const TimePoint at = now();
  if (warned_at && at - *warned_at < warn_again_after) return;
  warned_at = at;
  log.warning("cannot have a token reviewed", {{"error", base::describe(error)}});
}

Reviewer::Reviewer(asio::any_io_executor executor, std::string audience,
                   std::shared_ptr<kube::Endpoint> endpoint, base::Log& log, std::function<TimePoint()> now)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(audience), std::move(endpoint), log,
                                   std::move(now))) {}
Reviewer::~Reviewer() = default;

asio::awaitable<Verdict> Reviewer::review(std::string token, TimePoint deadline) {
  // A frame of its own, so that the state outlives us where we go first.
  const std::shared_ptr<Impl> impl = impl_;
  co_return co_await impl->review(std::move(token), deadline);
}

}  // namespace lambda::auth
