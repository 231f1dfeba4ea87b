#include "commandline/commandline.h"

#include <optional>
#include <string_view>

#include "base/text.h"

namespace lambda::commandline {
namespace {

constexpr std::string_view see_help = "; see knative-lambda-operator --help";

constexpr std::string_view config_assigned = "--config=";

std::optional<Options::Action> action_of(std::string_view argument) {
  if (argument == "--help" || argument == "-h") return Options::Action::help;
  if (argument == "--version") return Options::Action::version;
  if (argument == "--check-config") return Options::Action::check_config;
  return std::nullopt;
}

bool needs_nothing_else(Options::Action action) {
  return action == Options::Action::help || action == Options::Action::version;
}

tl::unexpected<base::Error> misused(const std::string& what) {
  return base::fail(base::ErrorKind::invalid, what + std::string(see_help));
}

base::Result<Options> parse_lint(int argc, char* const argv[]) {
  Options options;
  options.action = Options::Action::lint;
  for (int i = 2; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      options.action = Options::Action::help;
      return options;
    }
    if (argument == "--strict") {
      options.strict = true;
      continue;
    }
    if (argument.size() > 1 && argument.starts_with('-')) {
      return misused("lint has no option " + base::quote(argument));
    }
    options.files.emplace_back(argument);
  }
  if (options.files.empty()) return misused("lint needs files, or - for what it is piped");
  return options;
}

}  // namespace

base::Result<Options> parse(int argc, char* const argv[]) {
  if (argc > 1 && std::string_view(argv[1]) == "lint") return parse_lint(argc, argv);
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (const auto action = action_of(argument)) {
      options.action = *action;
      if (needs_nothing_else(*action)) return options;
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
  return R"(knative-lambda-operator: keeps queues, triggers and dead letters as JobQueues say, and sends dead letters again.

usage: knative-lambda-operator --config FILE [--check-config]
       knative-lambda-operator lint [--strict] FILE...

  --config FILE    the configuration, YAML; an empty file takes every default
  --check-config   only read and check it: exit 0, or 2 with FILE:LINE:COLUMN and the key
  --version        print the version
  --help           print this

lint reads manifests (YAML or JSON, several documents in a file, - for standard input) and says what of them
would lose messages, or does something else than it says. It asks no cluster. Exit code 0: no errors (there may
be warnings), 1: errors, or with --strict warnings, 2: a file can't be read. docs/conditions.md has all of them.

It listens on http.port (8081) for
  GET /metrics             for Prometheus
  GET /healthz  /readyz    for probes

Of several replicas the one with the Lease works. SIGTERM: ends what is in hand within shutdownTimeout, gives
the Lease back, exits 0. Logs are JSON lines on stderr.

Try it:
  kubectl apply -f manifests/samples/jobqueue.yaml
  kubectl get jobqueues,deadletterredrives --all-namespaces
)";
}

}  // namespace lambda::commandline
