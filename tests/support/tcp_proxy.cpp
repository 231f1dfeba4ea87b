#include "support/tcp_proxy.h"

#include <array>
#include <functional>
#include <future>
#include <list>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace lambda::support {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Pair {
  Pair(tcp::socket a_client, tcp::socket a_server)
      : client(std::move(a_client)), server(std::move(a_server)) {}
  void close() {
    error_code ignored;
    client.close(ignored);
    server.close(ignored);
  }
  tcp::socket client;
  tcp::socket server;
};

}  // namespace

// All of it runs on one thread.
struct TcpProxy::Impl {
  Impl(const std::string& host, std::uint16_t port)
      : target(*tcp::resolver(io).resolve(host, std::to_string(port)).begin()),
        acceptor(io, {asio::ip::address_v4::loopback(), 0}) {
    accept();
    thread = std::thread([this] { io.run(); });
  }

  ~Impl() {
    io.stop();
    thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket client) {
      if (!error && !refusing) serve(std::move(client));
      accept();
    });
  }

  void serve(tcp::socket client) {
    tcp::socket server(io);
    error_code error;
    server.connect(target, error);
    if (error) return;
    const auto pair = std::make_shared<Pair>(std::move(client), std::move(server));
    pairs.push_back(pair);
    pump(pair, pair->client, pair->server);
    pump(pair, pair->server, pair->client);
  }

  void pump(const std::shared_ptr<Pair>& pair, tcp::socket& from, tcp::socket& to) {
    if (frozen) {
      held.emplace_back([this, pair, &from, &to] { pump(pair, from, to); });
      return;
    }
    const auto buffer = std::make_shared<std::array<char, 65536>>();
    from.async_read_some(
        asio::buffer(*buffer), [this, pair, &from, &to, buffer](error_code error, std::size_t size) {
          if (error) return pair->close();
          if (frozen) {
            held.emplace_back([this, pair, &from, &to, buffer, size] { pass(pair, from, to, buffer, size); });
          } else {
            pass(pair, from, to, buffer, size);
          }
        });
  }

  void pass(const std::shared_ptr<Pair>& pair, tcp::socket& from, tcp::socket& to,
            const std::shared_ptr<std::array<char, 65536>>& buffer, std::size_t size) {
    asio::async_write(to, asio::buffer(*buffer, size),
                      [this, pair, &from, &to, buffer](error_code error, std::size_t) {
                        if (error) return pair->close();
                        pump(pair, from, to);
                      });
  }

  void set_frozen(bool value) {
    frozen = value;
    if (frozen) return;
    for (const auto& go_on : std::exchange(held, {})) go_on();
  }

  void cut() {
    for (const auto& weak : std::exchange(pairs, {})) {
      if (const auto pair = weak.lock()) pair->close();
    }
  }

  // Returns when it has been done.
  void do_there(std::function<void()> what) {
    // Shared: set_value() may still be at it when who waits has gone on.
    const auto done = std::make_shared<std::promise<void>>();
    asio::post(io, [&what, done] {
      what();
      done->set_value();
    });
    done->get_future().wait();
  }

  asio::io_context io{1};
  tcp::endpoint target;
  tcp::acceptor acceptor;
  bool refusing = false;
  bool frozen = false;
  std::vector<std::weak_ptr<Pair>> pairs;
  std::list<std::function<void()>> held;
  std::thread thread;
};

TcpProxy::TcpProxy(const std::string& host, std::uint16_t port) : impl_(std::make_unique<Impl>(host, port)) {}
TcpProxy::~TcpProxy() = default;

std::uint16_t TcpProxy::port() const {
  return impl_->acceptor.local_endpoint().port();
}

void TcpProxy::cut() {
  impl_->do_there([this] { impl_->cut(); });
}

void TcpProxy::refuse(bool refuse) {
  impl_->do_there([this, refuse] { impl_->refusing = refuse; });
}

void TcpProxy::freeze(bool freeze) {
  impl_->do_there([this, freeze] { impl_->set_frozen(freeze); });
}

}  // namespace lambda::support
