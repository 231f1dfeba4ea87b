#include "kube/connection.h"

#include <optional>
#include <string>
#include <variant>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
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

using TlsStream = beast::ssl_stream<beast::tcp_stream>;
using HttpRequest =
    beast::http::request<beast::http::span_body<const char>>;  // of a Request that outlives it
using HttpParser = beast::http::response_parser<beast::http::string_body>;

constexpr std::size_t answer_max_bytes = 4194304;
constexpr std::size_t buffer_max_bytes = 131072;

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

}  // namespace

struct Endpoint::Impl {
  explicit Impl(const Cluster& of) : cluster(of), context(ssl::context::tls_client), token(of) {
    if (cluster.tls) configure_tls(context, cluster);
  }

  Cluster cluster;
  ssl::context context;
  BearerToken token;
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

  Impl(asio::any_io_executor on, std::shared_ptr<Endpoint> to)
      : executor(std::move(on)), endpoint(std::move(to)) {}

  const Cluster& cluster() const { return endpoint->impl_->cluster; }

  beast::tcp_stream& transport() { return tls ? beast::get_lowest_layer(*tls) : *plain; }

  bool connected() const { return tls.has_value() || plain.has_value(); }

  void disconnect() {
    tls.reset();
    plain.reset();
    buffer.clear();
  }

