// The test bed's RabbitMQ, as a test sees it: what is declared, what lies in its queues, and its faults.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "amqp/publisher.h"
#include "amqp/uri.h"

namespace lambda::support {

/// Reads AMQP_URL and RABBITMQ_MANAGEMENT_URL, which `hack/test component` sets; throws if they are missing.
/// Speaks to the management API. Names are new ones; what was declared is deleted at the end.
class RabbitMq {
 public:
  RabbitMq();
  ~RabbitMq();
  RabbitMq(const RabbitMq&) = delete;
  RabbitMq& operator=(const RabbitMq&) = delete;

  const amqp::Uri& uri() const { return uri_; }

  std::string new_name(const std::string& what);
  /// Durable; `arguments` is a JSON object. Returns the name.
  std::string declare_queue(const std::string& arguments = "{}");
  std::string declare_exchange();
  void declare_queue_named(const std::string& name, const std::string& arguments = "{}");
  void declare_exchange_named(const std::string& name);
  void bind(const std::string& exchange, const std::string& routing_key, const std::string& queue);
  void delete_queue(const std::string& name);

  /// Publishes to a queue by the management API; `properties` is a JSON object.
  void publish(const std::string& queue, const std::string& body, const std::string& properties = "{}");

  /// All messages that are ready in the queue, as the management API shows them; they are taken out of it.
  std::vector<nlohmann::json> take(const std::string& queue);
  /// The number of messages that are ready; they stay (and count as redelivered).
  std::size_t ready(const std::string& queue);

  /// Any request to the management API; throws unless it is answered with success.
  std::string call(const std::string& method, const std::string& path, const std::string& body = "");
  /// "http://host:port"
  std::string management_url() const { return "http://" + host_ + ":" + port_; }

 private:
  std::string get(const std::string& queue, const std::string& ackmode);

  amqp::Uri uri_;
  std::string host_;
  std::string port_;
  std::string authorization_;
  std::vector<std::string> to_delete_;
};

/// While it lives, the broker has its memory alarm and takes nothing from publishers.
class MemoryAlarm {
 public:
  MemoryAlarm();
  ~MemoryAlarm();
  MemoryAlarm(const MemoryAlarm&) = delete;
  MemoryAlarm& operator=(const MemoryAlarm&) = delete;

  void clear();

 private:
  bool raised_ = true;
};

/// While it lives, the broker is dead: killed, not stopped.
class DeadBroker {
 public:
  DeadBroker();
  ~DeadBroker();
  DeadBroker(const DeadBroker&) = delete;
  DeadBroker& operator=(const DeadBroker&) = delete;
};

}  // namespace lambda::support
