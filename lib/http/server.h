// An HTTP/1.1 server (RFC 9112) on coroutines that stays well when its clients do not: everything that a
// client decides is bounded, and what goes over a bound is answered before the connection is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/error.h"
#include "base/time.h"
#include "http/message.h"

namespace lambda::http {

class Session;

struct Limits {
  std::size_t max_body_bytes = 1048576;
  std::size_t max_total_body_bytes = 50331648;  // of all requests that are in hand
  std::size_t max_header_bytes = 16384;
  std::size_t max_connections = 1024;
  base::milliseconds header_timeout{5'000};  // from a request's first byte to the end of its header
  base::milliseconds body_timeout{10'000};   // for the body, and for a client to take the answer
  base::milliseconds idle_timeout{60'000};   // between requests
};

/// What a request is told that never reached the handler: it was malformed, too large or too slow. `headers`
/// are those that had been read by then: all of them, unless the header itself was at fault.
using Refusal = std::function<Response(unsigned status, const base::Error& error, const Headers& headers)>;

/// Over a limit: 408 (too slow), 413 (body, before it is read where its length is declared), 431 (header,
/// also one of more than 128 fields), 400 (malformed, or open to two readings), 503 with Retry-After (too
/// many connections, too much memory). Beyond 256 connections more than allowed, they are closed without a
/// word. A client that went away is no error. The handler runs on the server's executor; what it throws is
/// answered 500.
///
/// Memory: what has been read of a request counts against max_total_body_bytes, from its first byte until its
/// answer is written, a declared length by itself does not; the request that would go beyond gets the 503.
/// The first 8 KiB of each request are not counted, so that a flood of large ones leaves the small ones
/// served. So all of it is at most max_total_body_bytes + max_connections * 16 KiB, and one body more while
/// it moves.
///
/// Not thread-safe: construct, use and destroy it on its executor's thread (or before it runs and after it
/// ended).
class Server {
 public:
  /// Without a `refusal` of its own it answers as error_response does.
  Server(boost::asio::any_io_executor executor, const Limits& limits, Handler handler, Refusal refusal = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds and starts to accept. Port 0 takes a free one. Returns the port.
  base::Result<std::uint16_t> listen(const std::string& address, std::uint16_t port);

  std::size_t connections() const;

  /// Ends well: takes the connections that the kernel holds already, accepts no more, answers what is in hand
  /// and what idle clients send within a second (each answer says `Connection: close`), and returns when all
  /// have gone; those who have not by `deadline` are cut off.
  boost::asio::awaitable<void> drain(base::TimePoint deadline);

 private:
  friend class Session;
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lambda::http
