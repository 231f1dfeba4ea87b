// The key "build.jobPatch": a JSON merge patch, written as YAML. Private to this folder.
#pragma once

#include <string>

#include "yaml/fields.h"

namespace lambda::config {

/// Writes the patch to `out` as JSON text. A plain scalar that JSON reads as a number, true, false or null is
/// one, as are "~" and no value; all else is a string. What the builder decides of a Job is refused, and so
/// are lists that a merge patch could only replace as a whole.
yaml::Read read_job_patch(std::string& out);

}  // namespace lambda::config
