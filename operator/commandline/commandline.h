// What the program is called with.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace lambda::commandline {

struct Options {
  enum class Action { run, check_config, lint, version, help };
  Action action = Action::run;
  std::string config_file;         // of run and check_config
  std::vector<std::string> files;  // of lint
  bool strict = false;             // of lint: warnings count too
};

/// An error says what to call instead.
base::Result<Options> parse(int argc, char* const argv[]);

/// The text of --help.
std::string help();

}  // namespace lambda::commandline
