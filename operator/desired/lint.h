// What a chain of delivery would lose or do otherwise than it says. Pure; the command `lint` and the
// condition DeliveryGuaranteed both ask it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/job_queue.h"

namespace lambda::desired {

struct Finding {
  enum class Severity {
    warning,  // legal, and worth knowing: messages may be lost or repeated
    error,    // does not do what it says; most of them the schema refuses
  };
  Severity severity = Severity::warning;
  std::string reason;   // of api::finding, CamelCase
  std::string field;    // "spec.queue.overflow"
  std::string message;  // what happens
  std::string remedy;   // what to write instead

  bool operator==(const Finding&) const = default;
};

std::string_view to_string(Finding::Severity severity);

/// Errors first, then in the order of the object's fields.
std::vector<Finding> lint(const api::JobQueue& queue);

/// The longest that one event can take until it is given up: every attempt by its timeout, and the delays
/// between them. Saturates at a year.
base::milliseconds longest_delivery(const api::Delivery& delivery);

/// The delays alone: how long a subscriber may be away.
base::milliseconds total_backoff(const api::Delivery& delivery);

/// The condition DeliveryGuaranteed: True without findings, else False with the first one's reason and all of
/// them in the message.
api::Condition delivery_condition(const std::vector<Finding>& findings, std::int64_t generation);

}  // namespace lambda::desired
