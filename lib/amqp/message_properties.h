// A Message's properties as librabbitmq has them, both ways. For this folder's .cpp files only.
#pragma once

#include <memory>

#include "amqp/message.h"
#include "base/error.h"

struct amqp_basic_properties_t_;
struct amqp_message_t_;

namespace lambda::amqp {

/// Borrows the message's texts: it must outlive this.
class OutgoingProperties {
 public:
  explicit OutgoingProperties(const Message& message);
  ~OutgoingProperties();
  OutgoingProperties(const OutgoingProperties&) = delete;
  OutgoingProperties& operator=(const OutgoingProperties&) = delete;

  /// Persistent.
  const amqp_basic_properties_t_* get() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// `invalid` for what AMQP has no room for: a property or header name over 255 bytes, and more than 64 KiB of
/// properties and headers in all.
base::Result<void> check_encodable(const Message& message);

Message to_message(const amqp_message_t_& message);

}  // namespace lambda::amqp
