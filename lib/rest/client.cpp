#include "rest/client.h"

#include <condition_variable>
#include <mutex>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <cpprest/http_client.h>
#include <netinet/tcp.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include "base/text.h"

namespace lambda::rest {
namespace {

namespace client = web::http::client;
namespace streams = concurrency::streams;
using base::ErrorKind;
using base::milliseconds;
using base::Result;
using base::TimePoint;

// One, so that nothing of a connection is done by two threads at once: the library's lock is around the first
// step of a read, write or handshake only, and a connection that is closed in the middle of a later one can
// take the library's threads with it.
constexpr std::size_t library_threads = 1;
// The library's timeout begins anew with each read and is one for all requests: too long to be met. Exchange
// has the limits.
constexpr std::chrono::hours library_timeout{24};

// The pool's size can be set once, before its first use; its default is forty threads.
void bound_the_librarys_threads() {
  static std::once_flag once;
  std::call_once(once, [] { crossplat::threadpool::initialize_with_threads(library_threads); });
}

// So that a server which is gone without a word is noticed within a minute, by whoever waits for nothing but
// news.
void keep_alive(int socket) {
  const auto set = [socket](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

void keep_alive(client::native_handle handle, bool tls) {
  using Socket = boost::asio::ip::tcp::socket;
  // What the handle points to is said by the library's documentation only.
  keep_alive(tls ? static_cast<boost::asio::ssl::stream<Socket&>*>(handle)->lowest_layer().native_handle()
                 : static_cast<Socket*>(handle)->native_handle());
}

// Closes the connection, so it is left to the thread that works on connections.
void cancel(const pplx::cancellation_token_source& source) {
  crossplat::threadpool::shared_instance().service().post([source] { source.cancel(); });
}

client::http_client_config configure(const Endpoint& endpoint) {
  client::http_client_config config;
  config.set_max_redirects(0);  // a redirect would take the credentials to another host
  config.set_timeout(library_timeout);
  config.set_nativehandle_options([tls = base::starts_with_ignoring_case(endpoint.url, "https:")](
                                      client::native_handle handle) { keep_alive(handle, tls); });
  config.set_ssl_context_callback([endpoint](boost::asio::ssl::context& context) {
    if (!endpoint.ca_pem.empty()) context.add_certificate_authority(boost::asio::buffer(endpoint.ca_pem));
    if (!endpoint.client_certificate_pem.empty()) {
      context.use_certificate_chain(boost::asio::buffer(endpoint.client_certificate_pem));
      context.use_private_key(boost::asio::buffer(endpoint.client_key_pem), boost::asio::ssl::context::pem);
    }
  });
  return config;
}

Response head_of(const web::http::http_response& answer) {
  Response response;
  response.status = answer.status_code();
  const auto& headers = answer.headers();
  if (const auto found = headers.find("Content-Type"); found != headers.end())
    response.content_type = found->second;
  if (const auto found = headers.find("Retry-After"); found != headers.end()) {
    const auto seconds = base::parse_integer(found->second);
    if (seconds && *seconds >= 0) response.retry_after = std::chrono::seconds(*seconds);
  }
  return response;
}

// ---------------------------------------------------------------------------------------------------------------------

// One request under way: what the library's threads hand to the one that waits for it. Of the body it holds a
// single piece, which lies in the connection's own buffer; the library reads on when that is done with.
class Exchange {
 public:
  // The library's side.

  void begin_body(const web::http::http_response& answer) {
    const std::lock_guard lock(mutex_);
    head_ = head_of(answer);
    changed_.notify_all();
  }

  pplx::task<std::size_t> offer(const std::uint8_t* bytes, std::size_t count) {
    const std::lock_guard lock(mutex_);
    // No error: for one of those the library waits in its thread for another of its threads, and if all of
    // them do, for ever. The cancellation ends it.
    if (abandoned_) return pplx::task_from_result(count);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are characters here
    piece_ = {reinterpret_cast<const char*>(bytes), count};
    piece_taken_ = {};
    changed_.notify_all();
    return pplx::create_task(piece_taken_);
  }

  void end(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
  }

  // The side of the thread that waits.

  Result<Response> head(TimePoint deadline) {
    std::unique_lock lock(mutex_);
    return wait(lock, deadline, [this] { return head_.has_value(); }).map([this] { return *head_; });
  }

  /// The next piece of the body, empty at its end; it lives until the next call.
  Result<std::string_view> next(TimePoint deadline) {
    if (std::exchange(piece_in_use_, false)) release_piece();
    std::unique_lock lock(mutex_);
    return wait(lock, deadline, [this] { return !piece_.empty() || ended_; }).map([this] {
      piece_in_use_ = !piece_.empty();
      return piece_;
    });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    cancel(cancel_);
  }

  /// Nobody waits any longer: what is still under way is cut off.
  void abandon() {
    bool cut = false;
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
      cut = !ended_;
    }
    if (cut) cancel(cancel_);
    release_piece();
  }

  pplx::cancellation_token token() const { return cancel_.get_token(); }

 private:
  template <class Condition>
  Result<void> wait(std::unique_lock<std::mutex>& lock, TimePoint deadline, Condition condition) {
    const bool in_time =
        changed_.wait_until(lock, deadline, [&] { return stopped_ || failure_ || condition(); });
    if (stopped_) return base::fail(ErrorKind::timeout, "cancelled");
    if (!in_time) return base::fail(ErrorKind::timeout, "nothing within the time that it was given");
    if (failure_) return broken();
    return {};
  }

  tl::unexpected<base::Error> broken() const {
    try {
      std::rethrow_exception(failure_);
    } catch (const std::exception& error) {
      return base::fail(ErrorKind::unavailable, error.what());
    }
  }

  void release_piece() {
    std::unique_lock lock(mutex_);
    if (piece_.empty()) return;
    const std::size_t size = std::exchange(piece_, {}).size();
    const pplx::task_completion_event<std::size_t> taken = piece_taken_;
    lock.unlock();  // what waits for it may run at once
    taken.set(size);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  pplx::cancellation_token_source cancel_;
  std::optional<Response> head_;
  std::string_view piece_;     // empty: there is none
  bool piece_in_use_ = false;  // by the thread that waits
  pplx::task_completion_event<std::size_t> piece_taken_;
  bool ended_ = false;
  std::exception_ptr failure_;
  bool stopped_ = false;
  bool abandoned_ = false;
};

// What the library takes for the place where it writes a body.
class BodyBuffer : public streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  explicit BodyBuffer(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  utility::size64_t size() const override { return 0; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return nowhere(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return nowhere(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override { return nowhere(); }
  bool acquire(std::uint8_t*&, std::size_t&) override { return false; }
  void release(std::uint8_t*, std::size_t) override {}

 protected:
  pplx::task<std::size_t> _putn(const std::uint8_t* bytes, std::size_t count) override {
    return exchange_->offer(bytes, count);
  }
  pplx::task<int_type> _putc(std::uint8_t) override { return no_character(); }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  // No block to write into: then the library comes with a block of its own.
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}

  // It is never read.
  pplx::task<int_type> _bumpc() override { return no_character(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return no_character(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return no_character(); }
  pplx::task<int_type> _ungetc() override { return no_character(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override {
    return pplx::task_from_result<std::size_t>(0);
  }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }

 private:
  static pos_type nowhere() { return static_cast<pos_type>(traits::eof()); }
  static pplx::task<int_type> no_character() { return pplx::task_from_result<int_type>(traits::eof()); }

  std::shared_ptr<Exchange> exchange_;
};

// ---------------------------------------------------------------------------------------------------------------------

// The library writes out what it is given, line breaks and all.
Result<void> check(const Request& request) {
  const bool clean = !base::has_control_character(request.target) &&
                     !base::has_control_character(request.method) &&
                     !base::has_control_character(request.content_type);
  if (!clean || !request.target.starts_with('/'))
    return base::fail(ErrorKind::invalid, base::quote(request.target) + " is no target of a request");
  for (const auto& [name, value] : request.headers) {
    if (base::has_control_character(name) || base::has_control_character(value))
      return base::fail(ErrorKind::invalid, "the header " + base::quote(name) + " has a control character");
  }
  return {};
}

web::http::http_request to_http(const Request& request, const Endpoint& endpoint,
                                const std::shared_ptr<Exchange>& exchange) {
  web::http::http_request message(request.method);
  message.set_request_uri(web::uri(request.target));
  message.headers().add("User-Agent", "knative-lambda/" LAMBDA_VERSION);
  // cpprestsdk takes the name to expect on the certificate from Host.
  if (!endpoint.server_name.empty()) message.headers().add("Host", endpoint.server_name);
  for (const auto& [name, value] : request.headers) message.headers().add(name, value);
  if (!request.body.empty()) message.set_body(request.body, request.content_type);
  const streams::streambuf<std::uint8_t> buffer(std::make_shared<BodyBuffer>(exchange));
  message.set_response_stream(streams::ostream(buffer));
  return message;
}

}  // namespace

struct Client::Impl {
  Impl(const Endpoint& to, std::size_t max_bytes) : endpoint(to), body_max_bytes(max_bytes) {
    bound_the_librarys_threads();
    try {
      http.emplace(to.url, configure(to));
    } catch (const std::exception& error) {
      trouble = error.what();
    }
  }

  Result<void> start(const Request& request, const std::shared_ptr<Exchange>& exchange) {
    if (!http) {
      return base::fail(ErrorKind::invalid,
                        base::quote(endpoint.url) + " is no http or https URL: " + trouble);
    }
    if (auto checked = check(request); !checked) return checked;
    try {
      http->request(to_http(request, endpoint, exchange), exchange->token())
          .then([exchange](const web::http::http_response& answer) {
            exchange->begin_body(answer);
            return answer.content_ready();
          })
          .then([exchange](const pplx::task<web::http::http_response>& body) {
            try {
              body.get();
              exchange->end(nullptr);
            } catch (...) {
              exchange->end(std::current_exception());
            }
          });
      return {};
    } catch (const web::uri_exception& error) {
      return base::fail(ErrorKind::invalid, error.what());
    } catch (const std::exception& error) {
      return base::fail(ErrorKind::unavailable, error.what());
    }
  }

  // Goes through the whole body; `deadline` says until when the next piece has to be there.
  Result<void> read_body(Exchange& exchange, const std::function<TimePoint()>& deadline,
                         const OnBytes& on_bytes) const {
    while (true) {
      const auto piece = exchange.next(deadline());
      if (!piece) return tl::unexpected(piece.error());
      if (piece->empty() || !on_bytes(*piece)) return {};
    }
  }

  Result<Response> with_body(Response response, Exchange& exchange,
                             const std::function<TimePoint()>& deadline) const {
    bool fits = true;
    return read_body(exchange, deadline,
                     [&](std::string_view bytes) {
                       fits = response.body.size() + bytes.size() <= body_max_bytes;
                       if (fits) response.body += bytes;
                       return fits;
                     })
        .and_then([&]() -> Result<Response> {
          if (fits) return std::move(response);
          return base::fail(ErrorKind::unavailable,
                            "the answer is larger than " + std::to_string(body_max_bytes) + " bytes");
        });
  }

  // Runs `use` on an exchange that ends with it, and says in errors whom they are about.
  Result<Response> exchange(const Request& request, const std::stop_token& stop,
                            const std::function<Result<Response>(Exchange&)>& use) {
    const auto exchange = std::make_shared<Exchange>();
    const auto answer = [&]() -> Result<Response> {
      const std::stop_callback on_stop(stop, [&] { exchange->stop(); });
      return start(request, exchange).and_then([&] { return use(*exchange); });
    }();
    exchange->abandon();
    return answer.map_error([&](base::Error error) {
      if (error.kind != ErrorKind::invalid)
        error.message = "no answer from " + endpoint.url + ": " + error.message;
      return error;
    });
  }

  Endpoint endpoint;
  std::size_t body_max_bytes;
  std::optional<client::http_client> http;
  std::string trouble;  // why there is none
};

Client::Client(const Endpoint& endpoint, std::size_t body_max_bytes)
    : impl_(std::make_unique<Impl>(endpoint, body_max_bytes)) {}
Client::~Client() = default;

Result<Response> Client::send(const Request& request, milliseconds timeout, const std::stop_token& stop) {
  const TimePoint end = base::Clock::now() + timeout;
  const auto deadline = [end] { return end; };
  return impl_->exchange(request, stop, [&](Exchange& exchange) {
    return exchange.head(end).and_then(
        [&](Response head) { return impl_->with_body(std::move(head), exchange, deadline); });
  });
}

Result<Response> Client::stream(const Request& request, const OnBytes& on_bytes, const StreamLimits& limits,
                                const std::stop_token& stop) {
  const auto deadline = [&] { return base::Clock::now() + limits.idle; };
  return impl_->exchange(request, stop, [&](Exchange& exchange) {
    return exchange.head(base::Clock::now() + limits.head).and_then([&](Response head) -> Result<Response> {
      if (!head.ok()) return impl_->with_body(std::move(head), exchange, deadline);
      return impl_->read_body(exchange, deadline, on_bytes).map([&] { return head; });
    });
  });
}

}  // namespace lambda::rest
