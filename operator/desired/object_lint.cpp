#include "desired/object_lint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "api/iso_duration.h"
#include "api/reasons.h"
#include "base/json.h"
#include "base/text.h"
#include "desired/delivery_rules.h"
#include "desired/limits.h"

namespace lambda::desired {
namespace {

using base::at;
using nlohmann::json;
namespace reason = api::finding;

constexpr std::string_view parallelism_annotation = "rabbitmq.eventing.knative.dev/parallelism";

std::string text(const json& object, std::string_view name) {
  const json& value = at(object, name);
  return value.is_string() ? value.get<std::string>() : "";
}

std::int64_t integer(const json& value, std::int64_t fallback) {
  return value.is_number_integer() ? value.get<std::int64_t>() : fallback;
}

bool is(const json& object, std::string_view group, std::string_view kind) {
  return text(object, "kind") == kind && text(object, "apiVersion").starts_with(std::string(group) + "/");
}

bool is_rabbitmq(const json& object, std::string_view kind) {
  return is(object, "rabbitmq.com", kind);
}

// As Knative's RabbitMQ controllers fill in what is left out.
api::Delivery read_delivery(const json& found) {
  api::Delivery delivery{5, api::BackoffPolicy::exponential, base::milliseconds(50), base::milliseconds(0)};
  delivery.retry = integer(at(found, "retry"), delivery.retry);
  if (text(found, "backoffPolicy") == "linear") delivery.backoff_policy = api::BackoffPolicy::linear;
  delivery.backoff_delay =
      api::parse_iso_duration(text(found, "backoffDelay")).value_or(delivery.backoff_delay);
  delivery.timeout = api::parse_iso_duration(text(found, "timeout")).value_or(delivery.timeout);
  return delivery;
}

std::int64_t parallelism_of(const json& trigger) {
  const std::string found = text(at(at(trigger, "metadata"), "annotations"), parallelism_annotation);
  return std::max(1LL, base::parse_integer(found).value_or(1));
}

void check_trigger_delivery(const json& trigger, Findings& findings) {
  const json& found = at(at(trigger, "spec"), "delivery");
  if (!found.is_object()) {
    fault(
        findings, reason::no_retries, "spec.delivery",
        "Without delivery, here or in the Broker, one refused connection is enough to give an event up, and "
        "what is given up is lost.",
        "Write delivery with retry, backoffDelay, timeout and deadLetterSink.");
    return;
  }
  if (!at(found, "deadLetterSink").is_object()) {
    fault(findings, reason::given_up_is_lost, "spec.delivery.deadLetterSink",
          "With delivery but without a dead-letter sink Knative makes no dead-letter exchange: what the "
          "dispatcher gives up on, it acknowledges and drops.",
          "Write deadLetterSink, and bind a queue to the exchange that Knative makes; or let a JobQueue do "
          "it.");
  }
  const api::Delivery delivery = read_delivery(found);
  check_retries(delivery, "spec.delivery", findings);
  check_timeout(delivery, "spec.delivery", findings);
  check_consumer_timeout(delivery, limits::dispatcher_prefetch, parallelism_of(trigger), "spec.delivery",
                         findings);
}

void check_trigger(const json& trigger, Findings& findings) {
  const json& spec = at(trigger, "spec");
  if (const json& filters = at(spec, "filters"); filters.is_array() && !filters.empty()) {
    fault(findings, reason::filters_ignored, "spec.filters",
          "A broker of class RabbitMQBroker ignores filters without a word: every event matches.",
          "Write filter.attributes.");
  }
  check_trigger_delivery(trigger, findings);
  check_parallelism(parallelism_of(trigger), "metadata.annotations." + std::string(parallelism_annotation),
                    findings);
}

void check_source(const json& source, Findings& findings) {
  const json& spec = at(source, "spec");
  const json& resources = at(spec, "rabbitmqResourcesConfig");
  if (const json& predeclared = at(resources, "predeclared"); !predeclared.is_boolean() || !predeclared) {
    warn(
        findings, reason::source_declares_queue, "spec.rabbitmqResourcesConfig.predeclared",
        "The source declares the queue itself: without dead letters, without bounds, and on deletion it goes "
        "with what it holds.",
        "Write predeclared: true, and declare the queue with a JobQueue or a Queue and a Policy.");
  }
  api::Delivery delivery = read_delivery(at(spec, "delivery"));
  if (!at(spec, "delivery").is_object()) delivery.retry = 0;
  delivery.timeout = limits::builder_request_timeout;
  check_retries(delivery, "spec.delivery", findings);
  check_consumer_timeout(delivery, 1, 1, "spec.delivery", findings);
  check_parallelism(integer(at(resources, "parallelism"), 1), "spec.rabbitmqResourcesConfig.parallelism",
                    findings);
}

// The settings of a queue, by arguments ("x-overflow") or by a policy ("overflow").
class Settings {
 public:
  Settings(const json& values, std::string prefix, std::string path)
      : values_(values), prefix_(std::move(prefix)), path_(std::move(path)) {}

