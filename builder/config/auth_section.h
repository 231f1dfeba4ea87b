// Reads intake.auth. Private to this folder.
#pragma once

#include "config/auth.h"
#include "yaml/fields.h"

namespace lambda::config {

/// Says too what is missing for the mode. The tokens file is only named here: `load` looks into it.
yaml::Read auth(Auth& out);

}  // namespace lambda::config
