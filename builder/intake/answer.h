// What the sender of an event is told. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/message.h"
#include "job/job.h"
#include "pool/outcome.h"

namespace lambda::intake {

/// How an event came. It decides how one that can never succeed is answered: a direct sender reads its 4xx,
/// but a Knative dispatcher takes a 4xx for a success and drops the event.
enum class Flow { direct, queue };

std::string_view to_string(Flow flow);

/// 202: the event is safe. `timestamp` is RFC 3339.
http::Response queued(const job::Job& job, std::string_view correlation_id, bool duplicate,
                      std::string_view timestamp);

/// The event can never succeed. Directly sent: 4xx by the error's kind. From the queue: 503, which every
/// sender of the chain retries and then hands to its own dead-letter queue, so that the event is not lost.
http::Response refused(Flow flow, const base::Error& error, std::string_view correlation_id = {});

/// 503 with Retry-After.
http::Response unavailable(const base::Error& error, std::string_view correlation_id);

}  // namespace lambda::intake
