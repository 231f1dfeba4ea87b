#include "kube/connection.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <sys/socket.h>

#include "base/text.h"

namespace lambda::kube {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using base::ErrorKind;
using base::Result;
using base::TimePoint;
using boost::system::error_code;

using TlsStream = ssl::stream<tcp::socket&>;
using HttpParser = beast::http::response_parser<beast::http::string_body>;

constexpr std::size_t answer_max_bytes = 4194304;
constexpr std::size_t buffer_max_bytes = 131072;
constexpr std::size_t read_bytes = 16384;  // what a TLS record holds at most

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

std::string host_header(const Cluster& cluster) {
  const bool ipv6 = cluster.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + cluster.host + "]" : cluster.host) + ":" + std::to_string(cluster.port);
}

void configure_tls(ssl::context& context, const Cluster& cluster) {
  context.set_verify_mode(ssl::verify_peer);
  if (cluster.ca_pem.empty()) {
    context.set_default_verify_paths();
  } else {
    context.add_certificate_authority(asio::buffer(cluster.ca_pem));
  }
  if (!cluster.client_certificate_pem.empty()) {
    context.use_certificate_chain(asio::buffer(cluster.client_certificate_pem));
    context.use_private_key(asio::buffer(cluster.client_key_pem), ssl::context::pem);
  }
}

std::optional<std::chrono::seconds> retry_after(const HttpParser::value_type& message) {
  // The API server sends seconds; a date, which RFC 9110 also allows, is taken as none.
  const auto value = base::parse_integer(std::string(message[beast::http::field::retry_after]));
  if (!value || *value < 0) return std::nullopt;
  return std::chrono::seconds(*value);
}

// Closes the socket of a request that takes too long. Its timer is not set for every request: when it fires,
// it looks at the deadline of the moment, so moving that costs nothing.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  explicit Watchdog(const asio::any_io_executor& executor) : timer_(executor) {}

  void watch(tcp::socket& socket, TimePoint deadline) {
    socket_ = &socket;
    deadline_ = deadline;
    expired_ = false;
    if (!set_ || deadline < timer_.expiry()) set();
  }
  void rest() { socket_ = nullptr; }

  /// Whether it has closed the socket; from the error of what was being waited for, that is not to be seen.
  bool expired() const { return expired_; }

 private:
  void set() {
    set_ = true;
    timer_.expires_at(deadline_);
    // The handler of a timer that fired may run after the connection has gone.
    timer_.async_wait([weak = weak_from_this()](error_code cancelled) {
      const auto self = cancelled ? nullptr : weak.lock();
      if (self) self->look();
    });
  }

  void look() {
    set_ = false;
    if (socket_ == nullptr) return;
    if (base::Clock::now() < deadline_) return set();
    expired_ = true;
    error_code ignored;
    socket_->close(ignored);
  }

  asio::steady_timer timer_;
  bool set_ = false;
  tcp::socket* socket_ = nullptr;  // none: no request is under way
  TimePoint deadline_;
  bool expired_ = false;
};

}  // namespace

struct Endpoint::Impl {
  explicit Impl(const Cluster& of)
      : cluster(of),
        context(ssl::context::tls_client),
        token(of),
        same_headers(" HTTP/1.1\r\nHost: " + host_header(of) +
                     "\r\nUser-Agent: knative-lambda/" LAMBDA_VERSION "\r\n") {
    if (cluster.tls) configure_tls(context, cluster);
  }

  Cluster cluster;
  ssl::context context;
  BearerToken token;
  const std::string same_headers;  // of every request, from the end of the target on
};

Result<std::shared_ptr<Endpoint>> Endpoint::make(const Cluster& cluster) {
  try {
    return std::shared_ptr<Endpoint>(new Endpoint(std::make_unique<Impl>(cluster)));
  } catch (const boost::system::system_error& error) {
    return base::fail(ErrorKind::invalid,
                      "the certificates for " + cluster.url() + " can't be used: " + error.code().message());
  }
}

Endpoint::Endpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Endpoint::~Endpoint() = default;

// ---------------------------------------------------------------------------------------------------------------------

struct Connection::Impl {
  // What is read or written next belongs to this stage; it says where an error came from.
  struct Broken {
    error_code error;
    std::string doing;  // "connect", "read the answer"
    bool answer_begun = false;
  };

  Impl(const asio::any_io_executor& executor, std::shared_ptr<Endpoint> to)
      : endpoint(std::move(to)), socket(executor), watchdog(std::make_shared<Watchdog>(executor)) {}

