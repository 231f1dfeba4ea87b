#include "reconcile/children.h"

#include <algorithm>

#include "api/reasons.h"
#include "base/json.h"
#include "judgement/child.h"
#include "kube/answer.h"
#include "kube/object_request.h"
#include "kube/resource.h"

namespace lambda::reconcile {
namespace {

using base::ErrorKind;
using base::Result;
using judgement::key_of;
using judgement::Ownership;
using judgement::Part;
using judgement::Readiness;
using judgement::shown;
using judgement::Trouble;
using nlohmann::json;

constexpr int removal_attempts = 20;

// Worth another try by itself, so not a condition.
bool passes_by_itself(const base::Error& error) {
  return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::timeout ||
         error.kind == ErrorKind::conflict || error.kind == ErrorKind::unauthenticated;
}

// Of a write or read that will not get better by being tried again at once.
Trouble trouble_of(const json& object, const base::Error& error) {
  const std::string what = shown(object);
  switch (error.kind) {
    case ErrorKind::not_found:
      if (error.message.find("namespaces \"") != std::string::npos) {
        return {api::reason::namespace_missing, "the namespace of " + what + " does not exist: create it"};
      }
      return {api::reason::crd_missing, "the API server knows no " + base::text_at(object, "/apiVersion") +
                                            " " + base::text_at(object, "/kind") +
                                            ": install what brings it, or choose another path or management"};
    case ErrorKind::forbidden:
      return {api::reason::forbidden, what + ": " + error.message};
    default:
      return {api::reason::apply_failed, what + ": " + base::describe(error)};
  }
}

// What somebody else made is not taken over, as nobody asked for that.
std::optional<Trouble> claim_of_others(const json& live, const json& wanted) {
  switch (judgement::ownership_of(live, wanted)) {
    case Ownership::ours:
      return std::nullopt;
    case Ownership::other_job_queues:
      return Trouble{api::reason::claimed, shown(wanted) + " belongs to JobQueue " +
                                               to_string(judgement::job_queue_of(live)) +
                                               ": give one of them another name"};
    case Ownership::foreign:
      break;
  }
  return Trouble{api::reason::foreign_object,
                 shown(wanted) +
                     " is there, and the operator did not make it: delete it, give one of the two "
                     "another name, or hand it over by the label " +
                     std::string(desired::manager_label) + "=" + std::string(desired::manager)};
}

// What goes from the broker by our own hand: whether a queue is empty, and whether anybody else uses an
// exchange, nobody but us asks.
bool is_ours_in_the_broker(const json& object) {
  const std::string& kind = base::text_at(object, "/kind");
  return kind == "Queue" || kind == "Exchange";
}

bool is_going(const json& object) {
  return !base::text_at(object, "/metadata/deletionTimestamp").empty();
}

}  // namespace

Result<AppliedChildren> Children::apply(const api::JobQueue& queue, const std::vector<json>& wanted,
                                        const std::stop_token& stop) const {
  AppliedChildren out;
  for (const json& object : wanted) {
    const Part part = judgement::part_of(object, queue.spec);
    json live;
    std::string change;
    const auto trouble = apply_one(object, live, change, stop);
    if (!trouble) return tl::unexpected(trouble.error());
    if (!change.empty()) {
      out.repaired.push_back({part, base::text_at(object, "/kind"), shown(object) + " " + change});
    }
    if (*trouble) {
      out.troubles.push_back({part, **trouble});
      continue;
    }
    const judgement::ReadinessSaid said = judgement::readiness_of(live);
    const std::string message = shown(object) + ": " + said.message;
    if (said.readiness == Readiness::failed) {
      out.troubles.push_back({part, {api::reason::object_not_ready, message}});
    } else if (said.readiness == Readiness::waiting) {
      out.waits.push_back({part, {api::reason::progressing, message}});
    }
  }
  return out;
}

// Null if there is none.
Result<json> Children::find(const json& wanted, const std::stop_token& stop) const {
  const auto resource = kube::resource_of(wanted);
  if (!resource) return tl::unexpected(resource.error());
  const api::ObjectKey key = key_of(wanted);
  if (const SharedObject known = watches_.find(*resource, key)) return *known;
  // Not made by us, or not yet heard of.
  auto found = api_.get(*resource, key.namespace_name, key.name, stop);
  if (!found && found.error().kind == ErrorKind::not_found) return json();
  return found;
}

Result<std::optional<Trouble>> Children::apply_one(const json& wanted, json& live, std::string& change,
                                                   const std::stop_token& stop) const {
  auto found = find(wanted, stop);
  if (!found) {
    if (passes_by_itself(found.error())) return tl::unexpected(found.error());
    return trouble_of(wanted, found.error());
  }
  live = std::move(*found);
  if (live.is_null()) {
    change = "was missing";
    return write(wanted, live, stop);
  }
  if (auto trouble = claim_of_others(live, wanted)) return trouble;
  if (is_going(live)) {
    return Trouble{api::reason::progressing,
                   shown(wanted) + " is being deleted; it is made again after that"};
  }
  switch (desired::change_of(live, wanted)) {
    case desired::Change::none:
      return std::nullopt;
    case desired::Change::replace: {
      change = "was edited";
      const auto removed = remove(live, stop);
      if (!removed) return tl::unexpected(removed.error());
      return Trouble{api::reason::progressing, shown(wanted) + " is replaced, as its spec can't be changed"};
    }
    case desired::Change::update:
      change = "was edited";
      return write(wanted, live, stop);
  }
  return std::nullopt;
}

Result<std::optional<Trouble>> Children::write(const json& wanted, json& live,
                                               const std::stop_token& stop) const {
  json object = wanted;
  // Only onto the very state that was compared.
  if (!live.is_null()) object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"];
  auto written = api_.apply(object, {.field_manager = std::string(desired::manager)}, stop);
  if (written) {
    live = std::move(*written);
    return std::nullopt;
  }
  if (passes_by_itself(written.error())) return tl::unexpected(written.error());
  return trouble_of(wanted, written.error());
}

std::vector<SharedObject> Children::left_over(const api::JobQueue& queue,
                                              const std::vector<json>& wanted) const {
  std::vector<SharedObject> out = watches_.children_of(queue.meta.key);
  std::erase_if(out, [&](const SharedObject& object) {
    return std::ranges::any_of(wanted, [&](const json& each) {
      return base::text_at(each, "/kind") == base::text_at(*object, "/kind") &&
             key_of(each) == key_of(*object);
    });
  });
  std::ranges::reverse(out);
  return out;
}

Result<void> Children::remove(const json& object, const std::stop_token& stop) const {
  if (is_ours_in_the_broker(object)) return remove_without_controller(object, stop);
  if (is_going(object)) return {};
  return remove(object, {.uid = base::text_at(object, "/metadata/uid")}, stop);
}

Result<void> Children::remove(const json& object, const kube::DeleteOptions& options,
                              const std::stop_token& stop) const {
  const auto resource = kube::resource_of(object);
  if (!resource) return tl::unexpected(resource.error());
  const api::ObjectKey key = key_of(object);
  const auto removed = api_.remove(*resource, key.namespace_name, key.name, options, stop);
  if (removed || removed.error().kind == ErrorKind::not_found) return {};
  return tl::unexpected(removed.error());
}

// Its controller puts its finalizer back within milliseconds. An object that is deleted with that takes the
// queue along, empty or not: by figures that are some seconds old, which is all that the controller asks. So
// it is deleted in the very state that the finalizers were taken from, or not at all.
Result<void> Children::remove_without_controller(const json& object, const std::stop_token& stop) const {
  Result<void> done = try_to_remove(object, stop);
  for (int attempt = 1; attempt < removal_attempts && !done && kube::is_stale(done.error()); ++attempt) {
    done = try_to_remove(object, stop);
  }
  return done;
}

Result<void> Children::try_to_remove(const json& object, const std::stop_token& stop) const {
  const auto resource = kube::resource_of(object);
  if (!resource) return tl::unexpected(resource.error());
  const api::ObjectKey key = key_of(object);
  const std::string& uid = base::text_at(object, "/metadata/uid");
  const auto live = api_.get(*resource, key.namespace_name, key.name, stop);
  if (!live && live.error().kind != ErrorKind::not_found) return tl::unexpected(live.error());
  if (!live || base::text_at(*live, "/metadata/uid") != uid) return {};
  const auto released = release(*live, stop);
  if (!released) return tl::unexpected(released.error());
  if (is_going(*live)) return {};  // its controller was faster
  return remove(*live, {.uid = uid, .resource_version = *released}, stop);
}

Result<std::string> Children::release(const json& object, const std::stop_token& stop) const {
  const std::string& version = base::text_at(object, "/metadata/resourceVersion");
  if (object.value("/metadata/finalizers"_json_pointer, json::array()).empty()) return version;
  const auto resource = kube::resource_of(object);
  if (!resource) return tl::unexpected(resource.error());
  const api::ObjectKey key = key_of(object);
  const auto patched = api_.patch(*resource, key.namespace_name, key.name, kube::PatchKind::merge,
                                  kube::finalizers_patch(json::array(), version),
                                  {.field_manager = std::string(desired::manager)}, stop);
  if (patched) return base::text_at(*patched, "/metadata/resourceVersion");
  if (patched.error().kind == ErrorKind::not_found) return version;
  return tl::unexpected(patched.error());
}

}  // namespace lambda::reconcile
