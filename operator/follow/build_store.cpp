#include "follow/build_store.h"

#include <map>
#include <mutex>

#include "build/labels.h"
#include "kube/resource.h"
#include "runtime/object_store.h"
#include "runtime/reflector.h"

namespace lambda::follow {
namespace {

using builds::Build;
using builds::Pod;

std::string made_by_builder() {
  return std::string(build::label::managed_by) + "=" + std::string(build::label::managed_by_value);
}

kube::Selection unsettled_jobs(const std::string& namespace_name) {
  return {.namespace_name = namespace_name,
          .label_selector = made_by_builder() + ",!" + std::string(build::label::outcome),
          .field_selector = {}};
}

kube::Selection active_pods(const std::string& namespace_name) {
  return {.namespace_name = namespace_name,
          .label_selector = made_by_builder(),
          .field_selector = "status.phase!=Succeeded,status.phase!=Failed"};
}

// An assignment would keep the memory.
void free_text(std::string& text) {
  std::string().swap(text);
}

// What is over may have to wait for long until it can be told, together with many others; whoever tells it
// reads the Job again.
std::optional<Build> keep_essentials(const nlohmann::json& job) {
  std::optional<Build> build = builds::read_build(job);
  if (!build || !build->over()) return build;
  for (std::string* const text :
       {&build->correlation_id, &build->event_id, &build->event_source, &build->traceparent, &build->image}) {
    free_text(*text);
  }
  if (build->end->complete) {
    for (std::string* const text : {&build->end->reason, &build->end->message, &build->waiting}) {
      free_text(*text);
    }
  }
  return build;
}

constexpr unsigned page_limit = 100;  // Jobs and pods are large

}  // namespace

struct BuildStore::Impl {
  Impl(const std::string& namespace_name, OnChange changed, const std::shared_ptr<kube::RestClient>& client,
       metrics::Registry& registry, base::Log& log)
      : on_change(std::move(changed)),
        jobs([](nlohmann::json&& job) { return keep_essentials(job); },
             [this](const api::ObjectKey& key, const auto&, const auto& build) { on_change(key, build); }),
        pods([](nlohmann::json&& pod) { return builds::read_pod(pod); },
             [this](const api::ObjectKey&, const auto& before, const auto& after) {
               note_pod(after ? *after : *before);
             }),
        pod_reflector({.resource = kube::resources::pod,
                       .selection = active_pods(namespace_name),
                       .page_limit = page_limit},
                      client, pods, registry, log),
        job_reflector({.resource = kube::resources::job,
                       .selection = unsettled_jobs(namespace_name),
                       .page_limit = page_limit},
                      client, jobs, registry, log) {}

  void note_pod(const Pod& pod) {
    const api::ObjectKey job{pod.key.namespace_name, pod.job_name};
    {
      const std::lock_guard lock(mutex);
      const auto [entry, is_new] = last_pods.try_emplace(job, pod);
      if (!is_new && entry->second.created <= pod.created) entry->second = pod;
    }
    on_change(job, nullptr);
  }

  const OnChange on_change;
  mutable std::mutex mutex;
  std::map<api::ObjectKey, Pod> last_pods;  // by Job
  runtime::ObjectStore<Build> jobs;
  runtime::ObjectStore<Pod> pods;
  runtime::Reflector pod_reflector;
  runtime::Reflector job_reflector;
};

BuildStore::BuildStore(const std::string& namespace_name, OnChange on_change,
                       const std::shared_ptr<kube::RestClient>& client, metrics::Registry& registry,
                       base::Log& log)
    : impl_(std::make_unique<Impl>(namespace_name, std::move(on_change), client, registry, log)) {}

BuildStore::~BuildStore() = default;

bool BuildStore::wait_until_synced(const std::stop_token& stop) const {
  return impl_->pod_reflector.wait_until_synced(stop) && impl_->job_reflector.wait_until_synced(stop);
}

BuildPointer BuildStore::find(const api::ObjectKey& key) const {
  return impl_->jobs.find(key);
}

std::vector<BuildPointer> BuildStore::all() const {
  return impl_->jobs.values();
}

std::optional<Pod> BuildStore::last_pod(const api::ObjectKey& job) const {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->last_pods.find(job);
  if (found == impl_->last_pods.end()) return std::nullopt;
  return found->second;
}

void BuildStore::forget_pods(const api::ObjectKey& job) {
  const std::lock_guard lock(impl_->mutex);
  impl_->last_pods.erase(job);
}

}  // namespace lambda::follow
