#include "kube/rest_client.h"

#include <future>
#include <mutex>

#include <boost/asio/ssl.hpp>
#include <cpprest/http_client.h>
#include <pplx/threadpool.h>

#include "base/text.h"

namespace lambda::kube {
namespace {

namespace client = web::http::client;
using base::ErrorKind;
using base::milliseconds;
using base::Result;

constexpr std::size_t library_threads = 2;

// The pool's size can be set once, before its first use; its default is forty threads.
void bound_the_librarys_threads() {
  static std::once_flag once;
  std::call_once(once, [] { crossplat::threadpool::initialize_with_threads(library_threads); });
}

client::http_client_config configure(const Cluster& cluster) {
  client::http_client_config config;
  config.set_max_redirects(0);  // a redirect would take the token to another host
  config.set_ssl_context_callback([cluster](boost::asio::ssl::context& context) {
    if (!cluster.ca_pem.empty()) context.add_certificate_authority(boost::asio::buffer(cluster.ca_pem));
    if (!cluster.client_certificate_pem.empty()) {
      context.use_certificate_chain(boost::asio::buffer(cluster.client_certificate_pem));
      context.use_private_key(boost::asio::buffer(cluster.client_key_pem), boost::asio::ssl::context::pem);
    }
  });
  return config;
}

Answer to_answer(web::http::http_response response) {
  Answer answer;
  answer.status = response.status_code();
  if (const auto seconds = base::parse_integer(response.headers()["Retry-After"]); seconds && *seconds >= 0) {
    answer.retry_after = std::chrono::seconds(*seconds);
  }
  // `true`: whatever the content type says, it is JSON for us.
  answer.body = response.extract_utf8string(true).get();
  return answer;
}

}  // namespace

struct RestClient::Impl {
  explicit Impl(const Cluster& of)
      : cluster(of), token(of), http((bound_the_librarys_threads(), of.url()), configure(of)) {}

  web::http::http_request to_http(const Request& request) {
    web::http::http_request message(request.method == Method::get ? web::http::methods::GET
                                                                  : web::http::methods::POST);
    message.set_request_uri(web::uri(request.target));
    message.headers().add("Accept", request.accept);
    message.headers().add("User-Agent", "knative-lambda/" LAMBDA_VERSION);
    // cpprestsdk takes the name to expect on the certificate from Host.
    if (!cluster.tls_server_name.empty()) message.headers().add("Host", cluster.tls_server_name);
    const std::lock_guard lock(token_mutex);
    if (const std::string& bearer = token.current(base::Clock::now()); !bearer.empty()) {
      message.headers().add("Authorization", "Bearer " + bearer);
    }
    if (!request.body.empty()) message.set_body(request.body, "application/json");
    return message;
  }

  Result<Answer> send_once(const Request& request, milliseconds timeout, const std::stop_token& stop);

  bool refresh_token() {
    const std::lock_guard lock(token_mutex);
    return token.refresh();
  }

  Cluster cluster;
  std::mutex token_mutex;
  BearerToken token;
  client::http_client http;
};

Result<Answer> RestClient::Impl::send_once(const Request& request, milliseconds timeout,
                                           const std::stop_token& stop) {
  // The library's own timeout begins anew with each read, so the whole is bounded here.
  pplx::cancellation_token_source cancel;
  const std::stop_callback on_stop(stop, [cancel] { cancel.cancel(); });
  auto answer_promise = std::make_shared<std::promise<Answer>>();
  std::future<Answer> answer = answer_promise->get_future();
  const std::string failed = "no answer from " + cluster.url() + ": ";
  try {
    http.request(to_http(request), cancel.get_token())
        .then([](const web::http::http_response& response) { return response.content_ready(); })
        .then([answer_promise](const pplx::task<web::http::http_response>& ready) {
          try {
            answer_promise->set_value(to_answer(ready.get()));
          } catch (...) {
            answer_promise->set_exception(std::current_exception());
          }
        });
    if (answer.wait_for(timeout) != std::future_status::ready) {
      cancel.cancel();
      return base::fail(ErrorKind::timeout, failed + "not within " + base::format_duration(timeout));
    }
    return answer.get();
  } catch (const pplx::task_canceled&) {
    return base::fail(ErrorKind::timeout, failed + "cancelled");
  } catch (const std::exception& error) {
    return base::fail(ErrorKind::unavailable, failed + error.what());
  }
}

RestClient::RestClient(const Cluster& cluster) : impl_(std::make_unique<Impl>(cluster)) {}
RestClient::~RestClient() = default;

Result<Answer> RestClient::send(const Request& request, milliseconds timeout, const std::stop_token& stop) {
  const base::TimePoint deadline = base::Clock::now() + timeout;
  Result<Answer> answer = impl_->send_once(request, timeout, stop);
  if (answer && answer->status == 401 && impl_->refresh_token()) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - base::Clock::now());
    answer = impl_->send_once(request, left, stop);
  }
  return answer;
}

}  // namespace lambda::kube
