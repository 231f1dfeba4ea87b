#include "follow/evidence.h"

#include <map>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "builds/verdict.h"
#include "kube/resource.h"

namespace lambda::follow {
namespace {

using base::ErrorKind;
using base::Result;
using builds::Build;
using builds::EventNote;
using builds::Pod;
using nlohmann::json;

constexpr unsigned events_max = 50;
constexpr unsigned log_tail_lines = 300;

// RFC 3339, and of one form in one API server, so that texts are in the order of the times.
std::string last_seen(const json& event) {
  for (const char* const time :
       {"/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"}) {
    if (const std::string& text = base::text_at(event, time); !text.empty()) return text;
  }
  return {};
}

}  // namespace

Result<std::vector<EventNote>> EvidenceReader::events(const Build& build, const Pod* pod,
                                                      const std::stop_token& stop) const {
  const std::string& uid = pod == nullptr ? build.uid : pod->uid;
  const auto list = api_.list(kube::resources::core_event,
                              {.namespace_name = build.key.namespace_name,
                               .label_selector = {},
                               .field_selector = "involvedObject.uid=" + uid},
                              {.limit = events_max}, stop);
  if (!list) return tl::unexpected(list.error());
  std::multimap<std::string, EventNote> by_time;
  for (const json& event : base::at(*list, "items")) {
    by_time.emplace(last_seen(event),
                    EventNote{base::text_at(event, "/reason"), base::text_at(event, "/message")});
  }
  std::vector<EventNote> out;
  for (auto& [time, note] : by_time) out.push_back(std::move(note));
  return out;
}

Result<std::optional<Pod>> EvidenceReader::pod(const Build& build, const std::stop_token& stop) const {
  const auto last = store_.last_pod(build.key);
  if (!last) return find_pod(build, stop);
  const auto pod = api_.get(kube::resources::pod, last->key.namespace_name, last->key.name, stop);
  if (pod) return builds::read_pod(*pod);
  if (pod.error().kind == ErrorKind::not_found) return std::optional<Pod>();
  return tl::unexpected(pod.error());
}

// For whoever begins to lead when it is over already. What the API server has in its cache comes at once, and
// is good enough if the pod is over there; to be sure of the present state takes it up to a tenth of a
// second.
Result<std::optional<Pod>> EvidenceReader::find_pod(const Build& build, const std::stop_token& stop) const {
  const kube::Selection selection{.namespace_name = build.key.namespace_name,
                                  .label_selector = "batch.kubernetes.io/job-name=" + build.key.name,
                                  .field_selector = {}};
  for (const char* const resource_version : {"0", ""}) {
    const auto list =
        api_.list(kube::resources::pod, selection, {.resource_version = resource_version}, stop);
    if (!list) return tl::unexpected(list.error());
    for (const json& item : base::at(*list, "items")) {
      auto pod = builds::read_pod(item);
      const bool is_over = pod && (pod->phase == "Succeeded" || pod->phase == "Failed");
      if (is_over || *resource_version == '\0') return pod;
    }
  }
  return std::optional<Pod>();
}

Result<std::string> EvidenceReader::log_tail(const Pod& pod, const std::stop_token& stop) const {
  auto tail = api_.log_tail(pod.key.namespace_name, pod.key.name, pod.container, log_tail_lines,
                            builds::log_wanted_bytes, stop);
  if (tail || base::worth_retrying(tail.error().kind)) return tail;
  return std::string();
}

}  // namespace lambda::follow
