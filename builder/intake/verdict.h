// What became of an event, whatever it came by.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::intake {

/// How an event came. It decides what happens to one that can never succeed: a direct sender reads its 4xx,
/// but a Knative dispatcher takes a 4xx for a success and drops the event.
enum class Flow { direct, queue };

std::string_view to_string(Flow flow);

enum class Ending {
  created,        // the API server has accepted the Job
  duplicate,      // the Job exists already, made from the same event
  queued,         // will be created; nobody but us has the event (acknowledge: immediate)
  dead_lettered,  // can never succeed; the dead-letter queue has it
  refused,        // can never succeed; the sender is to be told
  malformed,      // the same, and it is no event that we could read
  unavailable,    // not now; the sender is to send it again
};

/// The word for answers, logs and metrics.
std::string_view to_string(Ending ending);

struct Verdict {
  Ending ending = Ending::unavailable;
  base::Error error;  // why, for all but the first three
  std::string job_name;
  std::string namespace_name;
  std::string correlation_id;
  std::string third_party_id;
  bool others_pass = false;  // where it is unavailable: only this event, or some like it, can't go on

  /// Whether the sender may forget the event.
  bool safe() const {
    return ending == Ending::created || ending == Ending::duplicate || ending == Ending::queued ||
           ending == Ending::dead_lettered;
  }
};

}  // namespace lambda::intake
