// The CloudEvents sink: from an HTTP request to the answer that says what became of its events.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "auth/authenticator.h"
#include "base/log.h"
#include "cloudevents/event.h"
#include "config/config.h"
#include "http/message.h"
#include "intake/reception.h"

namespace lambda::intake {

/// Used on its executor's thread. What it is given must outlive it.
class Sink {
 public:
  Sink(boost::asio::any_io_executor executor, const config::Config& config,
       auth::Authenticator& authenticator, Reception& reception);

  /// A POST of a CloudEvent, binary, structured or a batch.
  boost::asio::awaitable<http::Response> receive(http::Request request);

  /// OPTIONS: the handshake of the CloudEvents webhook specification (HTTP 1.1 Web Hooks 1.0.2, 4.1). Any
  /// origin may deliver, at any rate.
  static http::Response handshake(const http::Request& request);

  /// What to tell a request that the server has refused already (see http::Refusal).
  http::Response refuse_request(unsigned status, const base::Error& error, const http::Headers& headers);

 private:
  struct Batch;
  boost::asio::awaitable<http::Response> receive_one(const http::Request& request, Arrival arrival);
  boost::asio::awaitable<http::Response> receive_batch(const http::Request& request, Arrival arrival);
  boost::asio::awaitable<void> work_on(std::shared_ptr<Batch> batch);
  boost::asio::awaitable<Verdict> take(base::Result<cloudevents::Event> event, Arrival arrival);
  Flow flow_of(const http::Request& request, const base::Result<cloudevents::Event>& event) const;
  http::Response refuse_sender(const http::Request& request, const base::Error& error) const;

  boost::asio::any_io_executor executor_;
  const config::Config& config_;
  auth::Authenticator& authenticator_;
  Reception& reception_;
};

}  // namespace lambda::intake
