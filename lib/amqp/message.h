// An AMQP 0-9-1 message as a plain value: what codecs read and write, free of any client library.
#pragma once

#include <functional>
#include <map>
#include <string>

namespace lambda::amqp {

/// Properties that are empty are absent.
struct Message {
  std::string content_type;
  std::string content_encoding;
  std::string message_id;
  std::string correlation_id;
  std::string type;
  /// The header table. Numbers, booleans and timestamps are in their canonical text form (timestamps as RFC
  /// 3339 in UTC); nested tables and arrays, as x-death, are left out.
  std::map<std::string, std::string, std::less<>> headers;
  std::string body;

  bool operator==(const Message&) const = default;
};

}  // namespace lambda::amqp
