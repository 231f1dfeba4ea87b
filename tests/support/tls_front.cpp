#include "support/tls_front.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <unistd.h>

namespace lambda::support {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Pair {
  Pair(tcp::socket a_client, tcp::socket a_server, asio::ssl::context& context)
      : client(std::move(a_client), context), server(std::move(a_server)) {}
  void close() {
    error_code ignored;
    client.lowest_layer().close(ignored);
    server.close(ignored);
  }
  asio::ssl::stream<tcp::socket> client;
  tcp::socket server;
};

}  // namespace

struct TlsFront::Impl {
  Impl(const std::string& host, std::uint16_t port)
      : folder(std::filesystem::temp_directory_path() / ("tls-front-" + std::to_string(::getpid()))),
        target(*tcp::resolver(io).resolve(host, std::to_string(port)).begin()),
        acceptor(io, {asio::ip::address_v4::loopback(), 0}) {
    std::filesystem::create_directories(folder);
    make_certificate();
    context.use_certificate_chain_file(folder / "cert.pem");
    context.use_private_key_file(folder / "key.pem", asio::ssl::context::pem);
    accept();
    thread = std::thread([this] { io.run(); });
  }

  ~Impl() {
    io.stop();
    thread.join();
    std::filesystem::remove_all(folder);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void make_certificate() const {
    const std::string command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext "
        "subjectAltName=DNS:localhost -keyout " +
        (folder / "key.pem").string() + " -out " + (folder / "cert.pem").string() + " 2>/dev/null";
    // NOLINTNEXTLINE(bugprone-command-processor,cert-env33-c): fixed words of this file
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket client) {
      if (!error) serve(std::move(client));
      accept();
    });
  }

  void serve(tcp::socket client) {
    tcp::socket server(io);
    error_code failed;
    server.connect(target, failed);
    if (failed) return;
    const auto pair = std::make_shared<Pair>(std::move(client), std::move(server), context);
    pair->client.async_handshake(asio::ssl::stream_base::server, [this, pair](error_code error) {
      if (error) return pair->close();
      pump(pair, pair->client, pair->server);
      pump(pair, pair->server, pair->client);
    });
  }

  template <class From, class To>
  void pump(const std::shared_ptr<Pair>& pair, From& from, To& to) {
    const auto buffer = std::make_shared<std::array<char, 65536>>();
    from.async_read_some(
        asio::buffer(*buffer), [this, pair, &from, &to, buffer](error_code error, std::size_t size) {
          if (error) return pair->close();
          asio::async_write(to, asio::buffer(*buffer, size),
                            [this, pair, &from, &to, buffer](error_code failed, std::size_t) {
                              if (failed) return pair->close();
                              pump(pair, from, to);
                            });
        });
  }

  std::filesystem::path folder;
  asio::io_context io{1};
  asio::ssl::context context{asio::ssl::context::tls_server};
  tcp::endpoint target;
  tcp::acceptor acceptor;
  std::thread thread;
};

TlsFront::TlsFront(const std::string& host, std::uint16_t port) : impl_(std::make_unique<Impl>(host, port)) {}
TlsFront::~TlsFront() = default;

std::uint16_t TlsFront::port() const {
  return impl_->acceptor.local_endpoint().port();
}

std::string TlsFront::ca_file() const {
  return impl_->folder / "cert.pem";
}

}  // namespace lambda::support
