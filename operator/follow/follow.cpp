#include "follow/follow.h"

#include <thread>

#include "follow/admission.h"
#include "follow/bell.h"
#include "follow/build_store.h"
#include "follow/builds.h"
#include "follow/dead_letters.h"
#include "follow/results.h"
#include "follow/sink.h"
#include "runtime/controller.h"

namespace lambda::follow {
namespace {

using base::milliseconds;

constexpr milliseconds first_retry{500};
constexpr milliseconds last_retry{60'000};

std::unique_ptr<Sink> make_sink(const config::Results& results, const Surroundings& around) {
  if (results.sink.empty()) return nullptr;
  return std::make_unique<Sink>(
      SinkSettings{
          .url = results.sink, .timeout = results.timeout, .backoff = {first_retry, results.max_retry_delay}},
      around.registry, around.log);
}

std::unique_ptr<DeadLetters> make_dead_letters(const config::DeadLetters& letters, const std::string& ca_file,
                                               const Surroundings& around) {
  if (!letters.enabled) return nullptr;
  return std::make_unique<DeadLetters>(DeadLetterSettings{.uri = letters.uri,
                                                          .uri_file = letters.uri_file,
                                                          .ca_file = ca_file,
                                                          .exchange = letters.exchange,
                                                          .routing_key = letters.routing_key,
                                                          .queue = letters.queue},
                                       around.may_write, around.registry, around.log);
}

ResultSettings settings_of(const config::Builds& settings) {
  return {.source = settings.results.source,
          .give_up_after = settings.results.give_up_after,
          .max_retry_delay = settings.results.max_retry_delay,
          .dead_letter_classes = settings.dead_letter.classes};
}

}  // namespace

void run(const config::Builds& settings, const std::string& ca_file, const Surroundings& around,
         const std::stop_token& stop) {
  const auto sink = make_sink(settings.results, around);
  const auto dead_letters = make_dead_letters(settings.dead_letter, ca_file, around);
  const runtime::RetryLimits retries{.backoff = {first_retry, last_retry}};

  // The watches feed all three, which read the watches.
  std::unique_ptr<Builds> builds;
  std::unique_ptr<Results> results;
  std::unique_ptr<Admission> admission;
  runtime::Controller builds_controller(
      {.kind = "Build", .threads = settings.workers, .retries = retries},
      [&](const api::ObjectKey& key, const std::stop_token& work) { return builds->reconcile(key, work); },
      around.registry, around.log);
  runtime::Controller results_controller(
      {.kind = "Result", .threads = settings.workers, .retries = retries},
      [&](const api::ObjectKey& key, const std::stop_token& work) { return results->reconcile(key, work); },
      around.registry, around.log);
  Bell changed;
  BuildStore store(
      settings.namespace_name,
      [&](const api::ObjectKey& key, const BuildPointer& build) {
        (build && can_be_told(*build) ? results_controller : builds_controller).queue().add(key);
        changed.ring();
      },
      around.client, around.registry, around.log);
  const Tools tools{around.api, store, around.log};
  builds = std::make_unique<Builds>(
      tools, settings.watchdog, [&](const api::ObjectKey& key) { results_controller.queue().add(key); },
      [&](const api::ObjectKey& key) { results->forget(key); });
  results = std::make_unique<Results>(tools, settings_of(settings), sink.get(), dead_letters.get(),
                                      around.registry);
  admission = std::make_unique<Admission>(
      tools,
      builds::AdmissionLimits{.max_running = settings.admission.max_running,
                              .max_running_per_tenant = settings.admission.max_running_per_tenant,
                              .priority_step = settings.admission.priority_step},
      changed, around.registry);

  if (!store.wait_until_synced(stop)) return;
  const std::jthread telling([&] { results_controller.run(stop); });
  const std::jthread admitting([&] { admission->run(stop); });
  builds_controller.run(stop);
}

}  // namespace lambda::follow
