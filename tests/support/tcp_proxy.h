// A TCP proxy that does what networks do: cuts, refuses, freezes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace lambda::support {

class TcpProxy {
 public:
  /// Listens on a free port of 127.0.0.1 and passes everything on. Thread-safe.
  TcpProxy(const std::string& host, std::uint16_t port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  std::uint16_t port() const;

  /// Ends all connections. New ones are served.
  void cut();
  /// From now on every connection is ended as soon as it was accepted.
  void refuse(bool refuse);
  /// Nothing passes any more, nothing ends; what was read before arrives when it thaws.
  void freeze(bool freeze);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::support