  bool has(std::string_view name) const { return !at(values_, prefix_ + std::string(name)).is_null(); }
  std::string get(std::string_view name) const { return text(values_, prefix_ + std::string(name)); }
  std::string path_of(std::string_view name) const { return path_ + "." + prefix_ + std::string(name); }

 private:
  const json& values_;
  std::string prefix_;
  std::string path_;
};

void check_at_least_once(const Settings& settings, bool is_quorum, Findings& findings) {
  const std::string path = settings.path_of("dead-letter-strategy");
  if (!is_quorum) {
    fault(findings, reason::at_least_once_classic, path, "A classic queue knows no at-least-once.",
          "Write type: quorum.");
  }
  if (settings.get("overflow") != "reject-publish") {
    fault(findings, reason::at_least_once_drop_head, path,
          "With any overflow but reject-publish RabbitMQ silently falls back to at-most-once.",
          "Write overflow reject-publish beside it.");
  }
  if (!settings.has("dead-letter-exchange")) {
    fault(findings, reason::no_dead_letter_exchange, path,
          "Without a dead-letter exchange the strategy does nothing.",
          "Write dead-letter-exchange beside it.");
  }
}

void check_dead_lettering(const Settings& settings, bool is_quorum, Findings& findings) {
  if (settings.get("dead-letter-strategy") == "at-least-once") {
    check_at_least_once(settings, is_quorum, findings);
  } else if (settings.has("dead-letter-exchange")) {
    warn(findings, reason::at_most_once, settings.path_of("dead-letter-exchange"),
         "A dead letter that can't be stored at that moment is lost.",
         "Write dead-letter-strategy at-least-once, with overflow reject-publish, on a quorum queue.");
  }
  if (settings.has("dead-letter-routing-key") && !settings.has("dead-letter-exchange")) {
    fault(findings, reason::no_dead_letter_exchange, settings.path_of("dead-letter-routing-key"),
          "The broker refuses a dead-letter routing key without a dead-letter exchange.",
          "Write dead-letter-exchange beside it.");
  }
}

void check_overflow(const Settings& settings, bool is_quorum, Findings& findings) {
  const std::string overflow = settings.get("overflow");
  if (overflow == "reject-publish-dlx" && is_quorum) {
    fault(findings, reason::reject_publish_dlx, settings.path_of("overflow"),
          "A quorum queue accepts reject-publish-dlx but acts as with drop-head: the oldest message goes.",
          "Write reject-publish.");
  }
  const bool drops_head = overflow.empty() || overflow == "drop-head";
  if (settings.has("max-length") && drops_head) {
    warn(findings, reason::evicts_oldest, settings.path_of("max-length"),
         settings.has("dead-letter-exchange")
             ? "When the queue is full, each new message makes a dead letter of the oldest."
             : "When the queue is full, each new message drops the oldest, which is lost.",
         "Write overflow reject-publish, and publish with confirms.");
  }
}

void check_settings(const Settings& settings, bool is_quorum, Findings& findings) {
  check_overflow(settings, is_quorum, findings);
  check_dead_lettering(settings, is_quorum, findings);
}

void check_queue(const json& queue, Findings& findings) {
  const json& spec = at(queue, "spec");
  const bool is_quorum = text(spec, "type") == "quorum";
  const json& arguments = at(spec, "arguments");
  const Settings settings(arguments, "x-", "spec.arguments");
  if (is_quorum) {
    for (const std::string_view name : {"max-priority", "queue-mode"}) {
      if (!settings.has(name)) continue;
      fault(findings, reason::argument_refused, settings.path_of(name), "A quorum queue is refused with it.",
            "Leave it out.");
    }
    if (at(spec, "durable") != true) {
      fault(findings, reason::argument_refused, "spec.durable",
            "A quorum queue is refused if it is not durable.", "Write durable: true.");
    }
  }
  if (text(spec, "name") == settings.get("dead-letter-routing-key") && settings.has("dead-letter-exchange") &&
      settings.get("dead-letter-exchange").empty()) {
    fault(findings, reason::dead_letter_loop, settings.path_of("dead-letter-routing-key"),
          "The queue is its own dead-letter queue.", "Name another queue.");
  }
  for (const std::string_view name :
       {"message-ttl", "max-length", "overflow", "dead-letter-exchange", "delivery-limit"}) {
    if (!settings.has(name)) continue;
    warn(findings, reason::arguments_immutable, settings.path_of(name),
         "An argument can't be changed on a living queue; the topology operator says Ready=False for ever if "
         "it "
         "is edited.",
         "Set it by a Policy.");
    break;  // once for the queue
  }
  check_settings(settings, is_quorum, findings);
}

void check_policy(const json& policy, Findings& findings) {
  const json& spec = at(policy, "spec");
  const std::string pattern = text(spec, "pattern");
  if (!pattern.starts_with('^') || !pattern.ends_with('$')) {
    warn(findings, reason::pattern_not_anchored, "spec.pattern",
         "It matches every name that has it somewhere within; of several policies that match, one counts.",
         "Write ^name$.");
  }
  // Which type of queue it is for, a policy seldom says.
  check_settings(Settings(at(spec, "definition"), "", "spec.definition"),
                 text(spec, "applyTo") != "classic_queues", findings);
}

// The exchange that dead letters go to, and the field that says so; both empty where there is none.
std::pair<std::string, std::string> dead_letter_exchange(const json& object) {
  const json& spec = at(object, "spec");
  if (is_rabbitmq(object, "Queue"))
    return {text(at(spec, "arguments"), "x-dead-letter-exchange"), "spec.arguments.x-dead-letter-exchange"};
  if (is_rabbitmq(object, "Policy"))
    return {text(at(spec, "definition"), "dead-letter-exchange"), "spec.definition.dead-letter-exchange"};
  return {};
}

std::string vhost_of(const json& object) {
  const std::string found = text(at(object, "spec"), "vhost");
  return found.empty() ? "/" : found;
}

}  // namespace

std::vector<Finding> lint_object(const json& object) {
  Findings findings;
  if (is(object, "eventing.knative.dev", "Trigger")) check_trigger(object, findings);
  if (is(object, "sources.knative.dev", "RabbitmqSource")) check_source(object, findings);
  if (is_rabbitmq(object, "Queue")) check_queue(object, findings);
  if (is_rabbitmq(object, "Policy")) check_policy(object, findings);
  return findings;
}

std::vector<std::pair<std::size_t, Finding>> lint_together(std::span<const json> objects) {
  std::vector<std::pair<std::size_t, Finding>> found;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto [exchange, field] = dead_letter_exchange(objects[i]);
    if (exchange.empty()) continue;
    const bool is_bound =
        std::any_of(objects.begin(), objects.end(), [&, name = exchange](const json& other) {
          return is_rabbitmq(other, "Binding") && text(at(other, "spec"), "source") == name &&
                 vhost_of(other) == vhost_of(objects[i]);
        });
    if (is_bound) continue;
    found.emplace_back(i, Finding{Finding::Severity::warning, std::string(reason::dead_letter_unbound), field,
                                  "Nothing in these files is bound to the exchange " + base::quote(exchange) +
                                      ": if nothing is in the broker either, every dead letter is dropped.",
                                  "Write a Binding from it to a queue."});
  }
  return found;
}

}  // namespace lambda::desired
