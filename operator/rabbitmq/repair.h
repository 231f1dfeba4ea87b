// Makes what is in a broker what it should be, as far as that loses nothing.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "rabbitmq/management.h"
#include "topology/topology.h"

namespace lambda::rabbitmq {

struct Refusal {
  topology::Drift drift;
  base::Error error;  // the broker's reason
};

struct Repair {
  std::vector<topology::Drift> repaired;
  std::vector<Refusal> refused;        // the broker does not take it; the others were tried all the same
  std::vector<topology::Drift> left;   // what needs a person: nothing was done about it
  std::optional<base::Error> stopped;  // the broker is away or refuses us: the rest was not tried
};

/// Declares what is missing and sets what is changed, in the order of the drifts; deletes nothing. `wanted`
/// is what the drifts were made of.
Repair repair(Management& management, const std::string& vhost, const topology::Topology& wanted,
              const std::vector<topology::Drift>& drifts, const std::stop_token& stop = {});

/// All of it, in the order of compare(); the first error ends it. Idempotent.
base::Result<void> declare_all(Management& management, const std::string& vhost,
                               const topology::Topology& wanted, const std::stop_token& stop = {});

}  // namespace lambda::rabbitmq
