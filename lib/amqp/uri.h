// Where a broker is and who we are there: amqp:// and amqps:// as RabbitMQ's URI specification has them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::amqp {

struct Uri {
  bool tls = false;
  std::string host = "localhost";  // an IPv6 address without its brackets
  std::uint16_t port = 5672;       // 5671 with TLS, if the text names none
  std::string username = "guest";
  std::string password = "guest";
  std::string vhost = "/";
  std::optional<std::uint16_t> heartbeat_seconds;  // ?heartbeat=…; 0 turns heartbeats off
  std::string ca_file;                             // ?cacertfile=…

  /// "amqp://host:port/vhost": for logs and messages, without user and password.
  std::string shown() const;

  bool operator==(const Uri&) const = default;
};

/// Scheme, user, password, host and vhost are percent-decoded where they may be. A path of "/" alone means
/// the vhost "/", as most clients take it. Of the query, `heartbeat` and `cacertfile` are known; all else is
/// refused, because it would be ignored otherwise. Errors are `invalid` and never show the user's part.
base::Result<Uri> parse_uri(std::string_view text);

/// Asked for before each connection, on the thread that connects; so a password can change.
using UriSource = std::function<base::Result<Uri>()>;

UriSource fixed_uri(Uri uri);

/// The file's text, read anew each time; white space around it does not count.
UriSource uri_from_file(std::string path);

/// The text itself; the file's where the text is empty. A text that is no URI is the source's error, not this
/// one's.
UriSource uri_from(std::string text, std::string path);

}  // namespace lambda::amqp
