#include <algorithm>
#include <optional>
#include <set>

#include "topology/effect.h"
#include "topology/pattern.h"
#include "topology/shown.h"
#include "topology/topology.h"

namespace lambda::topology {
namespace {

using What = Drift::What;
using Adopted = std::map<std::pair<Kind, std::string>, Arguments>;
using Policies = std::map<std::string, Policy>;

/// At most so many of a policy's queues are named in a message.
constexpr std::size_t max_names = 3;

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

const nlohmann::json* find(const Arguments& arguments, const std::string& name) {
  const auto found = arguments.find(name);
  return found == arguments.end() ? nullptr : &found->second;
}

std::set<std::string> names_in(const Arguments& a, const Arguments& b) {
  std::set<std::string> names;
  for (const auto& [name, value] : a) names.insert(name);
  for (const auto& [name, value] : b) names.insert(name);
  return names;
}

/// "x is 5, not 7", "x is not set, but should be 7", "x is 5 and should not be set"; nothing if it is right.
std::optional<std::string> difference(const std::string& name, const nlohmann::json* found,
                                      const nlohmann::json* wanted) {
  if (found == nullptr && wanted == nullptr) return std::nullopt;
  if (found == nullptr) return name + " is not set, but should be " + shown(*wanted);
  if (wanted == nullptr) return name + " is " + shown(*found) + " and should not be set";
  if (*found == *wanted) return std::nullopt;
  return name + " is " + shown(*found) + ", not " + shown(*wanted);
}

template <class T>
void note_difference(std::vector<std::string>& differences, const std::string& name, const T& found,
                     const T& wanted) {
  const nlohmann::json found_value(found);
  const nlohmann::json wanted_value(wanted);
  if (const auto text = difference(name, &found_value, &wanted_value)) differences.push_back(*text);
}

bool applies_to_queues(const Policy& policy) {
  return policy.apply_to != "exchanges";
}

bool applies_to_exchanges(const Policy& policy) {
  return policy.apply_to == "exchanges" || policy.apply_to == "all";
}

bool applies_to(const Policy& policy, const Queue& queue) {
  if (policy.apply_to == "quorum_queues") return queue.type == "quorum";
  if (policy.apply_to == "classic_queues") return queue.type == "classic";
  if (policy.apply_to == "streams") return queue.type == "stream";
  return applies_to_queues(policy);
}

bool applies_to(const Policy& policy, const Exchange& /*exchange*/) {
  return applies_to_exchanges(policy);
}

/// Of ours, the one that is to apply to the thing; null: none.
template <class Thing>
const Policy* ours_for(const std::vector<Policy>& policies, const Thing& thing) {
  const Policy* ours = nullptr;
  for (const Policy& policy : policies) {
    if (!applies_to(policy, thing) || !Pattern(policy.pattern).matches(thing.name)) continue;
    if (ours == nullptr || policy.priority > ours->priority) ours = &policy;
  }
  return ours;
}

const Policy* policy_named(const Policies& policies, const std::string& name) {
  const auto found = policies.find(name);
  return found == policies.end() ? nullptr : &found->second;
}

bool is_wanted(const std::vector<Policy>& policies, const std::string& name) {
  return std::ranges::find(policies, name, &Policy::name) != policies.end();
}

const Arguments& definition_of(const Policy* policy) {
  static const Arguments none;
  return policy == nullptr ? none : policy->definition;
}

/// What is wrong with one thing that exists, and what is only unexpected.
struct Judgement {
  std::vector<std::string> differences;
  Arguments adopted;
};

/// An argument that no policy can set: what is wanted must be there, what is there must be wanted if the
/// broker acts on it.
void judge_plain_argument(Judgement& judgement, const std::string& name, const nlohmann::json* found,
                          const nlohmann::json* wanted) {
  static const std::set<std::string> acted_on = {"x-single-active-consumer", "x-max-priority", "x-max-age",
                                                 "x-stream-max-segment-size-bytes"};
  if (wanted == nullptr && !acted_on.contains(name)) {
    judgement.adopted[name] = *found;
  } else if (const auto text = difference(name, found, wanted)) {
    judgement.differences.push_back(*text);
  }
}

class Comparison {
 public:
  Comparison(const Topology& wanted, const Snapshot& found) : wanted_(wanted), found_(found) {}

