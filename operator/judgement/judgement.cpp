#include "judgement/judgement.h"

#include <algorithm>
#include <array>

#include "api/reasons.h"
#include "base/json.h"
#include "base/text.h"

namespace lambda::judgement {
namespace {

using api::Condition;
using api::ConditionStatus;

constexpr std::size_t message_max_bytes = 2048;

constexpr std::array parts{Part::queue, Part::dead_letter, Part::routing, Part::source, Part::trigger};

std::string_view condition_of(Part part) {
  switch (part) {
    case Part::queue:
      return api::condition::queue_ready;
    case Part::dead_letter:
      return api::condition::dead_letter_ready;
    case Part::routing:
      return api::condition::routing_ready;
    case Part::source:
      return api::condition::source_ready;
    case Part::trigger:
      return api::condition::trigger_ready;
  }
  return {};
}

bool is_in_broker(Part part) {
  return part == Part::queue || part == Part::dead_letter || part == Part::routing;
}

bool is_needed(Part part, const api::JobQueueSpec& spec) {
  switch (part) {
    case Part::source:
      return spec.path != api::Path::amqp && spec.source.enabled;
    case Part::trigger:
      return spec.path == api::Path::trigger;
    default:
      return true;
  }
}

Condition make(std::string_view type, ConditionStatus status, std::string_view reason,
               const std::string& message, const api::JobQueue& queue) {
  return {.type = std::string(type),
          .status = status,
          .reason = std::string(reason),
          .message = base::cut(message, message_max_bytes),
          .last_transition_time = {},
          .observed_generation = queue.meta.generation};
}

// The messages of a part's troubles, one after another, under the reason of the first.
std::optional<Trouble> joined(const std::vector<PartTrouble>& troubles, Part part) {
  std::optional<Trouble> out;
  for (const PartTrouble& each : troubles) {
    if (each.part != part) continue;
    if (!out) {
      out = each.trouble;
    } else {
      out->message += "; " + each.trouble.message;
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : "; ") + text;
  return out;
}

std::vector<std::string> repaired_in(Part part, const Observation& observation) {
  std::vector<std::string> out;
  for (const Repaired& each : observation.repaired) {
    if (each.part == part) out.push_back(each.text);
  }
  return out;
}

Condition judge_part(Part part, const api::JobQueue& queue, const Observation& observation) {
  const auto say = [&](ConditionStatus status, const Trouble& trouble) {
    return make(condition_of(part), status, trouble.reason, trouble.message, queue);
  };
  if (observation.all) return say(ConditionStatus::no, *observation.all);
  if (!is_needed(part, queue.spec)) {
    return say(ConditionStatus::yes, {api::reason::not_needed, "this path has no such part"});
  }
  if (const auto trouble = joined(observation.troubles, part)) return say(ConditionStatus::no, *trouble);
  if (is_in_broker(part) && observation.broker) return say(ConditionStatus::unknown, *observation.broker);
  if (const auto wait = joined(observation.waits, part)) return say(ConditionStatus::unknown, *wait);
  if (const auto repaired = repaired_in(part, observation); !repaired.empty()) {
    return say(ConditionStatus::yes, {api::reason::repaired, "found and repaired: " + joined(repaired)});
  }
  if (part == Part::queue && !observation.adopted.empty()) {
    return say(ConditionStatus::yes,
               {api::reason::adopted, "was there before, and fits: " + joined(observation.adopted)});
  }
  return say(ConditionStatus::yes, {api::reason::as_specified, "as specified"});
}

Condition judge_delivery(const api::JobQueue& queue, const Observation& observation) {
  if (observation.findings.empty()) {
    return make(api::condition::delivery_guaranteed, ConditionStatus::yes, api::finding::guaranteed,
                "nothing in this chain loses messages by itself", queue);
  }
  std::vector<std::string> texts;
  for (const desired::Finding& finding : observation.findings) {
    texts.push_back(finding.field + ": " + finding.message + " (" + finding.reason +
                    "). Remedy: " + finding.remedy);
  }
  return make(api::condition::delivery_guaranteed, ConditionStatus::no, observation.findings.front().reason,
              joined(texts), queue);
}

// The worst of the parts, the first of several.
Condition sum_up(const std::vector<Condition>& conditions, const api::JobQueue& queue, bool is_new) {
  for (const ConditionStatus status : {ConditionStatus::no, ConditionStatus::unknown}) {
    const auto found = std::ranges::find(conditions, status, &Condition::status);
    if (found == conditions.end()) continue;
    return make(api::condition::ready, status, found->reason, found->type + ": " + found->message, queue);
  }
  if (is_new) {
    return make(api::condition::ready, ConditionStatus::unknown, api::reason::progressing,
                "everything was asked for; it is looked at once more", queue);
  }
  return make(api::condition::ready, ConditionStatus::yes, api::reason::as_specified,
              "everything is as specified", queue);
}

Part part_of_queue(const std::string& name, const api::JobQueueSpec& spec) {
  if (name == spec.queue.name) return Part::queue;
  return name == spec.dead_letter.queue ? Part::dead_letter : Part::routing;
}

Part part_of_exchange(const std::string& name, const api::JobQueueSpec& spec) {
  return name == spec.dead_letter.exchange ? Part::dead_letter : Part::routing;
}

Part part_of_binding(const std::string& queue, const api::JobQueueSpec& spec) {
  return queue == spec.dead_letter.queue ? Part::dead_letter : Part::routing;
}

Part part_of_policy(const std::string& pattern, const std::string& apply_to, const api::JobQueueSpec& spec) {
  if (apply_to == "exchanges") return Part::routing;
  const auto is_of = [&](const std::string& name) { return pattern == topology::pattern_of({name}); };
  if (is_of(spec.queue.name)) return Part::queue;
  return is_of(spec.dead_letter.queue) ? Part::dead_letter : Part::routing;
}

}  // namespace

Part part_of(const nlohmann::json& object, const api::JobQueueSpec& spec) {
  const std::string& kind = base::text_at(object, "/kind");
  if (kind == "Queue") return part_of_queue(base::text_at(object, "/spec/name"), spec);
  if (kind == "Exchange") return part_of_exchange(base::text_at(object, "/spec/name"), spec);
  if (kind == "Binding") return part_of_binding(base::text_at(object, "/spec/destination"), spec);
  if (kind == "Policy") {
    return part_of_policy(base::text_at(object, "/spec/pattern"), base::text_at(object, "/spec/applyTo"),
                          spec);
  }
  return kind == "RabbitmqSource" ? Part::source : Part::trigger;
}

Part part_of(const topology::Drift& drift, const topology::Topology& wanted, const api::JobQueueSpec& spec) {
  switch (drift.kind) {
    case topology::Kind::queue:
      return part_of_queue(drift.name, spec);
    case topology::Kind::exchange:
      return part_of_exchange(drift.name, spec);
    case topology::Kind::binding: {
      const auto is_it = [&](const topology::Binding& binding) { return name_of(binding) == drift.name; };
      const auto found = std::ranges::find_if(wanted.bindings, is_it);
      return found == wanted.bindings.end() ? Part::routing : part_of_binding(found->queue, spec);
    }
    case topology::Kind::policy: {
      const auto found = std::ranges::find(wanted.policies, drift.name, &topology::Policy::name);
      if (found == wanted.policies.end()) return Part::queue;  // a foreign one
      return part_of_policy(found->pattern, found->apply_to, spec);
    }
    case topology::Kind::operator_policy:
      return spec.path == api::Path::trigger ? Part::trigger : Part::queue;
  }
  return Part::queue;
}

std::vector<Condition> judge(const api::JobQueue& queue, const Observation& observation) {
  std::vector<Condition> conditions;
  conditions.reserve(parts.size() + 2);
  for (const Part part : parts) conditions.push_back(judge_part(part, queue, observation));
  Condition ready = sum_up(conditions, queue, observation.is_new);
  conditions.push_back(judge_delivery(queue, observation));
  conditions.push_back(std::move(ready));
  return conditions;
}

}  // namespace lambda::judgement
