#include "rabbitmq/repair.h"

#include <algorithm>

namespace lambda::rabbitmq {
namespace {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Result;
using topology::Drift;
using topology::Kind;
using topology::Topology;

/// Who is not let in, or finds nobody there, need not try the next one.
bool concerns_all(const Error& error) {
  return base::worth_retrying(error.kind) || error.kind == ErrorKind::unauthenticated ||
         !error.field.empty();  // the vhost, the URL
}

template <class Thing>
const Thing* named(const std::vector<Thing>& things, const std::string& name) {
  const auto found = std::ranges::find(things, name, &Thing::name);
  return found == things.end() ? nullptr : &*found;
}

const topology::Binding* named(const std::vector<topology::Binding>& bindings, const std::string& name) {
  const auto found = std::ranges::find_if(
      bindings, [&name](const topology::Binding& each) { return topology::name_of(each) == name; });
  return found == bindings.end() ? nullptr : &*found;
}

class Declarer {
 public:
  Declarer(Management& management, const std::string& vhost, const std::stop_token& stop)
      : management_(management), vhost_(vhost), stop_(stop) {}

  Result<void> operator()(const Drift& drift, const Topology& wanted) {
    switch (drift.kind) {
      case Kind::exchange:
        return declare(named(wanted.exchanges, drift.name), drift);
      case Kind::queue:
        return declare(named(wanted.queues, drift.name), drift);
      case Kind::binding:
        return declare(named(wanted.bindings, drift.name), drift);
      case Kind::policy:
        if (const auto* policy = named(wanted.policies, drift.name))
          return management_.put_policy(vhost_, *policy, stop_);
        return unknown(drift);
      case Kind::operator_policy:
        if (const auto* policy = named(wanted.operator_policies, drift.name))
          return management_.put_operator_policy(vhost_, *policy, stop_);
        return unknown(drift);
    }
    return unknown(drift);
  }

 private:
  template <class Thing>
  Result<void> declare(const Thing* thing, const Drift& drift) {
    return thing == nullptr ? unknown(drift) : management_.declare(vhost_, *thing, stop_);
  }

  static Result<void> unknown(const Drift& drift) {
    return fail(ErrorKind::internal, "not wanted: " + topology::describe(drift));
  }

  Management& management_;
  const std::string& vhost_;
  const std::stop_token& stop_;
};

}  // namespace

Repair repair(Management& management, const std::string& vhost, const Topology& wanted,
              const std::vector<Drift>& drifts, const std::stop_token& stop) {
  Repair result;
  Declarer declare(management, vhost, stop);
  for (const Drift& drift : drifts) {
    if (!topology::can_be_repaired(drift)) {
      result.left.push_back(drift);
      continue;
    }
    if (result.stopped) continue;
    if (auto declared = declare(drift, wanted)) {
      result.repaired.push_back(drift);
    } else if (concerns_all(declared.error())) {
      result.stopped = std::move(declared.error());
    } else {
      result.refused.push_back({drift, std::move(declared.error())});
    }
  }
  return result;
}

Result<void> declare_all(Management& management, const std::string& vhost, const Topology& wanted,
                         const std::stop_token& stop) {
  // On an empty broker everything is missing.
  Declarer declare(management, vhost, stop);
  for (const Drift& drift : topology::compare(wanted, {}))
    if (auto declared = declare(drift, wanted); !declared) return declared;
  return {};
}

}  // namespace lambda::rabbitmq
