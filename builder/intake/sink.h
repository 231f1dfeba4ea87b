// The CloudEvents sink: from an HTTP request to a Job that exists, or to a clear answer why not.
#pragma once

#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "cloudevents/event.h"
#include "config/config.h"
#include "event/job_start.h"
#include "http/message.h"
#include "intake/answer.h"
#include "intake/metrics.h"
#include "job/job.h"
#include "metrics/registry.h"
#include "pool/pool.h"

namespace lambda::intake {

/// Answers 2xx only when the Kubernetes API has accepted the Job: until then the sender still has the event,
/// and whatever happens to this process, nothing is lost. Used on its pool's thread. What it is given must
/// outlive it.
class Sink {
 public:
  Sink(const config::Config& config, pool::Pool& pool, base::Log& log, metrics::Registry& registry);

  /// A POST of one CloudEvent, binary or structured.
  boost::asio::awaitable<http::Response> receive(http::Request request);

  /// What to tell a request that the server has refused already (see http::Refusal).
  http::Response refuse_request(unsigned status, const base::Error& error, const http::Headers& headers);

 private:
  Flow flow_of(std::string_view event_source) const;
  base::Result<void> check_flow(Flow flow) const;
  boost::asio::awaitable<http::Response> start_job(cloudevents::Event event, Flow flow);
  http::Response answer(const pool::Creation& creation, const pool::Outcome& outcome, Flow flow);
  http::Response refuse(const cloudevents::Event& event, Flow flow, const base::Error& error);

  const config::Config& config_;
  job::JobMaker job_maker_;
  pool::Pool& pool_;
  base::Log& log_;
  Metrics metrics_;
};

}  // namespace lambda::intake
