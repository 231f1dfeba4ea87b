// A JobQueue that is being deleted: its objects go in the right order, its queues only as it allows.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "api/job_queue.h"
#include "base/error.h"
#include "base/time.h"
#include "judgement/trouble.h"
#include "reconcile/job_queue.h"

namespace lambda::reconcile {

/// Since when nothing feeds the queues of the JobQueues that are being deleted. Thread-safe.
class Unfed {
 public:
  /// By uid. Since now, when it is asked for the first time.
  base::TimePoint since(const std::string& uid);
  void forget(const std::string& uid);

 private:
  std::mutex mutex_;
  std::map<std::string, base::TimePoint> since_;
};

/// The next step, as far as it can be taken now; each can be taken again. The trouble says what is waited for
/// or in the way; without one everything is gone, and the finalizer may go.
///
/// Order: the source (nothing comes in any more), the Trigger once its queue is empty (or at once, with
/// deletionPolicy Delete), bindings, Broker and policies, then queues and exchanges in the broker. With
/// deletionPolicy Retain a queue that holds messages stays, with all that it holds; the broker decides
/// whether it is empty. With the annotation of forced deletion, nothing is waited for.
base::Result<std::optional<judgement::Trouble>> remove_job_queue(const Tools& tools,
                                                                 const api::JobQueue& queue, Unfed& unfed,
                                                                 const std::stop_token& stop);

}  // namespace lambda::reconcile
