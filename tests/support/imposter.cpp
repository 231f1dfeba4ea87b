#include "support/imposter.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <sstream>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "build/labels.h"

namespace lambda::support {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

http::Request to_request(const beast::http::request<beast::http::string_body>& message) {
  http::Request request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const std::size_t mark = std::min(target.find('?'), target.size());
  request.path = target.substr(0, mark);
  if (mark < target.size()) request.query = target.substr(mark + 1);
  for (const auto& field : message) {
    request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  request.body = message.body();
  return request;
}

class SocketWire : public Wire {
 public:
  explicit SocketWire(tcp::socket& socket) : socket_(socket) {}

  void begin(unsigned status) override {
    write("HTTP/1.1 " + std::to_string(status) +
          " Said\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
  }
  void chunk(const std::string& bytes) override {
    std::ostringstream size;
    size << std::hex << bytes.size();
    write(size.str() + "\r\n" + bytes + "\r\n");
  }
  void end() override { write("0\r\n\r\n"); }

  void wait_for_the_end() override {
    std::array<char, 1024> ignored{};
    error_code error;
    while (!error) socket_.read_some(asio::buffer(ignored), error);
  }

 private:
  void write(const std::string& bytes) {
    error_code error;
    asio::write(socket_, asio::buffer(bytes), error);
  }

  tcp::socket& socket_;
};

}  // namespace

struct Imposter::Impl {
  Impl(WireScript with_wires, Script with) : wires(std::move(with_wires)), script(std::move(with)) {
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    acceptor.listen();
    accepting = std::thread([this] { accept(); });
  }

  ~Impl() {
    stopping = true;
    // Unlike close(), shutdown() wakes the thread that waits in accept().
    ::shutdown(acceptor.native_handle(), SHUT_RDWR);
    accepting.join();
    {
      const std::lock_guard lock(mutex);
      for (tcp::socket& socket : sockets) ::shutdown(socket.native_handle(), SHUT_RDWR);
    }
    for (std::thread& thread : threads) thread.join();
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void accept() {
    while (!stopping) {
      tcp::socket socket(io);
      error_code error;
      acceptor.accept(socket, error);
      if (error) return;
      const std::lock_guard lock(mutex);
      tcp::socket& kept = sockets.emplace_back(std::move(socket));
      threads.emplace_back([this, &kept] { serve(kept); });
    }
  }

  void serve(tcp::socket& socket) {
    beast::flat_buffer buffer;
    error_code error;
    while (!error) {
      beast::http::request<beast::http::string_body> message;
      beast::http::read(socket, buffer, message, error);
      if (error) break;
      {
        const std::lock_guard lock(mutex);
        seen.push_back(std::string(message.method_string()) + " " + std::string(message.target()));
      }
      SocketWire wire(socket);
      if (wires && wires(to_request(message), wire)) break;
      const std::optional<http::Response> answer = script(to_request(message));
      if (!answer) break;
      beast::http::response<beast::http::string_body> reply(static_cast<beast::http::status>(answer->status),
                                                            11);
      for (const auto& [name, value] : answer->headers) reply.set(name, value);
      reply.body() = answer->body;
      reply.prepare_payload();
      beast::http::write(socket, reply, error);
    }
    ::shutdown(socket.native_handle(), SHUT_RDWR);
  }

  WireScript wires;
  Script script;
  asio::io_context io;
  tcp::acceptor acceptor{io};
  std::atomic<bool> stopping = false;
  mutable std::mutex mutex;
  std::vector<std::string> seen;
  std::list<tcp::socket> sockets;
  std::list<std::thread> threads;
  std::thread accepting;
};

Imposter::Imposter(Script script) : Imposter(nullptr, std::move(script)) {}
Imposter::Imposter(WireScript wires, Script script)
    : impl_(std::make_unique<Impl>(std::move(wires), std::move(script))) {}
Imposter::~Imposter() = default;

std::uint16_t Imposter::port() const {
  return impl_->acceptor.local_endpoint().port();
}

kube::Cluster Imposter::cluster() const {
  kube::Cluster cluster;
  cluster.tls = false;
  cluster.host = "127.0.0.1";
  cluster.port = port();
  return cluster;
}

std::vector<std::string> Imposter::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->seen;
}

Imposter::Script in_order(std::vector<std::optional<http::Response>> steps) {
  return
      [steps = std::move(steps), next = std::make_shared<std::atomic<std::size_t>>(0)](const http::Request&) {
        const std::size_t step = (*next)++;
        return steps[std::min(step, steps.size() - 1)];
      };
}

http::Response status_answer(unsigned status, const std::string& reason, http::Headers headers) {
  return {status, "application/json",
          R"({"kind":"Status","reason":")" + reason + R"(","message":"said the imposter"})",
          std::move(headers)};
}

http::Response job_metadata_answer(const std::string& event_source, const std::string& event_id,
                                   const std::string& more_metadata) {
  const nlohmann::json annotations{{build::annotation::event_source, event_source},
                                   {build::annotation::event_id, event_id}};
  return {200,
          "application/json",
          R"({"kind":"PartialObjectMetadata","metadata":{"annotations":)" + annotations.dump() +
              more_metadata + "}}",
          {}};
}

}  // namespace lambda::support