  const Cluster& cluster() const { return endpoint->impl_->cluster; }

  Broken broken(error_code error, std::string doing, bool answer_begun = false) const {
    return {watchdog->expired() ? make_error_code(beast::error::timeout) : error, std::move(doing),
            answer_begun};
  }

  void disconnect() {
    tls.reset();
    error_code ignored;
    socket.close(ignored);
    buffer.clear();
  }

  // Whether the peer has closed the kept connection, or sent what nobody asked for.
  bool is_stale() {
    char byte = 0;
    const auto count = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return !(count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
  }

  asio::awaitable<std::optional<Broken>> connect();
  asio::awaitable<std::optional<Broken>> resolve_and_connect();
  asio::awaitable<std::optional<Broken>> shake_hands();
  asio::awaitable<tl::expected<Answer, Broken>> exchange(const Request& request);
  asio::awaitable<error_code> write(std::string_view bytes);
  asio::awaitable<error_code> read(HttpParser& parser);
  error_code read_some(HttpParser& parser);
  error_code feed(HttpParser& parser);
  asio::awaitable<Result<Answer>> send(const Request& request);

  std::string to_wire(const Request& request);
  base::Error to_error(const Broken& failure) const;

  std::shared_ptr<Endpoint> endpoint;
  tcp::socket socket;  // open: connected
  std::shared_ptr<Watchdog> watchdog;
  std::optional<TlsStream> tls;
  beast::flat_buffer buffer{buffer_max_bytes};
  bool may_have_arrived = false;  // any of the request that is being sent
};

asio::awaitable<std::optional<Connection::Impl::Broken>> Connection::Impl::connect() {
  disconnect();
  std::optional<Broken> failure = co_await resolve_and_connect();
  if (!failure && cluster().tls) failure = co_await shake_hands();
  if (failure) disconnect();
  co_return failure;
}

asio::awaitable<std::optional<Connection::Impl::Broken>> Connection::Impl::resolve_and_connect() {
  error_code error;
  const auto address = asio::ip::make_address(cluster().host, error);
  if (!error) {
    co_await socket.async_connect(tcp::endpoint(address, cluster().port), into(error));
  } else {
    // Only a name needs the resolver, whose thread can't be cancelled; in a pod the host is an address.
    tcp::resolver resolver(socket.get_executor());
    const auto found =
        co_await resolver.async_resolve(cluster().host, std::to_string(cluster().port), into(error));
    // Connecting would open the socket again that was closed meanwhile.
    if (error || watchdog->expired()) co_return broken(error, "resolve the name");
    co_await asio::async_connect(socket, found, into(error));
  }
  if (error) co_return broken(error, "connect");
  socket.set_option(tcp::no_delay(true), error);
  socket.non_blocking(true, error);
  co_return std::nullopt;
}

asio::awaitable<std::optional<Connection::Impl::Broken>> Connection::Impl::shake_hands() {
  const std::string& name = cluster().server_name();
  error_code error;
  asio::ip::make_address(name, error);
  tls.emplace(socket, endpoint->impl_->context);
  if (error)
    SSL_set_tlsext_host_name(tls->native_handle(), name.c_str());  // RFC 6066: names only, no addresses
  tls->set_verify_callback(ssl::host_name_verification(name));
  co_await tls->async_handshake(ssl::stream_base::client, into(error));
  if (error) co_return broken(error, "agree on TLS");
  co_return std::nullopt;
}

std::string Connection::Impl::to_wire(const Request& request) {
  constexpr std::size_t header_usual_bytes = 2048;  // a projected token takes half of it
  std::string out;
  out.reserve(header_usual_bytes + request.body.size());
  const auto add = [&out](std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) out += part;
  };
  add({to_string(request.method), " ", cluster().path_prefix, request.target, endpoint->impl_->same_headers,
       "Accept: ", request.accept, "\r\n"});
  if (const std::string& token = endpoint->impl_->token.current(base::Clock::now()); !token.empty()) {
    add({"Authorization: Bearer ", token, "\r\n"});
  }
  if (!request.body.empty()) add({"Content-Type: ", request.content_type, "\r\n"});
  if (request.method != Method::get) add({"Content-Length: ", std::to_string(request.body.size()), "\r\n"});
  add({"\r\n", request.body});
  return out;
}

