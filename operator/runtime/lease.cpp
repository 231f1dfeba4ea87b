#include "runtime/lease.h"

#include <nlohmann/json.hpp>

#include "kube/resource.h"
#include "runtime/watch_event.h"

namespace lambda::runtime {
namespace {

using nlohmann::json;

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

}  // namespace

base::Result<Lease> parse_lease(const json& object) {
  if (!object.is_object() || key_of(object).name.empty())
    return base::fail(base::ErrorKind::invalid, "it is no Lease");
  Lease lease;
  lease.key = key_of(object);
  lease.resource_version = resource_version_of(object);
  const auto spec = object.find("spec");
  if (spec == object.end() || !spec->is_object()) return lease;
  lease.holder = text_at(*spec, "holderIdentity");
  lease.duration_seconds = number_at(*spec, "leaseDurationSeconds");
  lease.acquire_time = text_at(*spec, "acquireTime");
  lease.renew_time = text_at(*spec, "renewTime");
  lease.transitions = number_at(*spec, "leaseTransitions");
  return lease;
}

json to_json(const Lease& lease) {
  json metadata{{"namespace", lease.key.namespace_name}, {"name", lease.key.name}};
  if (!lease.resource_version.empty()) metadata["resourceVersion"] = lease.resource_version;
  json spec{{"holderIdentity", lease.holder},
            {"leaseDurationSeconds", lease.duration_seconds},
            {"leaseTransitions", lease.transitions}};
  if (!lease.acquire_time.empty()) spec["acquireTime"] = lease.acquire_time;
  if (!lease.renew_time.empty()) spec["renewTime"] = lease.renew_time;
  return {{"apiVersion", kube::resources::lease.api_version},
          {"kind", kube::resources::lease.kind},
          {"metadata", std::move(metadata)},
          {"spec", std::move(spec)}};
}

Lease taken(Lease lease, std::string_view holder, std::int64_t duration_seconds, std::string_view now) {
  const bool is_new = lease.resource_version.empty();
  if (!is_new && lease.holder != holder) ++lease.transitions;
  lease.holder = holder;
  lease.duration_seconds = duration_seconds;
  lease.acquire_time = now;
  lease.renew_time = now;
  return lease;
}

Lease renewed(Lease lease, std::string_view now) {
  lease.renew_time = now;
  return lease;
}

Lease released(Lease lease, std::string_view now) {
  lease.holder.clear();
  lease.duration_seconds = 1;  // it has to be positive
  lease.acquire_time = now;
  lease.renew_time = now;
  return lease;
}

void LeaseObservation::see(const Lease& lease, base::TimePoint now) {
  if (!last_ || !(*last_ == lease)) changed_at_ = now;
  last_ = lease;
}

bool LeaseObservation::is_free(base::TimePoint now) const {
  return last_ && (last_->holder.empty() || now >= free_at());
}

base::TimePoint LeaseObservation::free_at() const {
  return changed_at_ + std::chrono::seconds(last_ ? last_->duration_seconds : 0);
}

}  // namespace lambda::runtime
