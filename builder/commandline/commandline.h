// What the program is called with.
#pragma once

#include <string>

#include "base/error.h"

namespace lambda::commandline {

struct Options {
  enum class Action { run, check_config, version, help };
  Action action = Action::run;
  std::string config_file;  // empty only for version and help
};

/// An error says what to call instead.
base::Result<Options> parse(int argc, char* const argv[]);

/// The text of --help.
std::string help();

}  // namespace lambda::commandline
