// DeadLetterRedrive: runs each once, to its end, through restarts.
#pragma once

#include <memory>
#include <stop_token>

#include "amqp/settings.h"
#include "api/object.h"
#include "base/error.h"
#include "base/write_guard.h"
#include "reconcile/job_queue.h"
#include "runtime/controller.h"

namespace lambda::reconcile {

/// Thread-safe. Unlike other reconciles this one blocks for as long as the redrive runs: the threads of its
/// controller are how many run at a time. Two of the same dead-letter queue run one after the other.
///
/// A redrive that is deleted stops within seconds. What stands in status.checkpoint is where the next leader
/// goes on.
class Redrives {
 public:
  /// `ca_file`: of brokers that are reached by TLS; empty: the system's. `may_write` is asked before each
  /// letter.
  Redrives(Tools tools, std::string ca_file, base::WriteGuard may_write);
  ~Redrives();
  Redrives(const Redrives&) = delete;
  Redrives& operator=(const Redrives&) = delete;

  base::Result<runtime::Action> reconcile(const api::ObjectKey& key, const std::stop_token& stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::reconcile
