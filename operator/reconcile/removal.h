// A JobQueue that is being deleted: its objects go in the right order, its queues only as it allows.
#pragma once

#include <optional>
#include <stop_token>

#include "api/job_queue.h"
#include "base/error.h"
#include "reconcile/job_queue.h"
#include "reconcile/trouble.h"

namespace lambda::reconcile {

/// The next step, as far as it can be taken now; each can be taken again. The trouble says what is waited for
/// or in the way; without one everything is gone, and the finalizer may go.
///
/// Order: the source (nothing comes in any more), the Trigger once its queue is empty (or at once, with
/// deletionPolicy Delete), bindings, Broker and policies, then queues and exchanges in the broker. With
/// deletionPolicy Retain a queue that holds messages stays, with all that it holds; the broker decides
/// whether it is empty. With the annotation of forced deletion, nothing is waited for.
base::Result<std::optional<Trouble>> remove_job_queue(const Tools& tools, const api::JobQueue& queue,
                                                      const std::stop_token& stop);

}  // namespace lambda::reconcile
