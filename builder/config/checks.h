// What single texts of the builder's configuration have to look like, beside yaml/checks.h. Pure; an error's
// message says what was found and what is accepted. Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::config {

/// A DNS subdomain once {third_party_id} is replaced by an id.
base::Result<void> check_secret_name(std::string_view text);

/// A key of a ConfigMap: [-._a-zA-Z0-9]+, and no path.
base::Result<void> check_config_map_key(std::string_view text);

/// What events name a runtime by: a label value, and a part of a ConfigMap's name.
base::Result<void> check_runtime_name(std::string_view text);

/// An image reference: printable ASCII without spaces. The registry decides the rest.
base::Result<void> check_image(std::string_view text);

/// A Kubernetes quantity that is not negative: "500m", "1.5", "2Gi", "1e3".
base::Result<void> check_quantity(std::string_view text);

/// "host[:port][/path/prefix]", "s3://bucket[/prefix]" or "gs://bucket[/prefix]": no other scheme, no user,
/// no wildcard, no IP address.
base::Result<void> check_allowed_source(std::string_view text);

/// A checked allowed source in the one form that is compared: host in lower case, no slash at the end.
std::string normal_allowed_source(std::string_view text);

}  // namespace lambda::config
