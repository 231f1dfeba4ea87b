// One connection's requests out of its bytes (RFC 9112). Private to this folder.
//
// Whatever two readers of one byte stream could take differently is refused: that is how a request is
// smuggled past the proxy before us.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/system/error_code.hpp>

#include "base/error.h"
#include "http/message.h"

namespace lambda::http {

/// Why a request does not reach the handler, and the status that says so.
struct Refused {
  unsigned status;
  base::Error error;
};

Refused refused(unsigned status, base::ErrorKind kind, std::string message);

/// Feed it bytes until it is `whole` or `refused`; after `whole` take the request and begin the next, which
/// may have been sent already. After `refused` the connection is of no more use.
///
/// Not thread-safe.
class RequestReader {
 public:
  enum class Phase { idle, header, body, whole, refused };

  RequestReader(std::size_t max_header_bytes, std::size_t max_body_bytes);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  void feed(std::string_view bytes);
  /// The client sends no more: what had begun is cut off.
  void end();

  Phase phase() const { return phase_; }
  const Refused& refusal() const { return *refused_; }
  const Headers& headers() const;  // all of them once the header is whole, unless it is at fault
  bool expects_continue() const;   // asked for, and no byte of the body has come
  bool keep_alive() const;

  Request take();
  void next();
  void clear();

  /// The memory of what was read and is not taken.
  std::size_t held_bytes() const;

 private:
  class Parser;

  std::size_t parse(std::string_view bytes);
  std::optional<std::size_t> find_header_end(std::string_view bytes);
  bool check_line(std::string_view line);
  void refuse(const boost::system::error_code& problem);
  void refuse(const std::string& malformed);
  void refuse(unsigned status, base::ErrorKind kind, std::string message);

  const std::size_t max_header_bytes_;
  const std::size_t max_body_bytes_;
  std::unique_ptr<Parser> parser_;
  std::string rest_;             // fed, and not parsed
  std::size_t line_begins_ = 0;  // of the header, in rest_
  std::size_t scanned_ = 0;      // no end of line before this in the line that begins there
  Phase phase_ = Phase::idle;
  std::optional<Refused> refused_;
};

}  // namespace lambda::http
