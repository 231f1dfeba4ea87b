// What is in a RabbitMQ broker besides messages, and how what is there differs from what should be. Pure: the
// folder rabbitmq reads and writes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace lambda::topology {

/// Arguments and definitions as the management API has them: numbers are numbers.
using Arguments = std::map<std::string, nlohmann::json>;

struct Exchange {
  std::string name;
  std::string type;  // direct, topic, fanout, headers
  bool durable = true;
  bool auto_delete = false;
  Arguments arguments = {};

  bool operator==(const Exchange&) const = default;
};

struct Queue {
  std::string name;
  std::string type = "quorum";  // quorum, classic, stream: the argument x-queue-type, not in `arguments`
  bool durable = true;
  bool auto_delete = false;
  Arguments arguments = {};

  bool operator==(const Queue&) const = default;
};

/// From an exchange to a queue.
struct Binding {
  std::string exchange;
  std::string queue;
  std::string routing_key;
  Arguments arguments = {};

  bool operator==(const Binding&) const = default;
};

struct Policy {
  std::string name;
  std::string pattern;              // regular expression on names
  std::string apply_to = "queues";  // queues, exchanges, all
  std::int64_t priority = 0;
  Arguments definition = {};

  bool operator==(const Policy&) const = default;
};

/// What should be in one vhost because of one JobQueue. Names are unique within each list.
struct Topology {
  std::vector<Exchange> exchanges;
  std::vector<Queue> queues;
  std::vector<Binding> bindings;
  std::vector<Policy> policies;
  std::vector<Policy> operator_policies;  // merge with a user policy; apply_to queues

  bool operator==(const Topology&) const = default;
};

/// A queue's figures as the broker last counted them: up to 5 s old, absent until it has done so.
struct QueueFigures {
  std::optional<std::int64_t> messages_ready;
  std::optional<std::int64_t> messages_unacknowledged;
  std::optional<std::int64_t> consumers;
  std::optional<double> publish_rate;  // messages a second
  std::optional<double> deliver_rate;
  std::optional<double> ack_rate;

  std::int64_t messages() const { return messages_ready.value_or(0) + messages_unacknowledged.value_or(0); }
};

struct ObservedExchange {
  Exchange exchange;
  std::string policy = {};  // the user policy that applies; empty: none
};

/// `queue` and `policy` are what the broker knows now. The rest comes with its figures: up to 5 s old, and
/// unknown until it has counted for the first time.
struct ObservedQueue {
  Queue queue;
  std::string policy = {};  // the user policy that applies; empty: none
  QueueFigures figures = {};
  std::optional<std::string> operator_policy = {};  // the one that applies; empty: none
  std::optional<Arguments> effective_policy = {};   // both policies together
  std::string state = {};                           // "running", "down", "minority"; empty: unknown
};

/// What is in one vhost, read by one list a kind.
struct Snapshot {
  std::string broker_version;  // "3.10.8"
  std::map<std::string, ObservedExchange> exchanges;
  std::map<std::string, ObservedQueue> queues;
  std::vector<Binding> bindings;  // without those that every queue has by its own name
  std::map<std::string, Policy> policies;
  std::map<std::string, Policy> operator_policies;
};

enum class Kind { exchange, queue, binding, policy, operator_policy };

/// "exchange", "queue", "binding", "policy", "operator policy".
std::string_view to_string(Kind kind);

/// One thing that is not as it should be.
struct Drift {
  enum class What {
    missing,   // it is not there
    changed,   // it is another one, and can be set anew: policies
    other,     // it is another one, and only deleting it would help: type, durability, arguments
    shadowed,  // ours is there, but another policy applies to what it is for, or none does
    foreign,   // a policy that is not ours sets on a queue or exchange of ours what should not be
  };
  Kind kind = Kind::queue;
  What what = What::missing;
  std::string name;    // of the thing; of a binding, name_of(); if foreign, that policy's
  std::string detail;  // for a person: what is there, what should be

  bool operator==(const Drift&) const = default;
};

/// "missing", "changed", "other", "shadowed", "foreign".
std::string_view to_string(Drift::What what);

/// Whether setting what should be helps: missing and changed. The others need a person.
bool can_be_repaired(const Drift& drift);

/// The whole of it in one sentence: `queue "kaniko-jobs" is missing`.
std::string describe(const Drift& drift);

/// `exchange -> queue [routing key]`, and the arguments behind it where there are any: unique.
std::string name_of(const Binding& binding);

/// The pattern of a policy that is meant for these names and no others: "^(?:a|b\.c)$".
std::string pattern_of(const std::vector<std::string>& names);

/// In the order in which a repair has to be made: exchanges, queues, policies, bindings.
///
/// - What a policy could set as well (TTL, lengths, overflow, dead-lettering, limits; an exchange's
/// alternate)
///   is compared in its effect, once our policies are in place: a queue that was declared with the wanted
///   values as arguments is as good, and adopted() names them. How argument and policy make one value is the
///   broker's rule: the smaller limit; the argument's dead-lettering; a quorum queue's overflow and expiry by
///   its policy.
/// - Arguments about where and how a queue is stored (leader, group size, lazy mode) matter only if wanted.
/// - Which policy applies is what the broker says. Where its answer is unknown, nothing is reported.
/// - Queues and exchanges which others declare (Knative) are not wanted here, but a policy or binding of ours
///   may name them.
std::vector<Drift> compare(const Topology& wanted, const Snapshot& found);

/// Of the queues and exchanges that should be: those that exist with arguments which we would not have
/// declared, but which do no harm. To declare such a one again, these arguments must be named.
std::map<std::pair<Kind, std::string>, Arguments> adopted(const Topology& wanted, const Snapshot& found);

/// The same for a person to read: "queue kaniko-jobs: x-max-length=10000, x-message-ttl=86400000".
std::vector<std::string> adopted_arguments(const Topology& wanted, const Snapshot& found);

}  // namespace lambda::topology
