// From what a JobQueue says about its RabbitMQ to the credentials.
#pragma once

#include <stop_token>
#include <string>
#include <utility>

#include "api/job_queue.h"
#include "base/error.h"
#include "judgement/trouble.h"
#include "rabbitmq/access.h"
#include "reconcile/lookups.h"

namespace lambda::reconcile {

using AccessOrTrouble = tl::expected<rabbitmq::Access, judgement::Trouble>;

/// Thread-safe.
class Connections {
 public:
  /// `ca_pem`: who signs the certificate of a broker, where its Secret or cluster does not say; empty: the
  /// machine's authorities.
  Connections(Lookups& lookups, std::string ca_pem) : lookups_(lookups), ca_pem_(std::move(ca_pem)) {}

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
  const std::string ca_pem_;
};

}  // namespace lambda::reconcile
