// What a connection to RabbitMQ needs to know.
#pragma once

#include <chrono>
#include <string>

#include "amqp/uri.h"
#include "base/backoff.h"
#include "base/time.h"

namespace lambda::amqp {

struct ConnectionSettings {
  UriSource uri;
  std::string ca_file;  // for amqps, PEM; the URI's cacertfile goes before it; both empty: the system's
  std::string name;     // how the broker's list of connections shows us
  std::chrono::seconds heartbeat{20};  // the broker may ask for less; two missed ones end the connection
  base::milliseconds connect_timeout{5000};
  base::milliseconds stall_limit{10000};  // the longest that the broker may take nothing off our hands
  base::Backoff reconnect{base::milliseconds(200), base::milliseconds(10000)};
};

}  // namespace lambda::amqp
