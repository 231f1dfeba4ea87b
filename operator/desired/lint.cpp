#include "desired/lint.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "api/reasons.h"
#include "base/text.h"
#include "base/time.h"
#include "desired/delivery_rules.h"
#include "desired/desired.h"
#include "desired/limits.h"

namespace lambda::desired {
namespace {

using api::JobQueueSpec;
using api::Path;
using base::milliseconds;
using Severity = Finding::Severity;
namespace reason = api::finding;

bool has_wildcard(std::string_view key) {
  return key.find_first_of("*#") != std::string_view::npos;
}

bool uses_knative(const JobQueueSpec& spec) {
  return spec.path != Path::amqp;
}

// --- the queue and its dead letters ---

void check_overflow(const JobQueueSpec& spec, Findings& findings) {
  const auto& queue = spec.queue;
  if (queue.overflow == api::Overflow::reject_publish_dlx && queue.type == api::QueueType::quorum) {
    fault(findings, reason::reject_publish_dlx, "spec.queue.overflow",
          "A quorum queue accepts reject-publish-dlx but acts as with drop-head: the oldest message goes.",
          "Write overflow: reject-publish.");
  }
  if (queue.overflow == api::Overflow::drop_head && queue.max_length) {
    warn(
        findings, reason::evicts_oldest, "spec.queue.overflow",
        "When " + std::to_string(*queue.max_length) +
            " messages wait, each new one makes a dead letter of the oldest, though its sender was told that "
            "it is safe.",
        "Write overflow: reject-publish, and publish with confirms; or watch the depth.");
  }
}

void check_strategy(const JobQueueSpec& spec, Findings& findings) {
  if (spec.dead_letter.strategy == api::DeadLetterStrategy::at_most_once) {
    warn(findings, reason::at_most_once, "spec.deadLetter.strategy",
         "A dead letter that can't be stored at that moment (its queue has no leader, or is full) is lost.",
         "Write strategy: at-least-once, with overflow: reject-publish.");
    return;
  }
  if (spec.queue.type != api::QueueType::quorum) {
    fault(findings, reason::at_least_once_classic, "spec.deadLetter.strategy",
          "A classic queue knows no at-least-once.", "Write queue.type: quorum.");
  }
  if (spec.queue.overflow != api::Overflow::reject_publish) {
    fault(findings, reason::at_least_once_drop_head, "spec.deadLetter.strategy",
          "With any overflow but reject-publish RabbitMQ silently falls back to at-most-once.",
          "Write queue.overflow: reject-publish.");
  }
}

void check_bounds(const JobQueueSpec& spec, Findings& findings) {
  const auto& queue = spec.queue;
  if (!queue.max_length) {
    warn(findings, reason::no_length_bound, "spec.queue.maxLength",
         "The queue grows until the broker's disk is full, and then every publisher of the broker stands "
         "still.",
         "Write a maxLength.");
  }
  if (queue.type == api::QueueType::classic) {
    warn(findings, reason::classic_queue, "spec.queue.type",
         "A classic queue is on one node: its messages go with it. It has no delivery limit either.",
         "Write type: quorum.");
    return;
  }
  if (!queue.delivery_limit) {
    warn(findings, reason::no_delivery_limit, "spec.queue.deliveryLimit",
         "A message that makes its consumer fail is delivered for ever.", "Write deliveryLimit: 20.");
  } else if (*queue.delivery_limit < limits::delivery_limit_least) {
    warn(findings, reason::delivery_limit_low, "spec.queue.deliveryLimit",
         "Consumers that restart use the limit up too: " + std::to_string(*queue.delivery_limit) +
             " of them make a dead letter of a good event.",
         "Write deliveryLimit: 20.");
  }
}

// Conservatively, as the schema has it: any pattern counts as one that matches.
bool comes_back(const JobQueueSpec& spec) {
  if (spec.dead_letter.exchange != spec.routing.exchange) return false;
  if (spec.routing.exchange_type == api::ExchangeType::fanout ||
      spec.routing.exchange_type == api::ExchangeType::headers)
    return true;
  return std::any_of(spec.routing.keys.begin(), spec.routing.keys.end(), [&](const std::string& key) {
    return key == spec.dead_letter.routing_key || has_wildcard(key);
  });
}

void check_dead_letter_way(const JobQueueSpec& spec, Findings& findings) {
  const auto& letters = spec.dead_letter;
  if (letters.queue == spec.queue.name) {
    fault(findings, reason::dead_letter_loop, "spec.deadLetter.queue",
          "The queue is its own dead-letter queue: what dies comes back at once, or RabbitMQ drops it as a "
          "cycle.",
          "Name another queue.");
  } else if (letters.queue == unrouted_queue_name(spec)) {
    fault(findings, reason::name_collision, "spec.deadLetter.queue",
          letters.queue + " is the queue of events that match no trigger.", "Name another queue.");
  }
  if (comes_back(spec)) {
    fault(findings, reason::dead_letter_loop, "spec.deadLetter.exchange",
          "Dead letters go to the exchange that feeds the queue, whose keys can bring them back.",
          "Name another exchange, as dlx.");
  } else if (letters.exchange == spec.routing.exchange &&
             letters.exchange_type != spec.routing.exchange_type) {
    fault(findings, reason::exchange_types_differ, "spec.deadLetter.exchange",
          "It is the exchange of spec.routing too, which says another type.",
          "Name another exchange, as dlx.");
  }
  if (letters.exchange_type == api::ExchangeType::topic && has_wildcard(letters.routing_key)) {
    warn(findings, reason::dead_letter_key_wildcard, "spec.deadLetter.routingKey",
         "The key is a pattern for the queue's binding: it takes dead letters of others too.",
         "Write a key without * and #.");
  }
}

void check_dead_letter_queue(const JobQueueSpec& spec, Findings& findings) {
  const auto& letters = spec.dead_letter;
  if (letters.message_ttl) {
    warn(findings, reason::dead_letters_expire, "spec.deadLetter.messageTtl",
         "Dead letters are gone after " + base::format_duration(*letters.message_ttl) +
             ", whether somebody has seen them or not.",
         "Leave messageTtl out.");
  }
  if (letters.max_length) {
    warn(
        findings, reason::dead_letters_bounded, "spec.deadLetter.maxLength",
        "With " + std::to_string(*letters.max_length) +
            " dead letters the queue refuses more: they are lost with strategy at-most-once, and stay in the "
            "queue, and in its way, with at-least-once.",
        "Leave maxLength out, and watch the depth.");
  }
  if (letters.delivery_limit) {
    warn(findings, reason::dead_letters_limited, "spec.deadLetter.deliveryLimit",
         "A dead letter that was looked at and given back " + std::to_string(*letters.delivery_limit) +
             " times is dropped.",
         "Leave deliveryLimit out.");
  }
}

void check_deletion(const JobQueueSpec& spec, Findings& findings) {
  if (spec.deletion_policy == api::DeletionPolicy::drop) {
    warn(findings, reason::deletes_messages, "spec.deletionPolicy",
         "Deleting the JobQueue drops its queues with what they hold.", "Write deletionPolicy: Retain.");
  }
}

// --- routing ---

void check_routing(const JobQueueSpec& spec, Findings& findings) {
  const auto& routing = spec.routing;
  switch (routing.exchange_type) {
    case api::ExchangeType::fanout:
    case api::ExchangeType::headers:
      warn(findings, reason::routing_keys_ignored, "spec.routing.keys",
           "A " + std::string(to_string(routing.exchange_type)) +
               " exchange ignores routing keys: the queue gets everything that is published to it.",
           "Write exchangeType: topic, or direct.");
      break;
    case api::ExchangeType::direct:
      if (std::any_of(routing.keys.begin(), routing.keys.end(), has_wildcard)) {
        fault(findings, reason::wildcard_is_literal, "spec.routing.keys",
              "For a direct exchange * and # are letters like others: such a key matches nothing that is "
              "published.",
              "Write exchangeType: topic, or keys without wildcards.");
      }
      break;
    case api::ExchangeType::topic:
      if (std::count(routing.keys.begin(), routing.keys.end(), "#") > 0) {
        warn(findings, reason::routes_everything, "spec.routing.keys",
             "# brings everything that is published to the exchange into the queue; what the builder does "
             "not know "
             "becomes a dead letter.",
             "Name the keys of the events that are meant.");
      }
  }
}

// --- Knative ---

bool is_broker_of(const api::Destination& destination, const api::TriggerSettings& trigger) {
  return destination.kind == "Broker" && destination.name == trigger.broker &&
         destination.namespace_name == trigger.broker_namespace;
}

void check_destinations(const JobQueueSpec& spec, Findings& findings) {
  const auto& trigger = spec.trigger;
  if (is_broker_of(trigger.subscriber, trigger)) {
    fault(findings, reason::subscriber_is_broker, "spec.trigger.subscriber",
          "The trigger's own broker is its subscriber: events go round for ever.",
          "Name the builder's Service.");
  }
  if (!trigger.dead_letter_sink) return;
  if (*trigger.dead_letter_sink == trigger.subscriber) {
    fault(findings, reason::sink_is_subscriber, "spec.trigger.delivery.deadLetterSink",
          "What the subscriber did not take is sent to it once more, and then dropped.",
          "Leave deadLetterSink out: the dead-letter queue has it anyway.");
  } else if (is_broker_of(*trigger.dead_letter_sink, trigger)) {
    fault(findings, reason::sink_is_broker, "spec.trigger.delivery.deadLetterSink",
          "The trigger's own broker gets its dead letters, and hands them to the trigger again, for ever.",
          "Leave deadLetterSink out: the dead-letter queue has it anyway.");
  }
}

void check_ttl_and_retries(const JobQueueSpec& spec, Findings& findings) {
  const milliseconds longest = longest_delivery(spec.trigger.delivery);
  if (!spec.queue.message_ttl || *spec.queue.message_ttl > longest) return;
  warn(findings, reason::ttl_short, "spec.queue.messageTtl",
       "One event may be tried for " + base::format_duration(longest) + "; those behind it expire meanwhile.",
       "Write a longer messageTtl, or fewer retries.");
}

void check_trigger(const JobQueueSpec& spec, Findings& findings) {
  warn(findings, reason::trigger_acks_first, "spec.path",
       "Knative's dispatcher acknowledges what it gives up on before the dead-letter exchange has confirmed "
       "it: "
       "if it dies in between, the event is lost.",
       "Write path: amqp, where the builder consumes the queue itself.");
  if (spec.queue.max_length) {
    warn(findings, reason::trigger_queue_evicts, "spec.queue.maxLength",
         "The backlog stands in the trigger's own queue, which can only drop its oldest (to the dead "
         "letters) when "
         "it is full, whatever overflow says.",
         "Watch its depth (status.triggerQueue), or write path: amqp.");
  }
  const std::string field = "spec.trigger.delivery";
  check_retries(spec.trigger.delivery, field, findings);
  check_timeout(spec.trigger.delivery, field, findings);
  check_consumer_timeout(spec.trigger.delivery, limits::dispatcher_prefetch, spec.trigger.parallelism, field,
                         findings);
  check_retries(spec.source.delivery, "spec.source.delivery", findings);
  check_parallelism(spec.trigger.parallelism, "spec.trigger.parallelism", findings);
  check_filter(spec.trigger.filter, "spec.trigger.filter", findings);
}

// The adapter has no timeout: the builder's is what ends an attempt. It takes no more than it works on.
void check_source(const JobQueueSpec& spec, Findings& findings) {
  api::Delivery delivery = spec.trigger.delivery;
  delivery.timeout = limits::builder_request_timeout;
  check_retries(spec.trigger.delivery, "spec.trigger.delivery", findings);
  check_consumer_timeout(delivery, 1, 1, "spec.trigger.delivery", findings);
  check_parallelism(spec.source.parallelism, "spec.source.parallelism", findings);
}

void check_knative(const JobQueueSpec& spec, Findings& findings) {
  if (!uses_knative(spec)) return;
  if (!spec.source.enabled) {
    fault(findings, reason::source_disabled, "spec.source.enabled",
          "Nobody takes events out of the queue: they wait until they expire.",
          "Write enabled: true, or path: amqp.");
  }
  if (spec.path == Path::trigger) {
    check_trigger(spec, findings);
  } else {
    check_source(spec, findings);
  }
  check_ttl_and_retries(spec, findings);
  check_destinations(spec, findings);
}

}  // namespace

std::string_view to_string(Severity severity) {
  return severity == Severity::error ? "error" : "warning";
}

std::vector<Finding> lint(const api::JobQueue& queue) {
  static constexpr std::array checks{check_overflow,        check_strategy,          check_bounds,
                                     check_dead_letter_way, check_dead_letter_queue, check_routing,
                                     check_knative,         check_deletion};
  Findings findings;
  for (const auto check : checks) check(queue.spec, findings);
  Findings sorted;
  for (const Severity severity : {Severity::error, Severity::warning}) {
    std::copy_if(findings.begin(), findings.end(), std::back_inserter(sorted),
                 [&](const Finding& finding) { return finding.severity == severity; });
  }
  return sorted;
}

api::Condition delivery_condition(const std::vector<Finding>& findings, std::int64_t generation) {
  api::Condition condition{std::string(api::condition::delivery_guaranteed),
                           api::ConditionStatus::yes,
                           std::string(reason::guaranteed),
                           "Nothing is lost by what is configured here.",
                           "",
                           generation};
  if (findings.empty()) return condition;
  condition.status = api::ConditionStatus::no;
  condition.reason = findings.front().reason;
  condition.message.clear();
  for (const Finding& finding : findings) {
    condition.message += (condition.message.empty() ? "" : " ") + finding.reason + " (" + finding.field +
                         "): " + finding.message + " " + finding.remedy;
  }
  return condition;
}

}  // namespace lambda::desired
