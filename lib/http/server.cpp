#include "http/server.h"

#include <algorithm>
#include <list>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/text.h"

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
constexpr std::size_t read_bytes = 16384;

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

Headers to_headers(const beast::http::fields& fields) {
  Headers headers;
  for (const auto& field : fields)
    headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  return headers;
}

Request to_request(beast::http::request<beast::http::string_body>&& message) {
  Request request;
  request.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const auto question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
  request.headers = to_headers(message);
  request.body = std::move(message.body());
  return request;
}

// Why a request is refused before it reaches the handler.
struct Refused {
  unsigned status;
  base::Error error;
};

Refused refused(unsigned status, base::ErrorKind kind, std::string message) {
  return {status, base::Error{kind, std::move(message), ""}};
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

  void add(Session* session) { sessions_.push_back(session); }
  void remove(Session* session) {
    sessions_.remove(session);
    changed_.cancel();
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
  bool draining_ = false;
  bool stopped_ = false;
};

// One connection. It keeps a deadline that the server's sweep compares with the clock: moving it costs
// nothing, and the socket stays open when it passes, so that the client can still be told.
class Session {
 public:
  Session(std::shared_ptr<Server::Impl> server, tcp::socket socket)
      : server_(std::move(server)), socket_(std::move(socket)), buffer_(buffer_max_bytes(server_->limits())) {
    server_->add(this);
  }
  ~Session() { server_->remove(this); }
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
  using Parser = beast::http::request_parser<beast::http::string_body>;

  static std::size_t buffer_max_bytes(const Limits& limits) { return limits.max_header_bytes + read_bytes; }

  asio::awaitable<bool> wait_for_request();
  asio::awaitable<std::optional<Request>> read_request(Parser& parser);
  asio::awaitable<error_code> read_header(Parser& parser);
  asio::awaitable<error_code> continue_if_expected(const Parser& parser);
  asio::awaitable<bool> write(Response response, bool keep_alive, bool head);
  asio::awaitable<void> reply_and_close(Response response);
  asio::awaitable<Response> call_handler(Request request);
  std::optional<Refused> refusal_for(error_code error, bool in_header) const;

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
  beast::flat_buffer buffer_;
  TimePoint deadline_ = TimePoint::max();
  bool expired_ = false;  // the sweep cancelled what was being waited for
  bool idle_ = false;     // between requests: nothing of the next one has come
  bool cut_off_ = false;  // the drain is over
};

// ---------------------------------------------------------------------------------------------------------------------

asio::awaitable<void> Session::serve() {
  while (!cut_off_) {
    if (!co_await wait_for_request()) co_return;
    Parser parser;
    std::optional<Request> request = co_await read_request(parser);
    if (!request) co_return;
    const bool head = request->method == "HEAD";
    const bool wants_more = parser.keep_alive();
    deadline_ = TimePoint::max();  // the handler bounds itself
    Response response = co_await call_handler(std::move(*request));
    const bool keep_alive = wants_more && !server_->draining();
    if (!co_await write(std::move(response), keep_alive, head) || !keep_alive) co_return;
  }
}

asio::awaitable<void> Session::refuse() {
  const Refused too_many =
      refused(503, base::ErrorKind::unavailable, "too many connections; try again later");
  co_await reply_and_close(server_->answer(too_many, {}));
}

// A read rather than a wait for readiness: one system call less. What a pipelining client sent early is in
// the buffer.
asio::awaitable<bool> Session::wait_for_request() {
  if (buffer_.size() > 0) co_return true;
  set_deadline(server_->draining() ? drain_grace : server_->limits().idle_timeout);
  idle_ = true;
  error_code error;
  const std::size_t count = co_await socket_.async_read_some(buffer_.prepare(read_bytes), into(error));
  idle_ = false;
  buffer_.commit(count);
  co_return !error;
}

// The request, or nothing when the connection is of no more use; a client that is still there has been told
// why.
asio::awaitable<std::optional<Request>> Session::read_request(Parser& parser) {
  error_code error = co_await read_header(parser);
  const bool in_header = !parser.is_header_done();
  if (!error) error = co_await continue_if_expected(parser);
  if (!error) {
    set_deadline(server_->limits().body_timeout);
    co_await beast::http::async_read(socket_, buffer_, parser, into(error));
  }
  if (!error) co_return to_request(parser.release());
  if (const auto refused = refusal_for(error, in_header)) {
    co_await reply_and_close(server_->answer(*refused, to_headers(parser.get())));
  }
  co_return std::nullopt;
}

asio::awaitable<error_code> Session::read_header(Parser& parser) {
  const Limits& limits = server_->limits();
  parser.header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
  parser.body_limit(limits.max_body_bytes);
  set_deadline(limits.header_timeout);
  error_code error;
  co_await beast::http::async_read_header(socket_, buffer_, parser, into(error));
  co_return error;
}

asio::awaitable<error_code> Session::continue_if_expected(const Parser& parser) {
  error_code error;
  if (base::equals_ignoring_case(std::string(parser.get()[beast::http::field::expect]), "100-continue")) {
    beast::http::response<beast::http::empty_body> go_on(beast::http::status::continue_, 11);
    co_await beast::http::async_write(socket_, go_on, into(error));
  }
  co_return error;
}

std::optional<Refused> Session::refusal_for(error_code error, bool in_header) const {
  const Limits& limits = server_->limits();
  if (error == asio::error::operation_aborted) {
    if (!expired_) return std::nullopt;
    return refused(408, base::ErrorKind::timeout,
                   in_header ? "the header took longer than " + base::format_duration(limits.header_timeout)
                             : "the body took longer than " + base::format_duration(limits.body_timeout));
  }
  if (error == beast::http::error::header_limit ||
      (in_header && error == beast::http::error::buffer_overflow)) {
    return refused(431, base::ErrorKind::too_large,
                   "the header is larger than " + std::to_string(limits.max_header_bytes) + " bytes");
  }
  if (error == beast::http::error::body_limit) {
    return refused(413, base::ErrorKind::too_large,
                   "the body is larger than " + std::to_string(limits.max_body_bytes) + " bytes");
  }
  const bool of_http = error.category() == make_error_code(beast::http::error::bad_method).category();
  if (of_http && error != beast::http::error::end_of_stream) {
    return refused(400, base::ErrorKind::invalid, "no valid HTTP/1.1 request: " + error.message());
  }
  return std::nullopt;
}

asio::awaitable<Response> Session::call_handler(Request request) {
  try {
    co_return co_await server_->handler()(std::move(request));
  } catch (const std::exception& error) {
    co_return server_->answer(refused(500, base::ErrorKind::internal, error.what()), {});
  }
}

asio::awaitable<bool> Session::write(Response response, bool keep_alive, bool head) {
  beast::http::response<beast::http::string_body> message;
  message.version(11);
  message.result(response.status);
  if (!response.content_type.empty()) message.set(beast::http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.body() = std::move(response.body);
  message.keep_alive(keep_alive);
  message.prepare_payload();
  if (head) message.body().clear();  // its Content-Length stays: RFC 9110, 9.3.2
  set_deadline(server_->limits().body_timeout);
  error_code error;
  co_await beast::http::async_write(socket_, message, into(error));
  co_return !error;
}

// A socket that is closed with unread bytes resets the connection, and the reset can overtake the answer: so
// the rest of what the client sends is read, within bounds.
asio::awaitable<void> Session::reply_and_close(Response response) {
  if (!co_await write(std::move(response), false, false)) co_return;
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  set_deadline(linger_max);
  buffer_.clear();
  for (std::size_t drained = 0; !error && drained < linger_max_bytes;) {
    drained += co_await socket_.async_read_some(buffer_.prepare(read_bytes), into(error));
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
