// From an event to a Job that exists, a dead letter, or a clear reason why not; whatever the event came by.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "auth/authenticator.h"
#include "base/log.h"
#include "build/dead_letter.h"
#include "cloudevents/event.h"
#include "config/config.h"
#include "deadletter/deadletter.h"
#include "intake/metrics.h"
#include "intake/verdict.h"
#include "job/job.h"
#include "metrics/registry.h"
#include "pool/pool.h"

namespace lambda::intake {

/// How an event came, and how long whoever brought it waits.
struct Arrival {
  Flow flow = Flow::direct;
  auth::Principal principal;  // for which tenants it may speak
  base::TimePoint deadline;
  std::chrono::system_clock::time_point first_time;  // when it came first
  unsigned earlier_attempts = 0;                     // since then
  bool answer_at_once = false;                       // once it is queued
  bool bounded = true;                               // see pool::Creation
};

/// Its verdict is safe only when the Kubernetes API has accepted the Job or the dead-letter queue the event
/// (or the sender asked to be answered at once): until then the sender still has the event, and whatever
/// happens to this process, nothing is lost. Used on its pool's thread. What it is given must outlive it.
class Reception {
 public:
  /// `dead_letters` is null where there are none: what came by the queue and can never succeed is then
  /// unavailable, so that its sender's own dead-letter queue takes it.
  Reception(boost::asio::any_io_executor executor, const config::Config& config, pool::Pool& pool,
            deadletter::DeadLetters* dead_letters, base::Log& log, metrics::Registry& registry);

  boost::asio::awaitable<Verdict> take(cloudevents::Event event, Arrival arrival);

  /// What is no event.
  boost::asio::awaitable<Verdict> take_undecodable(build::Undecodable message, base::Error error,
                                                   Arrival arrival);

  /// Counts and logs what was refused before it was read; `flow` as in Metrics::received.
  void note_refusal(const base::Error& error, Ending ending, std::string_view flow);

  Flow flow_of(std::string_view event_source) const;

  /// Returns when the events that were answered at once have ended, at `deadline` at the latest.
  boost::asio::awaitable<void> drain(base::TimePoint deadline);

 private:
  boost::asio::awaitable<Verdict> start(cloudevents::Event& event, const Arrival& arrival);
  boost::asio::awaitable<Verdict> create(const cloudevents::Event& event, const Arrival& arrival,
                                         pool::Creation creation);
  boost::asio::awaitable<void> finish(cloudevents::Event event, pool::Creation creation);
  boost::asio::awaitable<Verdict> create_at_last(const cloudevents::Event& event, pool::Creation creation);
  boost::asio::awaitable<Verdict> give_up(const cloudevents::Event& event, const pool::Creation& creation,
                                          pool::Outcome outcome, Arrival arrival);
  boost::asio::awaitable<Verdict> end_in_vain(build::DeadLetter letter, base::Error error,
                                              const Arrival& arrival, Ending refusal);
  std::string_view obstacle_at_once(const std::string& tenant) const;
  Verdict queue_at_once(const cloudevents::Event& event, pool::Creation creation);
  base::Result<void> check_flow(Flow flow) const;
  void note(const Verdict& verdict, Flow flow, const cloudevents::Event& event);

  boost::asio::any_io_executor executor_;
  const config::Config& config_;
  const job::JobMaker jobs_;
  pool::Pool& pool_;
  deadletter::DeadLetters* const dead_letters_;
  base::Log& log_;
  Metrics metrics_;
  std::size_t unfinished_ = 0;                                  // events that were answered at once
  std::unordered_map<std::string, std::size_t> unfinished_of_;  // of them, by tenant
  boost::asio::steady_timer finished_;
};

}  // namespace lambda::intake
