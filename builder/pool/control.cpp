#include "pool/control.h"

#include "kube/answer.h"
#include "kube/request.h"

namespace lambda::pool {
namespace {

// A flood of refused Jobs must not become a flood of control experiments.
constexpr base::milliseconds remembered{2'000};

}  // namespace

boost::asio::awaitable<bool> Control::passes(kube::Connection& connection, base::TimePoint deadline) {
  const base::TimePoint now = base::Clock::now();
  if (asked_at_ && now < *asked_at_ + remembered) co_return passed_;
  base::Result<kube::Request> request = kube::dry_run_create_job(reference_.namespace_name, reference_.body);
  if (!request) co_return false;
  const base::Result<kube::Answer> answer = co_await connection.send(std::move(*request), deadline);
  // That it exists already says as much as a success: it got past all checks.
  passed_ = answer && (answer->ok() || kube::to_error(*answer).kind == base::ErrorKind::conflict);
  asked_at_ = now;
  co_return passed_;
}

}  // namespace lambda::pool
