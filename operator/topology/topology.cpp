#include "topology/topology.h"

#include "topology/pattern.h"
#include "topology/shown.h"

namespace lambda::topology {
namespace {

std::string escaped(std::string_view name) {
  std::string pattern;
  for (const char character : name) {
    if (is_special_in_pattern(character)) pattern += '\\';
    pattern += character;
  }
  return pattern;
}

/// What happened to the thing, with the verb.
std::string_view predicate(Drift::What what) {
  switch (what) {
    case Drift::What::missing:
      return "is missing";
    case Drift::What::changed:
      return "was changed";
    case Drift::What::other:
      return "is another one than it should be";
    case Drift::What::shadowed:
      return "does not apply";
    case Drift::What::foreign:
      return "is not ours and changes what is ours";
  }
  return "drifted";
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::exchange:
      return "exchange";
    case Kind::queue:
      return "queue";
    case Kind::binding:
      return "binding";
    case Kind::policy:
      return "policy";
    case Kind::operator_policy:
      return "operator policy";
  }
  return "thing";
}

std::string_view to_string(Drift::What what) {
  switch (what) {
    case Drift::What::missing:
      return "missing";
    case Drift::What::changed:
      return "changed";
    case Drift::What::other:
      return "other";
    case Drift::What::shadowed:
      return "shadowed";
    case Drift::What::foreign:
      return "foreign";
  }
  return "drifted";
}

bool can_be_repaired(const Drift& drift) {
  return drift.what == Drift::What::missing || drift.what == Drift::What::changed;
}

std::string describe(const Drift& drift) {
  std::string sentence(to_string(drift.kind));
  sentence += " " + in_quotes(drift.name) + " ";
  sentence += predicate(drift.what);
  return drift.detail.empty() ? sentence : sentence + ": " + drift.detail;
}

std::string name_of(const Binding& binding) {
  std::string name = binding.exchange + " -> " + binding.queue + " [" + binding.routing_key + "]";
  return binding.arguments.empty() ? name : name + " " + shown(nlohmann::json(binding.arguments));
}

std::string pattern_of(const std::vector<std::string>& names) {
  std::string alternatives;
  for (const std::string& name : names) {
    if (!alternatives.empty()) alternatives += '|';
    alternatives += escaped(name);
  }
  return names.size() == 1 ? "^" + alternatives + "$" : "^(?:" + alternatives + ")$";
}

}  // namespace lambda::topology
