#include "reconcile/watches.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/time.h"
#include "desired/desired.h"
#include "judgement/child.h"
#include "runtime/object_store.h"
#include "runtime/reflector.h"

namespace lambda::reconcile {
namespace {

using kube::Resource;
using nlohmann::json;
using Store = runtime::ObjectStore<json>;

// In the order in which they are made.
constexpr std::array child_kinds{kube::resources::rabbitmq_exchange,
                                 kube::resources::rabbitmq_queue,
                                 kube::resources::rabbitmq_policy,
                                 kube::resources::rabbitmq_operator_policy,
                                 kube::resources::rabbitmq_binding,
                                 kube::resources::rabbitmq_broker_config,
                                 kube::resources::broker,
                                 kube::resources::trigger,
                                 kube::resources::rabbitmq_source};

// What a kind that is not there may keep others waiting.
constexpr base::milliseconds unknown_kind_wait{3'000};

void move_member(json& from, json& to, const char* key) {
  if (const auto found = from.find(key); found != from.end()) to[key] = std::move(*found);
}

json keep_metadata(json& metadata) {
  json out = json::object();
  for (const char* const key :
       {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "finalizers", "labels", "annotations"}) {
    move_member(metadata, out, key);
  }
  return out;
}

json keep_common(json& object) {
  json out = json::object();
  move_member(object, out, "apiVersion");
  move_member(object, out, "kind");
  out["metadata"] = keep_metadata(object["metadata"]);
  move_member(object, out, "spec");
  return out;
}

std::optional<json> keep_own(json&& object) {
  json out = keep_common(object);
  move_member(object, out, "status");
  return out;
}

std::optional<json> keep_child(json&& object) {
  json out = keep_common(object);
  if (const auto status = object.find("status"); status != object.end() && status->is_object()) {
    move_member(*status, out["status"], "conditions");
    move_member(*status, out["status"], "observedGeneration");
  }
  return out;
}

// Everything but what we ourselves write without anybody having to act on it.
bool is_same_for_us(const json& a, const json& b) {
  const auto without_own_doing = [](json object) {
    object.erase("status");
    object["metadata"].erase("resourceVersion");
    return object;
  };
  return without_own_doing(a) == without_own_doing(b);
}

Store::Handler handler_of_own(OnChange on_change) {
  return [on_change = std::move(on_change)](const api::ObjectKey& key, const SharedObject& before,
                                            const SharedObject& after) {
    if (before && after && is_same_for_us(*before, *after)) return;
    on_change(key);
  };
}

std::optional<api::ObjectKey> owner_of(const json& object) {
  api::ObjectKey owner = judgement::job_queue_of(object);
  if (owner.name.empty()) return std::nullopt;
  return owner;
}

Store::Handler handler_of_child(OnChildChange on_change) {
  return [on_change = std::move(on_change)](const api::ObjectKey&, const SharedObject& before,
                                            const SharedObject& after) {
    on_change(owner_of(after ? *after : *before));
  };
}

struct Watch {
  Watch(const Resource& of, kube::Selection selection, Store::Keep keep, Store::Handler handler,
        const std::shared_ptr<kube::RestClient>& client, metrics::Registry& registry, base::Log& log)
      : resource(of),
        store(std::move(keep), std::move(handler)),
        reflector({.resource = of, .selection = std::move(selection)}, client, store, registry, log) {}

  Resource resource;
  Store store;
  runtime::Reflector reflector;
};

}  // namespace

struct Watches::Impl {
  std::vector<std::unique_ptr<Watch>> watches;

  const Watch* find(const Resource& resource) const {
    for (const auto& watch : watches) {
      if (watch->resource == resource) return watch.get();
    }
    return nullptr;
  }
};

Watches::Watches(const std::string& namespace_name, WatchHandlers handlers,
                 const std::shared_ptr<kube::RestClient>& client, metrics::Registry& registry, base::Log& log)
    : impl_(std::make_unique<Impl>()) {
  const auto watch = [&](const Resource& resource, kube::Selection selection, Store::Keep keep,
                         Store::Handler handler) {
    impl_->watches.push_back(std::make_unique<Watch>(resource, std::move(selection), std::move(keep),
                                                     std::move(handler), client, registry, log));
  };
  const kube::Selection own{.namespace_name = namespace_name, .label_selector = {}, .field_selector = {}};
  const kube::Selection made_by_us{
      .namespace_name = {},
      .label_selector = std::string(desired::manager_label) + "=" + std::string(desired::manager),
      .field_selector = {}};
  for (const Resource& kind : child_kinds) {
    watch(kind, made_by_us, keep_child, handler_of_child(handlers.on_child));
  }
  watch(kube::resources::job_queue, own, keep_own, handler_of_own(std::move(handlers.on_job_queue)));
  watch(kube::resources::dead_letter_redrive, own, keep_own, handler_of_own(std::move(handlers.on_redrive)));
}

Watches::~Watches() = default;

bool Watches::wait_until_synced(const std::stop_token& stop) const {
  for (const Resource& kind : {kube::resources::job_queue, kube::resources::dead_letter_redrive}) {
    if (!impl_->find(kind)->reflector.wait_until_synced(stop)) return false;
  }
  // The others began at the same time; what is not there by now has no definition or no rights.
  const base::TimePoint until = base::Clock::now() + unknown_kind_wait;
  std::mutex mutex;
  std::condition_variable_any tick;
  std::unique_lock lock(mutex);
  const auto all_synced = [&] {
    return std::ranges::all_of(child_kinds, [&](const Resource& kind) { return synced(kind); });
  };
  while (!stop.stop_requested() && base::Clock::now() < until && !all_synced()) {
    tick.wait_for(lock, stop, base::milliseconds(50), [] { return false; });
  }
  return !stop.stop_requested();
}

bool Watches::synced(const Resource& resource) const {
  const Watch* const watch = impl_->find(resource);
  return watch != nullptr && watch->reflector.synced();
}

SharedObject Watches::find(const Resource& resource, const api::ObjectKey& key) const {
  const Watch* const watch = impl_->find(resource);
  return watch == nullptr ? nullptr : watch->store.find(key);
}

std::vector<SharedObject> Watches::all(const Resource& resource) const {
  std::vector<SharedObject> out;
  if (const Watch* const watch = impl_->find(resource)) {
    for (auto& [key, object] : watch->store.all()) out.push_back(std::move(object));
  }
  return out;
}

std::vector<SharedObject> Watches::children_of(const api::ObjectKey& job_queue) const {
  std::vector<SharedObject> out;
  for (const Resource& kind : child_kinds) {
    for (SharedObject& object : all(kind)) {
      if (owner_of(*object) == job_queue) out.push_back(std::move(object));
    }
  }
  return out;
}

}  // namespace lambda::reconcile
