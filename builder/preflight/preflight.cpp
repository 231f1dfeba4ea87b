#include "preflight/preflight.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "job/job.h"
#include "kube/rest_client.h"

namespace lambda::preflight {
namespace {

using base::ErrorKind;
using base::milliseconds;

constexpr milliseconds first_pause{1'000};
constexpr milliseconds longest_pause{30'000};

enum class Verdict { accepted, refused, unknown };

Verdict judge(const base::Result<kube::Answer>& answer, base::Error& error) {
  if (answer && answer->ok()) return Verdict::accepted;
  error = answer ? kube::to_error(*answer) : answer.error();
  if (error.kind == ErrorKind::conflict) return Verdict::accepted;  // it got past validation
  return error.kind == ErrorKind::invalid || error.kind == ErrorKind::too_large ? Verdict::refused
                                                                                : Verdict::unknown;
}

// False when it was stopped meanwhile.
bool pause(const std::stop_token& stop, milliseconds length) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, length, [] { return false; });
  return !stop.stop_requested();
}

void run(const std::stop_token& stop, const config::Config& config, const kube::Cluster& cluster,
         base::Log& log, const std::function<void(const base::Error&)>& on_refused) {
  const job::Job job = job::JobMaker(config.build).make_reference();
  const base::Result<kube::Request> request = kube::dry_run_create_job(job.namespace_name, job.body);
  if (!request) {
    on_refused(request.error());
    return;
  }
  kube::RestClient client(cluster);
  milliseconds next_pause = first_pause;
  do {
    base::Error error;
    const Verdict verdict = judge(client.send(*request, config.kubernetes.request_timeout, stop), error);
    if (stop.stop_requested()) return;
    if (verdict == Verdict::accepted) {
      log.info("the Kubernetes API accepts our Jobs", {{"namespace", job.namespace_name}});
      return;
    }
    if (verdict == Verdict::refused) {
      on_refused(error);
      return;
    }
    log.warning("cannot ask the Kubernetes API yet whether it accepts our Jobs",
                {{"namespace", job.namespace_name}, {"error", base::describe(error)}});
  } while (pause(stop, std::exchange(next_pause, std::min(next_pause * 2, longest_pause))));
}

}  // namespace

Preflight::Preflight(const config::Config& config, const kube::Cluster& cluster, base::Log& log,
                     std::function<void(const base::Error&)> on_refused)
    : thread_([config, cluster, &log, on_refused = std::move(on_refused)](const std::stop_token& stop) {
        run(stop, config, cluster, log, on_refused);
      }) {}

}  // namespace lambda::preflight