  std::vector<Drift> drifts() {
    for (const Exchange& exchange : wanted_.exchanges) compare_exchange(exchange);
    for (const Queue& queue : wanted_.queues) compare_queue(queue);
    for (const Policy& policy : wanted_.policies) compare_policy(policy);
    for (const Policy& policy : wanted_.operator_policies) compare_operator_policy(policy);
    for (const Queue& queue : wanted_.queues) look_for_foreign_policies(queue);
    for (const Binding& binding : wanted_.bindings) compare_binding(binding);
    return std::move(drifts_);
  }

  Adopted adopted() const {
    Adopted all;
    for (const Exchange& exchange : wanted_.exchanges)
      if (const auto place = found_.exchanges.find(exchange.name); place != found_.exchanges.end())
        note_adopted(all, {Kind::exchange, exchange.name}, judge(exchange, place->second.exchange));
    for (const Queue& queue : wanted_.queues)
      if (const auto place = found_.queues.find(queue.name); place != found_.queues.end())
        note_adopted(all, {Kind::queue, queue.name}, judge(queue, place->second));
    return all;
  }

 private:
  static void note_adopted(Adopted& all, std::pair<Kind, std::string> thing, Judgement judgement) {
    if (judgement.differences.empty() && !judgement.adopted.empty())
      all.emplace(std::move(thing), std::move(judgement.adopted));
  }

  void add(Kind kind, What what, std::string name, std::string detail = {}) {
    drifts_.push_back({kind, what, std::move(name), std::move(detail)});
  }

  // --- exchanges and queues ---

  void compare_exchange(const Exchange& wanted) {
    const auto place = found_.exchanges.find(wanted.name);
    if (place == found_.exchanges.end()) return add(Kind::exchange, What::missing, wanted.name);
    const Judgement judgement = judge(wanted, place->second.exchange);
    if (!judgement.differences.empty())
      add(Kind::exchange, What::other, wanted.name, joined(judgement.differences));
  }

  void compare_queue(const Queue& wanted) {
    const auto place = found_.queues.find(wanted.name);
    if (place == found_.queues.end()) return add(Kind::queue, What::missing, wanted.name);
    const Judgement judgement = judge(wanted, place->second);
    if (!judgement.differences.empty())
      add(Kind::queue, What::other, wanted.name, joined(judgement.differences));
  }

  Judgement judge(const Exchange& wanted, const Exchange& found) const {
    Judgement judgement;
    note_difference(judgement.differences, "type", found.type, wanted.type);
    note_difference(judgement.differences, "durable", found.durable, wanted.durable);
    note_difference(judgement.differences, "auto_delete", found.auto_delete, wanted.auto_delete);
    const Arguments& definition = definition_of(ours_for(wanted_.policies, wanted));
    const Effect is = effect_of(found, definition);
    const Effect should = effect_of(wanted, definition);
    for (const std::string& name : names_in(found.arguments, wanted.arguments)) {
      const auto setting = setting_of_exchange_argument(name);
      if (setting)
        judge_setting(judgement, name, found.arguments, wanted.arguments, find(is, *setting),
                      find(should, *setting));
      else
        judge_plain_argument(judgement, name, find(found.arguments, name), find(wanted.arguments, name));
    }
    return judgement;
  }

  Judgement judge(const Queue& wanted, const ObservedQueue& observed) const {
    const Queue& found = observed.queue;
    Judgement judgement;
    note_difference(judgement.differences, "type", found.type, wanted.type);
    note_difference(judgement.differences, "durable", found.durable, wanted.durable);
    note_difference(judgement.differences, "auto_delete", found.auto_delete, wanted.auto_delete);
    const Effect is = effect_of(found, ours_alone(wanted));
    const Effect should = effect_of(wanted, ours_alone(wanted));
    const Effect with_strangers = effect_of(found, with_foreign(wanted, observed));
    for (const std::string& name : names_in(found.arguments, wanted.arguments)) {
      const auto setting = setting_of_queue_argument(name);
      if (!setting) {
        judge_plain_argument(judgement, name, find(found.arguments, name), find(wanted.arguments, name));
        continue;
      }
      // A stranger's policy may stand in for an argument that is not there.
      const bool by_stranger = !found.arguments.contains(name);
      judge_setting(judgement, name, found.arguments, wanted.arguments,
                    find(by_stranger ? with_strangers : is, *setting), find(should, *setting));
    }
    return judgement;
  }

