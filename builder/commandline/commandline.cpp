#include "commandline/commandline.h"

#include <optional>
#include <string_view>

#include "base/text.h"

namespace lambda::commandline {
namespace {

constexpr std::string_view see_help = "; see knative-lambda-builder --help";

constexpr std::string_view config_assigned = "--config=";

std::optional<Options::Action> action_of(std::string_view argument) {
  if (argument == "--help" || argument == "-h") return Options::Action::help;
  if (argument == "--version") return Options::Action::version;
  if (argument == "--check-config") return Options::Action::check_config;
  return std::nullopt;
}

bool needs_no_configuration(Options::Action action) {
  return action == Options::Action::help || action == Options::Action::version;
}

tl::unexpected<base::Error> misused(const std::string& what) {
  return base::fail(base::ErrorKind::invalid, what + std::string(see_help));
}

}  // namespace

base::Result<Options> parse(int argc, char* const argv[]) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (const auto action = action_of(argument)) {
      options.action = *action;
      if (needs_no_configuration(*action)) return options;
    } else if (argument == "--config") {
      if (++i == argc) return misused("--config needs a file");
      options.config_file = argv[i];
    } else if (argument.starts_with(config_assigned)) {
      options.config_file = argument.substr(config_assigned.size());
    } else {
      return misused("unknown option " + base::quote(argument));
    }
  }
  if (options.config_file.empty()) return misused("--config FILE is needed");
  return options;
}

std::string help() {
  return R"(knative-lambda-builder: turns network.notifi.lambda.job.start CloudEvents into Kaniko Jobs.

usage: knative-lambda-builder --config FILE [--check-config]

  --config FILE    the configuration, YAML; an empty file takes every default
  --check-config   only read and check it: exit 0, or 2 with FILE:LINE:COLUMN and the key
  --version        print the version
  --help           print this

It listens on http.port (8080) for
  POST /  POST /events     a CloudEvent, binary or structured; 202 when its Job exists
  GET /async-jobs/stats    queue and workers, as JSON
  GET /metrics             for Prometheus
  GET /healthz  /readyz    for probes

SIGTERM: takes no more events, ends what is in hand within asyncJobCreator.shutdownTimeout, exits 0.
Logs are JSON lines on stderr.

Try it:
  curl -i http://127.0.0.1:8080/ -H 'Content-Type: application/cloudevents+json' --data @event.json
)";
}

}  // namespace lambda::commandline
