// Numbers of other programs that a chain has to get along with, as they are by default.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace lambda::desired::limits {

// knative-lambda-builder: http.requestTimeout and asyncJobCreator.maxQueueSize (builder/config/config.h).
inline constexpr base::milliseconds builder_request_timeout{25'000};
inline constexpr std::int64_t builder_queue_size = 100;

// It restarts within its shutdownTimeout; a subscriber that is away for less than that loses nothing.
inline constexpr base::milliseconds builder_restart{10'000};

// RabbitMQ closes the channel of a consumer that has not acknowledged a delivery for so long.
inline constexpr base::milliseconds consumer_timeout{30 * 60'000};

// Knative's dispatcher takes so many deliveries at once, whatever its parallelism.
inline constexpr std::int64_t dispatcher_prefetch = 100;

// A delivery is also given back when its consumer restarts: fewer than that is used up by roll-outs.
inline constexpr std::int64_t delivery_limit_least = 5;

}  // namespace lambda::desired::limits