  /// One that a policy could make as well: only what comes of it counts.
  static void judge_setting(Judgement& judgement, const std::string& argument, const Arguments& found,
                            const Arguments& wanted, const nlohmann::json* is, const nlohmann::json* should) {
    const nlohmann::json* const declared = find(found, argument);
    const auto text = difference(argument, is, should);
    const bool harmless = argument == "alternate-exchange" && should == nullptr;
    if (text && !harmless) {
      judgement.differences.push_back(*text);
    } else if (declared != nullptr) {
      const nlohmann::json* const asked = find(wanted, argument);
      if (asked == nullptr || *asked != *declared) judgement.adopted[argument] = *declared;
    }
  }

  // --- policies ---

  Arguments ours_alone(const Queue& queue) const {
    return merge(definition_of(ours_for(wanted_.policies, queue)),
                 definition_of(ours_for(wanted_.operator_policies, queue)));
  }

  /// A stranger's policy that applies to the queue because none of ours is meant for it; null: none.
  const Policy* foreign_policy(const Queue& wanted, const ObservedQueue& observed) const {
    if (ours_for(wanted_.policies, wanted) != nullptr) return nullptr;
    return is_wanted(wanted_.policies, observed.policy) ? nullptr
                                                        : policy_named(found_.policies, observed.policy);
  }

  const Policy* foreign_operator_policy(const Queue& wanted, const ObservedQueue& observed) const {
    if (!observed.operator_policy) return nullptr;
    if (ours_for(wanted_.operator_policies, wanted) != nullptr) return nullptr;
    const std::string& name = *observed.operator_policy;
    return is_wanted(wanted_.operator_policies, name) ? nullptr
                                                      : policy_named(found_.operator_policies, name);
  }

  /// What applies once ours are in place.
  Arguments with_foreign(const Queue& wanted, const ObservedQueue& observed) const {
    const Policy* const user = foreign_policy(wanted, observed);
    const Policy* const by_operator = foreign_operator_policy(wanted, observed);
    return merge(
        definition_of(user != nullptr ? user : ours_for(wanted_.policies, wanted)),
        definition_of(by_operator != nullptr ? by_operator : ours_for(wanted_.operator_policies, wanted)));
  }

  void look_for_foreign_policies(const Queue& wanted) {
    const auto place = found_.queues.find(wanted.name);
    if (place == found_.queues.end()) return;
    const ObservedQueue& observed = place->second;
    look_for_effects_of(Kind::policy, foreign_policy(wanted, observed), wanted, observed);
    look_for_effects_of(Kind::operator_policy, foreign_operator_policy(wanted, observed), wanted, observed);
  }

  void look_for_effects_of(Kind kind, const Policy* stranger, const Queue& wanted,
                           const ObservedQueue& observed) {
    if (stranger == nullptr) return;
    const Effect should = effect_of(wanted, ours_alone(wanted));
    const Effect without = effect_of(observed.queue, ours_alone(wanted));
    const Effect with = effect_of(observed.queue, merge(ours_alone(wanted), stranger->definition));
    std::vector<std::string> differences;
    for (const std::string& setting : names_in(with, should)) {
      const nlohmann::json* const is = find(with, setting);
      const nlohmann::json* const else_is = find(without, setting);
      const bool same = is != nullptr && else_is != nullptr ? *is == *else_is : is == else_is;
      if (same) continue;  // not this policy's doing
      if (const auto text = difference(setting, is, find(should, setting))) differences.push_back(*text);
    }
    if (!differences.empty())
      add(kind, What::foreign, stranger->name,
          "it applies to queue " + in_quotes(wanted.name) + ": " + joined(differences) +
              "; narrow its pattern " + in_quotes(stranger->pattern));
  }

  /// Whether it is there and the same; else the drift is told.
  bool compare_definition(Kind kind, const Policy& wanted, const Policies& all) {
    const Policy* const found = policy_named(all, wanted.name);
    if (found == nullptr) {
      add(kind, What::missing, wanted.name);
      return false;
    }
    std::vector<std::string> differences;
    note_difference(differences, "pattern", found->pattern, wanted.pattern);
    note_difference(differences, "apply-to", found->apply_to, wanted.apply_to);
    note_difference(differences, "priority", found->priority, wanted.priority);
    for (const std::string& name : names_in(found->definition, wanted.definition))
      if (const auto text = difference(name, find(found->definition, name), find(wanted.definition, name)))
        differences.push_back(*text);
    if (!differences.empty()) add(kind, What::changed, wanted.name, joined(differences));
    return differences.empty();
  }

