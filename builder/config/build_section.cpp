#include "config/build_section.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "build/destination.h"
#include "config/checks.h"
#include "config/job_patch.h"
#include "yaml/checks.h"

namespace lambda::config {

using namespace yaml;
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr hours week(7 * 24);

Read quantities(std::vector<std::pair<std::string, std::string>>& out) {
  std::vector<Field> fields;
  for (const std::string name : {"cpu", "memory", "ephemeral-storage"}) {
    fields.push_back({name, [&out, name](const Value& value) {
                        std::string quantity;
                        text(quantity, check_quantity)(value);
                        out.emplace_back(name, std::move(quantity));
                      }});
  }
  return map(std::move(fields));
}

Read allowed_sources(std::vector<std::string>& out) {
  constexpr std::size_t sources_max = 1024;
  return [&out](const Value& value) {
    texts(out, 1, sources_max, check_allowed_source)(value);
    for (std::string& source : out) source = normal_allowed_source(source);
  };
}

Read admission(Admission& out) {
  return word({{"none", [&out] { out = Admission::none; }},
               {"operator", [&out] { out = Admission::by_operator; }},
               {"kueue", [&out] { out = Admission::by_kueue; }}});
}

Read kueue(Kueue& out) {
  return map({
      {"queueName", text(out.queue_name, empty_or(build::check_queue_name))},
      {"priorityClass", text(out.priority_class, empty_or(check_dns_label))},
  });
}

Read on_newer(OnNewer& out) {
  return word({{"keep", [&out] { out = OnNewer::keep; }},  //
               {"cancel", [&out] { out = OnNewer::cancel; }}});
}

Read cache(Cache& out) {
  return map({
      {"enabled", boolean(out.enabled)},
      {"repo", text(out.repo, build::check_cache_repository)},
      {"ttl", duration(out.ttl, minutes(1), 52 * week)},
      {"compressed", boolean(out.compressed)},
  });
}

Read runtime(Runtime& out, const std::string& name) {
  out.config_map = "lambda-runtime-" + name;
  return map({
      {"configMap", text(out.config_map, check_dns_subdomain)},
      {"key", text(out.key, check_config_map_key)},
  });
}

Read runtimes(Runtimes& out) {
  constexpr std::size_t runtimes_max = 64;
  return entries(runtimes_max, check_runtime_name,
                 [&out](const std::string& name) { return runtime(out[name], name); });
}

}  // namespace

Read read_build(Build& out) {
  return map({
      {"namespace", text(out.namespace_name, check_dns_label)},
      {"image", text(out.image, check_image)},
      {"destination", text(out.destination, build::check_destination)},
      {"timeout", duration(out.timeout, seconds(1), week)},
      {"maxTimeout", duration(out.max_timeout, seconds(1), week)},
      // While the Job's record exists a repeated event is known to be one, so it may not vanish at once.
      {"ttlAfterFinished", duration(out.ttl_after_finished, minutes(1), hours(30 * 24))},
      {"admission", admission(out.admission)},
      {"kueue", kueue(out.kueue)},
      {"followedByOperator", boolean(out.followed_by_operator)},
      {"onNewer", on_newer(out.on_newer)},
      {"oomRetry", map({{"memory", text(out.oom_retry.memory, empty_or(check_quantity))}})},
      {"allowedSources", allowed_sources(out.allowed_sources)},
      {"plainHttp", boolean(out.plain_http)},
      {"registrySecret", text(out.registry_secret, empty_or(check_secret_name))},
      {"gitSecret", text(out.git_secret, empty_or(check_secret_name))},
      {"sourceSecret", text(out.source_secret, empty_or(check_secret_name))},
      {"serviceAccountName", text(out.service_account_name, empty_or(check_dns_subdomain))},
      {"resources", map({{"requests", quantities(out.resources.requests)},  //
                         {"limits", quantities(out.resources.limits)}})},
      {"cache", cache(out.cache)},
      {"runtimes", runtimes(out.runtimes)},
      {"jobPatch", read_job_patch(out.job_patch)},
  });
}

void check_build(const Build& build, Report& report) {
  if (build.timeout > build.max_timeout) {
    report.contradiction({"build.timeout", "build.maxTimeout"},
                         "build.timeout is " + base::format_duration(build.timeout) +
                             ", longer than build.maxTimeout, " + base::format_duration(build.max_timeout) +
                             "; accepted: at most as long");
  }
  if (build.admission == Admission::by_kueue && build.kueue.queue_name.empty()) {
    report.contradiction({"build.kueue.queueName", "build.admission"},
                         "build.admission is kueue and build.kueue.queueName is empty; accepted: the name of "
                         "a LocalQueue in the build namespace");
  }
  // Else what it asks for would stand on the Jobs, and nobody would do it.
  if (build.on_newer == OnNewer::cancel && !build.followed_by_operator) {
    report.contradiction(
        {"build.onNewer", "build.followedByOperator"},
        "build.onNewer is cancel and build.followedByOperator is false; accepted: true, with "
        "knative-lambda-operator following the builds");
  }
  if (!build.oom_retry.memory.empty() && !build.followed_by_operator) {
    report.contradiction({"build.oomRetry.memory", "build.followedByOperator"},
                         "build.oomRetry.memory is " + build.oom_retry.memory +
                             " and build.followedByOperator is false; accepted: true, with "
                             "knative-lambda-operator following the builds");
  }
}

}  // namespace lambda::config
