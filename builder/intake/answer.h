// What the sender of a request is told. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "http/message.h"
#include "intake/verdict.h"

namespace lambda::intake {

/// 202 for an event that is safe, 200 for one that is in the dead-letter queue, 4xx by the error's kind for
/// one that can never succeed and came directly. All else is 503 with Retry-After: the one answer that every
/// sender of the chain repeats, and so the only one for an event of the queue that is not safe. `timestamp`
/// is RFC 3339.
http::Response answer(const Verdict& verdict, Flow flow, std::string_view timestamp);

/// The answer to a batch: 202 if every event of it is safe, 503 if any is to be sent again, else the 4xx of
/// the first that can never succeed. `results` tells them apart, in the order of the batch.
http::Response answer_batch(const std::vector<Verdict>& verdicts, std::string_view timestamp);

}  // namespace lambda::intake