  void compare_policy(const Policy& ours) {
    if (!compare_definition(Kind::policy, ours, found_.policies)) return;
    const Pattern pattern(ours.pattern);
    std::vector<std::string> reasons;
    if (applies_to_exchanges(ours))
      for (const ObservedExchange* observed : pattern.select(found_.exchanges))
        note_shadow(reasons, ours, "exchange " + in_quotes(observed->exchange.name), observed->policy);
    if (applies_to_queues(ours))
      for (const ObservedQueue* observed : pattern.select(found_.queues))
        if (applies_to(ours, observed->queue))
          note_shadow(reasons, ours, "queue " + in_quotes(observed->queue.name), observed->policy);
    tell_shadows(Kind::policy, ours, std::move(reasons));
  }

  void note_shadow(std::vector<std::string>& reasons, const Policy& ours, const std::string& thing,
                   const std::string& applying) const {
    if (applying == ours.name || is_wanted(wanted_.policies, applying)) return;
    if (applying.empty()) {
      reasons.push_back("no policy applies to " + thing +
                        ": RabbitMQ skips one that sets what its type does not know");
      return;
    }
    const Policy* const other = policy_named(found_.policies, applying);
    const std::string priority =
        other == nullptr ? "" : " (priority " + std::to_string(other->priority) + ")";
    reasons.push_back("policy " + in_quotes(applying) + priority + " applies to " + thing +
                      " instead; narrow its pattern, or give it a priority below " +
                      std::to_string(ours.priority));
  }

  /// The broker's answer may be older than our policy: then it names none, or one that ours now outranks.
  void compare_operator_policy(const Policy& ours) {
    if (!compare_definition(Kind::operator_policy, ours, found_.operator_policies)) return;
    std::vector<std::string> reasons;
    for (const ObservedQueue* observed : Pattern(ours.pattern).select(found_.queues)) {
      const std::string applying = observed->operator_policy.value_or("");
      const Policy* const other = policy_named(found_.operator_policies, applying);
      if (other == nullptr || other->priority < ours.priority) continue;
      if (is_wanted(wanted_.operator_policies, applying) || !applies_to(ours, observed->queue)) continue;
      reasons.push_back(
          "operator policy " + in_quotes(applying) + " (priority " + std::to_string(other->priority) +
          ") applies to queue " + in_quotes(observed->queue.name) +
          " instead; narrow its pattern, or give it a priority below " + std::to_string(ours.priority));
    }
    tell_shadows(Kind::operator_policy, ours, std::move(reasons));
  }

  void tell_shadows(Kind kind, const Policy& ours, std::vector<std::string> reasons) {
    if (reasons.empty()) return;
    const std::size_t more = reasons.size() - std::min(reasons.size(), max_names);
    reasons.resize(std::min(reasons.size(), max_names));
    if (more > 0) reasons.push_back("and " + std::to_string(more) + " more");
    add(kind, What::shadowed, ours.name, joined(reasons));
  }

  // --- bindings ---

  void compare_binding(const Binding& wanted) {
    if (std::ranges::find(found_.bindings, wanted) != found_.bindings.end()) return;
    std::vector<std::string> notes;
    if (!found_.exchanges.contains(wanted.exchange))
      notes.push_back("there is no exchange " + in_quotes(wanted.exchange));
    if (!found_.queues.contains(wanted.queue))
      notes.push_back("there is no queue " + in_quotes(wanted.queue));
    add(Kind::binding, What::missing, name_of(wanted), joined(notes));
  }

  const Topology& wanted_;
  const Snapshot& found_;
  std::vector<Drift> drifts_;
};

}  // namespace

std::vector<Drift> compare(const Topology& wanted, const Snapshot& found) {
  return Comparison(wanted, found).drifts();
}

Adopted adopted(const Topology& wanted, const Snapshot& found) {
  return Comparison(wanted, found).adopted();
}

std::vector<std::string> adopted_arguments(const Topology& wanted, const Snapshot& found) {
  std::vector<std::string> lines;
  for (const auto& [thing, arguments] : adopted(wanted, found)) {
    std::string line = std::string(to_string(thing.first)) + " " + thing.second + ":";
    const char* separator = " ";
    for (const auto& [argument, value] : arguments) {
      line += separator + argument + "=" + shown(value);
      separator = ", ";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace lambda::topology
