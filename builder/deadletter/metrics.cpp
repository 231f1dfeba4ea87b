#include "deadletter/metrics.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"

namespace lambda::deadletter {
namespace {

using base::ErrorKind;

constexpr std::array kinds{
    ErrorKind::invalid,         ErrorKind::too_large, ErrorKind::unsupported, ErrorKind::not_found,
    ErrorKind::conflict,        ErrorKind::forbidden, ErrorKind::unavailable, ErrorKind::timeout,
    ErrorKind::unauthenticated, ErrorKind::internal,
};

bool is_kind(std::string_view word) {
  return std::ranges::any_of(kinds, [&](ErrorKind kind) { return base::to_string(kind) == word; });
}

}  // namespace

prometheus::Counter& Metrics::sent(build::Stage stage, std::string_view reason) {
  const std::string_view known = is_kind(reason) ? reason : base::to_string(ErrorKind::internal);
  return registry_.counter("dead_letters_total", "Events that the dead-letter queue has confirmed",
                           {{"stage", std::string(build::to_string(stage))}, {"reason", std::string(known)}});
}

prometheus::Counter& Metrics::failed(amqp::Ending ending) {
  return registry_.counter("dead_letter_failures_total",
                           "Dead letters that were not confirmed, by what became of them",
                           {{"reason", std::string(amqp::to_string(ending))}});
}

}  // namespace lambda::deadletter