  // Whether the peer has closed the kept connection, or sent what nobody asked for.
  bool is_stale() {
    char byte = 0;
    const auto count = ::recv(transport().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return !(count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
  }

  asio::awaitable<std::optional<Broken>> connect(TimePoint deadline);
  asio::awaitable<std::optional<Broken>> resolve_and_connect(beast::tcp_stream& stream);
  asio::awaitable<std::optional<Broken>> shake_hands();
  asio::awaitable<tl::expected<Answer, Broken>> exchange(const Request& request, TimePoint deadline);
  template <class Stream>
  asio::awaitable<tl::expected<Answer, Broken>> exchange_over(Stream& stream, HttpRequest message);
  asio::awaitable<Result<Answer>> send(const Request& request, TimePoint deadline);

  HttpRequest to_http(const Request& request);
  base::Error to_error(const Broken& broken) const;

  asio::any_io_executor executor;
  std::shared_ptr<Endpoint> endpoint;
  std::optional<TlsStream> tls;
  std::optional<beast::tcp_stream> plain;
  beast::flat_buffer buffer{buffer_max_bytes};
  bool may_have_arrived = false;  // any of the request that is being sent
};

asio::awaitable<std::optional<Connection::Impl::Broken>> Connection::Impl::connect(TimePoint deadline) {
  disconnect();
  if (cluster().tls) {
    tls.emplace(executor, endpoint->impl_->context);
  } else {
    plain.emplace(executor);
  }
  transport().expires_at(deadline);
  std::optional<Broken> broken = co_await resolve_and_connect(transport());
  if (!broken && tls) broken = co_await shake_hands();
  if (broken) disconnect();
  co_return broken;
}

asio::awaitable<std::optional<Connection::Impl::Broken>> Connection::Impl::resolve_and_connect(
    beast::tcp_stream& stream) {
  error_code error;
  const auto address = asio::ip::make_address(cluster().host, error);
  if (!error) {
    co_await stream.async_connect(tcp::endpoint(address, cluster().port), into(error));
  } else {
    // Only a name needs the resolver, whose thread can't be cancelled; in a pod the host is an address.
    tcp::resolver resolver(executor);
    const auto found =
        co_await resolver.async_resolve(cluster().host, std::to_string(cluster().port), into(error));
    if (error) co_return Broken{error, "resolve the name"};
    co_await stream.async_connect(found, into(error));
  }
  if (error) co_return Broken{error, "connect"};
  stream.socket().set_option(tcp::no_delay(true), error);
  co_return std::nullopt;
}

asio::awaitable<std::optional<Connection::Impl::Broken>> Connection::Impl::shake_hands() {
  const std::string& name = cluster().server_name();
  error_code error;
  asio::ip::make_address(name, error);
  if (error)
    SSL_set_tlsext_host_name(tls->native_handle(), name.c_str());  // RFC 6066: names only, no addresses
  tls->set_verify_callback(ssl::host_name_verification(name));
  co_await tls->async_handshake(ssl::stream_base::client, into(error));
  if (error) co_return Broken{error, "agree on TLS"};
  co_return std::nullopt;
}

HttpRequest Connection::Impl::to_http(const Request& request) {
  using beast::http::field;
  HttpRequest message;
  message.version(11);
  message.method(request.method == Method::get ? beast::http::verb::get : beast::http::verb::post);
  message.target(cluster().path_prefix + request.target);
  message.set(field::host, host_header(cluster()));
  message.set(field::user_agent, "knative-lambda/" LAMBDA_VERSION);
  message.set(field::accept, request.accept);
  if (const std::string& token = endpoint->impl_->token.current(base::Clock::now()); !token.empty()) {
    message.set(field::authorization, "Bearer " + token);
  }
  if (!request.body.empty()) message.set(field::content_type, "application/json");
  message.body() = {request.body.data(), request.body.size()};
  message.prepare_payload();
  return message;
}

asio::awaitable<tl::expected<Answer, Connection::Impl::Broken>> Connection::Impl::exchange(
    const Request& request, TimePoint deadline) {
  transport().expires_at(deadline);
  may_have_arrived = true;
  HttpRequest message = to_http(request);
  auto outcome = tls ? co_await exchange_over(*tls, std::move(message))
                     : co_await exchange_over(*plain, std::move(message));
  if (!outcome) disconnect();
  co_return outcome;
}

template <class Stream>
asio::awaitable<tl::expected<Answer, Connection::Impl::Broken>> Connection::Impl::exchange_over(
    Stream& stream, HttpRequest message) {
  error_code error;
  co_await beast::http::async_write(stream, message, into(error));
  if (error) co_return tl::unexpected(Broken{error, "send the request"});
  HttpParser parser;
  parser.body_limit(answer_max_bytes);
  co_await beast::http::async_read(stream, buffer, parser, into(error));
  if (error) co_return tl::unexpected(Broken{error, "read the answer", parser.got_some()});
  Answer answer;
  answer.status = parser.get().result_int();
  answer.retry_after = retry_after(parser.get());
  const bool keep = parser.get().keep_alive();
  answer.body = std::move(parser.get().body());
  if (!keep) disconnect();
  co_return answer;
}

asio::awaitable<Result<Answer>> Connection::Impl::send(const Request& request, TimePoint deadline) {
  bool resent = false;
  while (true) {
    const bool reused = connected() && !is_stale();
    if (!reused) {
      if (const auto broken = co_await connect(deadline)) co_return tl::unexpected(to_error(*broken));
    }
    auto answer = co_await exchange(request, deadline);
    if (answer) {
      answer->resent = resent;
      co_return std::move(*answer);
    }
    const Broken& broken = answer.error();
    // The peer may have closed a kept connection in the moment that we wrote; what was new and broke, or was
    // late, is for the caller to weigh.
    if (!reused || resent || broken.answer_begun || broken.error == beast::error::timeout) {
      co_return tl::unexpected(to_error(broken));
    }
    resent = true;
  }
}

base::Error Connection::Impl::to_error(const Broken& broken) const {
  const bool late = broken.error == beast::error::timeout;
  return {late ? ErrorKind::timeout : ErrorKind::unavailable,
          "cannot " + broken.doing + " (" + cluster().url() + "): " + broken.error.message(), "",
          std::nullopt};
}

Connection::Connection(asio::any_io_executor executor, std::shared_ptr<Endpoint> endpoint)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(endpoint))) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;

asio::awaitable<Result<Answer>> Connection::send(Request request, TimePoint deadline) {
  impl_->may_have_arrived = false;
  Result<Answer> answer = co_await impl_->send(request, deadline);
  if (answer && answer->status == 401 && impl_->endpoint->impl_->token.refresh()) {
    answer = co_await impl_->send(request, deadline);
  }
  co_return answer;
}

bool Connection::may_have_arrived() const {
  return impl_->may_have_arrived;
}

}  // namespace lambda::kube
