// RabbitMQ's management API (HTTP): the truth about a broker, and the way to declare without AMQP.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "base/write_guard.h"
#include "rabbitmq/access.h"
#include "topology/topology.h"

namespace lambda::rabbitmq {

/// Thread-safe, as long as the guard is; keeps its connections. What changes something asks the guard first,
/// whose error it returns. Every request is answered within the timeout, or until `stop`.
///
/// The kinds of errors, with `field` where it says whose fault it is:
/// - unauthenticated (`username`): the broker does not know this user or password
/// - forbidden: it knows the user, who may not do this; policies need the tag "policymaker", operator
/// policies
///   "administrator"
/// - not_found (`vhost`): there is no such vhost; (`uri`): there is no management API at this URL
/// - not_found without a field: a binding's exchange or queue
/// - invalid: the broker refuses it as it is; an inequivalent argument, a name or value that can't be
/// - conflict: a queue that is not empty, an exchange in use
/// - unavailable, timeout: the broker or its management plugin is away
/// Messages hold the broker's own reason and never the password.
class Management {
 public:
  explicit Management(const Access& access, base::milliseconds timeout = base::milliseconds(10'000),
                      base::WriteGuard guard = {});
  ~Management();
  Management(const Management&) = delete;
  Management& operator=(const Management&) = delete;

  /// One list a kind, with only the fields that are needed; queues page by page.
  base::Result<topology::Snapshot> observe(const std::string& vhost, const std::stop_token& stop = {});

  // Each is fine if it is there already, as it should be.
  base::Result<void> declare(const std::string& vhost, const topology::Exchange& exchange,
                             const std::stop_token& stop = {});
  base::Result<void> declare(const std::string& vhost, const topology::Queue& queue,
                             const std::stop_token& stop = {});
  base::Result<void> declare(const std::string& vhost, const topology::Binding& binding,
                             const std::stop_token& stop = {});
  base::Result<void> put_policy(const std::string& vhost, const topology::Policy& policy,
                                const std::stop_token& stop = {});
  base::Result<void> put_operator_policy(const std::string& vhost, const topology::Policy& policy,
                                         const std::stop_token& stop = {});

  // Each is fine if it is not there.

  base::Result<void> delete_exchange(const std::string& vhost, const std::string& name, bool only_unused,
                                     const std::stop_token& stop = {});

  /// If `only_empty`: `conflict` for a queue that holds messages. A classic queue's broker decides that. Of a
  /// quorum queue it does not (RabbitMQ 3.10: "not supported"): then a queue goes that has no messages and no
  /// consumers by its figures and gives none when asked for one. So what is published to it in the instant
  /// between the asking and the deleting is lost; delete its bindings first, and its consumers.
  base::Result<void> delete_queue(const std::string& vhost, const std::string& name, bool only_empty,
                                  const std::stop_token& stop = {});
  base::Result<void> delete_binding(const std::string& vhost, const topology::Binding& binding,
                                    const std::stop_token& stop = {});
  base::Result<void> delete_policy(const std::string& vhost, const std::string& name,
                                   const std::stop_token& stop = {});
  base::Result<void> delete_operator_policy(const std::string& vhost, const std::string& name,
                                            const std::stop_token& stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::rabbitmq
