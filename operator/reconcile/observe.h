// One look at a JobQueue: what it wants is applied, what is in the broker is compared and repaired.
#pragma once

#include <stop_token>

#include "api/job_queue.h"
#include "base/error.h"
#include "desired/desired.h"
#include "judgement/judgement.h"
#include "rabbitmq/snapshots.h"
#include "reconcile/job_queue.h"

namespace lambda::reconcile {

struct Look {
  judgement::Observation observation;
  desired::Seen seen;
  rabbitmq::SharedSnapshot snapshot;  // null: the broker was not asked, or did not answer
  bool changed = false;               // something was written
};

/// `queue` is valid, has the finalizer, and nobody else claims its queue.
base::Result<Look> look_at(const Tools& tools, const api::JobQueue& queue, const std::stop_token& stop);

/// What only Knative's objects tell: uids. Adds to `observation` what is wrong with a Broker that is not
/// ours.
desired::Seen see_knative(const Tools& tools, const api::JobQueue& queue, judgement::Observation& observation,
                          const std::stop_token& stop);

/// The Trouble that an error of the broker's stands for.
judgement::Trouble broker_trouble(const base::Error& error, const std::string& vhost);

}  // namespace lambda::reconcile
