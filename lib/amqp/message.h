// An AMQP 0-9-1 message as a plain value: what codecs read and write, free of any client library.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace lambda::amqp {

/// Why a queue gave a message up, as the broker wrote it down in x-death.
struct Death {
  std::string reason;  // expired, maxlen, rejected, delivery_limit
  std::string queue;   // which one
  std::string time;    // RFC 3339, whole seconds; empty: not known

  bool operator==(const Death&) const = default;
};

/// Properties that are empty are absent.
struct Message {
  std::string content_type;
  std::string content_encoding;
  std::string message_id;
  std::string correlation_id;
  std::string type;
  /// The header table. Numbers, booleans and timestamps are in their canonical text form (timestamps as RFC
  /// 3339 in UTC); nested tables and arrays are left out.
  std::map<std::string, std::string, std::less<>> headers;
  /// The newest of x-death. It is read only: what is published has none.
  std::optional<Death> death;
  std::string body;

  bool operator==(const Message&) const = default;
};

}  // namespace lambda::amqp
