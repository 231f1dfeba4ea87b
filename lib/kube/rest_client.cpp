#include "kube/rest_client.h"

#include <mutex>

#include "rest/client.h"

namespace lambda::kube {
namespace {

using base::milliseconds;
using base::Result;

rest::Endpoint endpoint_of(const Cluster& cluster) {
  return {.url = cluster.url(),
          .ca_pem = cluster.ca_pem,
          .server_name = cluster.tls_server_name,
          .client_certificate_pem = cluster.client_certificate_pem,
          .client_key_pem = cluster.client_key_pem};
}

Answer to_answer(rest::Response response) {
  return {.status = response.status, .body = std::move(response.body), .retry_after = response.retry_after};
}

}  // namespace

struct RestClient::Impl {
  Impl(const Cluster& cluster, OnRequest hears)
      : on_request(std::move(hears)), token(cluster), http(endpoint_of(cluster)) {}

  rest::Request to_http(const Request& request) {
    if (on_request) on_request(to_string(request.method));
    rest::Request message{.method = std::string(to_string(request.method)),
                          .target = request.target,
                          .headers = {{"Accept", request.accept}},
                          .content_type = request.content_type,
                          .body = request.body};
    const std::lock_guard lock(token_mutex);
    if (const std::string& bearer = token.current(base::Clock::now()); !bearer.empty())
      message.headers.emplace_back("Authorization", "Bearer " + bearer);
    return message;
  }

  bool refresh_token() {
    const std::lock_guard lock(token_mutex);
    return token.refresh();
  }

  const OnRequest on_request;
  std::mutex token_mutex;
  BearerToken token;
  rest::Client http;
};

RestClient::RestClient(const Cluster& cluster, OnRequest on_request)
    : impl_(std::make_unique<Impl>(cluster, std::move(on_request))) {}
RestClient::~RestClient() = default;

Result<Answer> RestClient::send(const Request& request, milliseconds timeout, const std::stop_token& stop) {
  const base::TimePoint deadline = base::Clock::now() + timeout;
  auto response = impl_->http.send(impl_->to_http(request), timeout, stop);
  if (response && response->status == 401 && impl_->refresh_token()) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - base::Clock::now());
    response = impl_->http.send(impl_->to_http(request), left, stop);
  }
  return std::move(response).map(to_answer);
}

Result<Answer> RestClient::stream(const Request& request, const rest::OnBytes& on_bytes,
                                  const rest::StreamLimits& limits, const std::stop_token& stop) {
  auto response = impl_->http.stream(impl_->to_http(request), on_bytes, limits, stop);
  if (response && response->status == 401 && impl_->refresh_token())
    response = impl_->http.stream(impl_->to_http(request), on_bytes, limits, stop);
  return std::move(response).map(to_answer);
}

}  // namespace lambda::kube
