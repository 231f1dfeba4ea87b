#include "commandline/commandline.h"

#include <string_view>

#include "base/text.h"

namespace lambda::commandline {
namespace {

constexpr std::string_view see_help = "; see knative-lambda-builder --help";

tl::unexpected<base::Error> misused(const std::string& what) {
  return base::fail(base::ErrorKind::invalid, what + std::string(see_help));
}

}  // namespace

base::Result<Options> parse(int argc, char* const argv[]) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      options.action = Options::Action::help;
      return options;
    }
    if (argument == "--version") {
      options.action = Options::Action::version;
      return options;
    }
    if (argument == "--check-config") {
      options.action = Options::Action::check_config;
    } else if (argument == "--config" && i + 1 < argc) {
      options.config_file = argv[++i];
    } else if (argument.starts_with("--config=")) {
      options.config_file = argument.substr(std::string_view("--config=").size());
    } else {
      return misused(argument == "--config" ? "--config needs a file" : "unknown option " + base::quote(argument));
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
