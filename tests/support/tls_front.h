// TLS before a server that speaks none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace lambda::support {

class TlsFront {
 public:
  /// Listens on a free port of 127.0.0.1 with a certificate for "localhost" that signs itself.
  TlsFront(const std::string& host, std::uint16_t port);
  ~TlsFront();
  TlsFront(const TlsFront&) = delete;
  TlsFront& operator=(const TlsFront&) = delete;

  std::uint16_t port() const;
  /// The certificate, as PEM.
  std::string ca_file() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::support