asio::awaitable<tl::expected<Answer, Connection::Impl::Broken>> Connection::Impl::exchange(
    const Request& request) {
  may_have_arrived = true;
  HttpParser parser;
  parser.body_limit(answer_max_bytes);
  if (const error_code error = co_await write(to_wire(request))) {
    disconnect();
    co_return tl::unexpected(broken(error, "send the request"));
  }
  if (const error_code error = co_await read(parser)) {
    disconnect();
    co_return tl::unexpected(broken(error, "read the answer", parser.got_some()));
  }
  Answer answer;
  answer.status = parser.get().result_int();
  answer.retry_after = retry_after(parser.get());
  answer.body = std::move(parser.get().body());
  // What follows the answer was not asked for.
  if (!parser.get().keep_alive() || buffer.size() > 0) disconnect();
  co_return answer;
}

asio::awaitable<error_code> Connection::Impl::write(std::string_view bytes) {
  error_code error;
  const auto wire = asio::buffer(bytes);
  if (tls) {
    co_await asio::async_write(*tls, wire, into(error));
    co_return error;
  }
  const std::size_t sent = socket.write_some(wire, error);
  if (error == asio::error::would_block) error = {};
  if (!error && sent < wire.size()) co_await asio::async_write(socket, wire + sent, into(error));
  co_return error;
}

// An asynchronous read would first try in vain. Past the first wait it is the other way round: TLS may hold
// what the socket no longer has.
asio::awaitable<error_code> Connection::Impl::read(HttpParser& parser) {
  error_code error = asio::error::would_block;
  while (!parser.is_done()) {
    if (error == asio::error::would_block) co_await socket.async_wait(tcp::socket::wait_read, into(error));
    if (error) co_return error;
    error = read_some(parser);
    if (error && error != asio::error::would_block) co_return error;
  }
  co_return error_code{};
}

error_code Connection::Impl::read_some(HttpParser& parser) {
  error_code error;
  const auto room = buffer.prepare(read_bytes);
  const std::size_t count = tls ? tls->read_some(room, error) : socket.read_some(room, error);
  if (error == asio::error::eof && parser.got_some()) {
    error = {};
    parser.put_eof(error);
    return error;
  }
  if (error) return error;
  buffer.commit(count);
  return feed(parser);
}

// The header by itself first: Beast forgets that a body is announced as too large when it goes on to read it.
error_code Connection::Impl::feed(HttpParser& parser) {
  error_code error;
  do {
    buffer.consume(parser.put(buffer.data(), error));
    parser.eager(parser.is_header_done());
  } while (!error && !parser.is_done() && buffer.size() > 0);
  return error == beast::http::error::need_more ? error_code{} : error;
}

asio::awaitable<Result<Answer>> Connection::Impl::send(const Request& request) {
  bool resent = false;
  while (true) {
    const bool reused = socket.is_open() && !is_stale();
    if (!reused) {
      if (const auto failure = co_await connect()) co_return tl::unexpected(to_error(*failure));
    }
    auto answer = co_await exchange(request);
    if (answer) {
      answer->resent = resent;
      co_return std::move(*answer);
    }
    const Broken& failure = answer.error();
    // The peer may have closed a kept connection in the moment that we wrote; what was new and broke, or was
    // late, is for the caller to weigh.
    if (!reused || resent || failure.answer_begun || failure.error == beast::error::timeout) {
      co_return tl::unexpected(to_error(failure));
    }
    resent = true;
  }
}

base::Error Connection::Impl::to_error(const Broken& failure) const {
  const bool late = failure.error == beast::error::timeout;
  return {late ? ErrorKind::timeout : ErrorKind::unavailable,
          "cannot " + failure.doing + " (" + cluster().url() + "): " + failure.error.message(), "",
          std::nullopt};
}

Connection::Connection(const asio::any_io_executor& executor, std::shared_ptr<Endpoint> endpoint)
    : impl_(std::make_unique<Impl>(executor, std::move(endpoint))) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;

asio::awaitable<Result<Answer>> Connection::send(Request request, TimePoint deadline) {
  impl_->may_have_arrived = false;
  impl_->watchdog->watch(impl_->socket, deadline);
  Result<Answer> answer = co_await impl_->send(request);
  if (answer && answer->status == 401 && impl_->endpoint->impl_->token.refresh()) {
    impl_->watchdog->watch(impl_->socket, deadline);  // in case that it has just closed the socket
    answer = co_await impl_->send(request);
  }
  impl_->watchdog->rest();
  co_return answer;
}

bool Connection::may_have_arrived() const {
  return impl_->may_have_arrived;
}

}  // namespace lambda::kube
