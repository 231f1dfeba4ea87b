// The section "build" of the configuration file. Private to this folder.
#pragma once

#include "config/config.h"
#include "yaml/fields.h"

namespace lambda::config {

yaml::Read read_build(Build& out);

/// What is wrong between keys of the section that are right by themselves.
void check_build(const Build& build, yaml::Report& report);

}  // namespace lambda::config
