#include "http/server.h"

#include <algorithm>
#include <array>
#include <list>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/status.hpp>

#include "http/request_reader.h"

namespace lambda::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using base::Clock;
using base::milliseconds;
using base::TimePoint;
using boost::system::error_code;

constexpr milliseconds sweep_interval{100};  // how late a deadline may be noticed
constexpr milliseconds accept_pause{100};    // after EMFILE and the like
constexpr milliseconds drain_grace{1'000};   // for a last request on an idle connection
constexpr milliseconds linger_max{2'000};    // for a client to take an error answer
constexpr std::size_t linger_max_bytes = 1048576;
constexpr std::size_t refusals_max = 256;  // connections over the limit that still get their 503
constexpr std::size_t read_bytes = 65536;
constexpr std::size_t small_request_bytes = 8192;  // what each may hold beside max_total_body_bytes

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

bool has_body(unsigned status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string to_wire(const Response& response, bool keep_alive, bool head) {
  const auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  std::string out;
  out.reserve(256 + response.body.size());
  const auto add_header = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  out.append(reason.data(), reason.size()).append("\r\n");
  if (!response.content_type.empty()) add_header("Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) add_header(name, value);
  if (!keep_alive) add_header("Connection", "close");
  if (has_body(response.status)) add_header("Content-Length", std::to_string(response.body.size()));
  out.append("\r\n");
  if (has_body(response.status) && !head) out.append(response.body);  // RFC 9110, 9.3.2
  return out;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(asio::any_io_executor executor, const Limits& limits, Handler handler, Refusal refusal)
      : executor_(std::move(executor)),
        limits_(limits),
        handler_(std::move(handler)),
        refusal_(std::move(refusal)),
        acceptor_(executor_),
        sweep_timer_(executor_),
        changed_(executor_) {}

  base::Result<std::uint16_t> listen(const std::string& address, std::uint16_t port);
  void stop();
  asio::awaitable<void> drain(TimePoint deadline);

  const Limits& limits() const { return limits_; }
  const Handler& handler() const { return handler_; }
  Response answer(const Refused& refused, const Headers& headers) const {
    return refusal_ ? refusal_(refused.status, refused.error, headers)
                    : error_response(refused.status, refused.error);
  }
  bool draining() const { return draining_; }
  std::size_t connections() const { return sessions_.size(); }

  using Place = std::list<Session*>::iterator;
  Place add(Session* session) { return sessions_.insert(sessions_.end(), session); }
  void remove(Place session) {
    sessions_.erase(session);
    changed_.cancel();
  }

  /// Where what has come is read to. One for all: a connection that only waits needs no buffer.
  std::array<char, read_bytes>& input() { return input_; }

  /// A session holds so many bytes now instead of so many; whether there is room for that.
  bool account(std::size_t before, std::size_t now) {
    held_bytes_ = held_bytes_ - before + now;
    return now <= before || held_bytes_ <= limits_.max_total_body_bytes;
  }

 private:
  asio::awaitable<void> accept_loop();
  asio::awaitable<void> sweep_loop();
  void take_backlog();
  void start_session(tcp::socket socket);

  asio::any_io_executor executor_;
  const Limits limits_;
  const Handler handler_;
  const Refusal refusal_;
  tcp::acceptor acceptor_;
  asio::steady_timer sweep_timer_;
  asio::steady_timer changed_;  // its cancel wakes drain() when a session has ended
  std::list<Session*> sessions_;
  std::array<char, read_bytes> input_{};
  std::size_t held_bytes_ = 0;
  bool draining_ = false;
  bool stopped_ = false;
};

// One connection. It keeps a deadline that the server's sweep compares with the clock: moving it costs
// nothing, and the socket stays open when it passes, so that the client can still be told.
class Session {
 public:
  Session(std::shared_ptr<Server::Impl> server, tcp::socket socket)
      : server_(std::move(server)),
        socket_(std::move(socket)),
        reader_(server_->limits().max_header_bytes, server_->limits().max_body_bytes),
        place_(server_->add(this)) {}
  ~Session() {
    server_->account(held_bytes_, 0);
    server_->remove(place_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  asio::awaitable<void> serve();
  asio::awaitable<void> refuse();

  void sweep(TimePoint now) {
    if (now < deadline_) return;
    expired_ = true;
    cancel();
  }
  void begin_drain(TimePoint last_request) {
    if (idle_) deadline_ = std::min(deadline_, last_request);
  }
  // Closed, not only cancelled: a session that is between two waits meets it at the next.
  void cut_off() {
    cut_off_ = true;
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  using Phase = RequestReader::Phase;

  asio::awaitable<bool> read_request();
  asio::awaitable<bool> enter(Phase phase);
  asio::awaitable<error_code> receive();
  std::optional<Refused> refusal_for(error_code error);
  bool account();
  asio::awaitable<bool> write(Response response, bool keep_alive, bool head);
  asio::awaitable<bool> send(std::string bytes);
  asio::awaitable<void> reply_and_close(Response response);
  asio::awaitable<Response> call_handler(Request request);

  void set_deadline(milliseconds from_now) {
    expired_ = false;
    deadline_ = Clock::now() + from_now;
  }
  void cancel() {
    error_code ignored;
    socket_.cancel(ignored);
  }

  std::shared_ptr<Server::Impl> server_;
  tcp::socket socket_;
  RequestReader reader_;
  const Server::Impl::Place place_;
  std::size_t held_bytes_ = 0;  // as the server has it in its account
  TimePoint deadline_ = TimePoint::max();
  bool expired_ = false;  // the sweep cancelled what was being waited for
  bool idle_ = false;     // between requests: nothing of the next one has come
  bool cut_off_ = false;  // the drain is over
};

// ---------------------------------------------------------------------------------------------------------------------

asio::awaitable<void> Session::serve() {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  while (!cut_off_) {
    if (!co_await read_request()) co_return;
    Request request = reader_.take();
    const bool head = request.method == "HEAD";
    deadline_ = TimePoint::max();  // the handler bounds itself
    Response response = co_await call_handler(std::move(request));
    const bool keep_alive = reader_.keep_alive() && !server_->draining();
    if (!co_await write(std::move(response), keep_alive, head) || !keep_alive) co_return;
    reader_.next();
    account();
  }
}

asio::awaitable<void> Session::refuse() {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  const Refused too_many =
      refused(503, base::ErrorKind::unavailable, "too many connections; try again later");
  co_await reply_and_close(server_->answer(too_many, {}));
}

// Whether there is a request; if not, the connection is of no more use, and a client that is still there has
// been told why.
asio::awaitable<bool> Session::read_request() {
  std::optional<Refused> refused;
  for (std::optional<Phase> last; !refused && reader_.phase() != Phase::whole;) {
    if (reader_.phase() == Phase::refused) {
      refused = reader_.refusal();
      break;
    }
    if (last != reader_.phase() && !co_await enter(reader_.phase())) co_return false;
    last = reader_.phase();
    const error_code error = co_await receive();
    if (error) {
      refused = refusal_for(error);
      if (!refused) co_return false;
    } else if (!account()) {
      refused = http::refused(503, base::ErrorKind::unavailable,
                              "too many large requests at once; try again later");
    }
  }
  idle_ = false;
  if (!refused) co_return true;
  Response response = server_->answer(*refused, reader_.headers());
  reader_.clear();
  account();
  co_await reply_and_close(std::move(response));
  co_return false;
}

// A part of the request begins, and with it its deadline.
asio::awaitable<bool> Session::enter(Phase phase) {
  const Limits& limits = server_->limits();
  idle_ = phase == Phase::idle;
  if (idle_) {
    set_deadline(server_->draining() ? drain_grace : limits.idle_timeout);
  } else if (phase == Phase::header) {
    set_deadline(limits.header_timeout);
  } else {
    set_deadline(limits.body_timeout);
    if (reader_.expects_continue()) co_return co_await send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  co_return true;
}

// Waiting and then reading costs as many system calls as an asynchronous read, which tries at once in vain.
asio::awaitable<error_code> Session::receive() {
  error_code error;
  co_await socket_.async_wait(tcp::socket::wait_read, into(error));
  if (error) co_return error;
  auto& input = server_->input();
  const std::size_t count = socket_.read_some(asio::buffer(input), error);
  if (error == asio::error::would_block) co_return error_code{};
  if (!error) reader_.feed({input.data(), count});
  co_return error;
}

bool Session::account() {
  const std::size_t held = reader_.held_bytes();
  const std::size_t counted = held - std::min(held, small_request_bytes);
  return server_->account(std::exchange(held_bytes_, counted), counted);
}

std::optional<Refused> Session::refusal_for(error_code error) {
  const Limits& limits = server_->limits();
  const Phase phase = reader_.phase();
  if (phase == Phase::idle) return std::nullopt;
  if (error == asio::error::eof) {
    reader_.end();
    return reader_.refusal();
  }
  if (error != asio::error::operation_aborted || !expired_) return std::nullopt;
  return refused(408, base::ErrorKind::timeout,
                 phase == Phase::header
                     ? "the header took longer than " + base::format_duration(limits.header_timeout)
                     : "the body took longer than " + base::format_duration(limits.body_timeout));
}

asio::awaitable<Response> Session::call_handler(Request request) {
  try {
    co_return co_await server_->handler()(std::move(request));
  } catch (const std::exception& error) {
    co_return server_->answer(refused(500, base::ErrorKind::internal, error.what()), {});
  }
}

asio::awaitable<bool> Session::write(Response response, bool keep_alive, bool head) {
  set_deadline(server_->limits().body_timeout);
  co_return co_await send(to_wire(response, keep_alive, head));
}

asio::awaitable<bool> Session::send(std::string bytes) {
  error_code error;
  std::size_t sent = socket_.write_some(asio::buffer(bytes), error);
  if (error == asio::error::would_block) error = {};
  if (!error && sent < bytes.size())
    co_await asio::async_write(socket_, asio::buffer(bytes) + sent, into(error));
  co_return !error;
}

// A socket that is closed with unread bytes resets the connection, and the reset can overtake the answer: so
// the rest of what the client sends is read, within bounds.
asio::awaitable<void> Session::reply_and_close(Response response) {
  if (!co_await write(std::move(response), false, false)) co_return;
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  set_deadline(linger_max);
  for (std::size_t drained = 0; !error && drained < linger_max_bytes;) {
    co_await socket_.async_wait(tcp::socket::wait_read, into(error));
    if (!error) drained += socket_.read_some(asio::buffer(server_->input()), error);
    if (error == asio::error::would_block) error = {};
  }
}

// ---------------------------------------------------------------------------------------------------------------------

base::Result<std::uint16_t> Server::Impl::listen(const std::string& address, std::uint16_t port) {
  const auto failed = [&](const error_code& error) {
    return base::fail(base::ErrorKind::unavailable, "cannot listen on " + address + " port " +
                                                        std::to_string(port) + ": " + error.message());
  };
  error_code error;
  const auto ip = asio::ip::make_address(address, error);
  if (error) return failed(error);
  const tcp::endpoint endpoint(ip, port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed(error);
  asio::co_spawn(executor_, [self = shared_from_this()] { return self->accept_loop(); }, asio::detached);
  asio::co_spawn(executor_, [self = shared_from_this()] { return self->sweep_loop(); }, asio::detached);
  return acceptor_.local_endpoint(error).port();
}

asio::awaitable<void> Server::Impl::accept_loop() {
  const auto self = shared_from_this();
  while (acceptor_.is_open() && !draining_) {
    error_code error;
    tcp::socket socket = co_await acceptor_.async_accept(into(error));
    if (!error) {
      start_session(std::move(socket));
    } else if (error != asio::error::operation_aborted && error != asio::error::connection_aborted) {
      // Out of descriptors or memory: accepting again at once would only spin.
      asio::steady_timer pause(executor_, accept_pause);
      co_await pause.async_wait(into(error));
    }
  }
}

void Server::Impl::start_session(tcp::socket socket) {
  if (sessions_.size() >= limits_.max_connections + refusals_max) return;  // closes it
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const bool refused = sessions_.size() >= limits_.max_connections;
  auto session = std::make_shared<Session>(shared_from_this(), std::move(socket));
  asio::co_spawn(
      executor_,
      [session, refused]() -> asio::awaitable<void> {
        return refused ? session->refuse() : session->serve();
      },
      [session](const std::exception_ptr&) {});  // an exception ends the connection, nothing else
}

asio::awaitable<void> Server::Impl::sweep_loop() {
  const auto self = shared_from_this();
  while (!stopped_) {
    sweep_timer_.expires_after(sweep_interval);
    error_code ignored;
    co_await sweep_timer_.async_wait(into(ignored));
    const TimePoint now = Clock::now();
    for (Session* session : sessions_) session->sweep(now);
  }
}

void Server::Impl::stop() {
  draining_ = true;
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  sweep_timer_.cancel();
  for (Session* session : sessions_) session->cut_off();
}

// A client whose connection the kernel has accepted believes itself connected: closing the acceptor would
// reset it.
void Server::Impl::take_backlog() {
  error_code error;
  acceptor_.non_blocking(true, error);
  while (!error) {
    tcp::socket socket(executor_);
    acceptor_.accept(socket, error);
    if (!error) start_session(std::move(socket));
  }
  acceptor_.close(error);
}

asio::awaitable<void> Server::Impl::drain(TimePoint deadline) {
  const auto self = shared_from_this();
  draining_ = true;
  if (acceptor_.is_open()) take_backlog();
  for (Session* session : sessions_) session->begin_drain(Clock::now() + drain_grace);
  while (!sessions_.empty() && Clock::now() < deadline) {
    changed_.expires_at(deadline);
    error_code ignored;
    co_await changed_.async_wait(into(ignored));
  }
  stop();
}

// ---------------------------------------------------------------------------------------------------------------------

Server::Server(asio::any_io_executor executor, const Limits& limits, Handler handler, Refusal refusal)
    : impl_(std::make_shared<Impl>(std::move(executor), limits, std::move(handler), std::move(refusal))) {}

Server::~Server() {
  impl_->stop();
}

base::Result<std::uint16_t> Server::listen(const std::string& address, std::uint16_t port) {
  return impl_->listen(address, port);
}

std::size_t Server::connections() const {
  return impl_->connections();
}

asio::awaitable<void> Server::drain(TimePoint deadline) {
  co_await impl_->drain(deadline);
}

}  // namespace lambda::http
