// From what a JobQueue says about its RabbitMQ to the credentials.
#pragma once

#include <stop_token>

#include "api/job_queue.h"
#include "base/error.h"
#include "rabbitmq/access.h"
#include "reconcile/lookups.h"
#include "reconcile/trouble.h"

namespace lambda::reconcile {

using AccessOrTrouble = tl::expected<rabbitmq::Access, Trouble>;

/// Thread-safe.
class Connections {
 public:
  explicit Connections(Lookups& lookups) : lookups_(lookups) {}

  /// `job_queue_namespace`: who asks; a Secret or cluster of another namespace has to allow it.
  AccessOrTrouble find(const api::Rabbitmq& rabbitmq, const std::string& job_queue_namespace,
                       const std::stop_token& stop);

  /// The credentials were refused: they may have been changed.
  void forget(const api::Rabbitmq& rabbitmq);

 private:
  AccessOrTrouble from_secret(const api::Rabbitmq& rabbitmq, const std::string& asker,
                              const std::stop_token& stop);
  AccessOrTrouble from_cluster(const api::Rabbitmq& rabbitmq, const std::string& asker,
                               const std::stop_token& stop);

  Lookups& lookups_;
};

}  // namespace lambda::reconcile
