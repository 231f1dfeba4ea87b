// What became of the Job that an event asked for.
#pragma once

#include <string_view>

#include "base/error.h"

namespace lambda::pool {

enum class Ending {
  created,      // the API server has accepted the Job
  duplicate,    // it exists already, made from the same event
  refused,      // it can never exist: the same event fails again
  unavailable,  // not now; the sender is to send it again
};

std::string_view to_string(Ending ending);

struct Outcome {
  Ending ending = Ending::unavailable;
  base::Error error;         // why, where it is refused or unavailable
  unsigned tries = 0;        // that were made, where it is refused
  bool others_pass = false;  // where it is not created: the API server takes a Job of nobody's

  bool safe() const { return ending == Ending::created || ending == Ending::duplicate; }
};

}  // namespace lambda::pool
