// Where a build's image is pushed: the configured template, and the reference that an event makes of it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::build {

/// Whether the template becomes a valid image reference for every event. It is "registry/path" or
/// "registry/path:tag": the registry in plain text (a name with a '.' or a port, or localhost), then
/// components of [a-z0-9]+([._-][a-z0-9]+)*. In path and tag, {third_party_id}, {parser_id} and {event_hash}
/// are replaced. Either {third_party_id} is a component of its own or {event_hash} occurs, so that no tenant
/// can push over another's image.
base::Result<void> check_destination(std::string_view destination_template);

/// The reference, for a template that passed the check. Ids go through path_component(): none adds a slash or
/// a colon.
std::string make_destination(std::string_view destination_template, std::string_view third_party_id,
                             std::string_view parser_id, std::string_view event_hash);

/// A text in which {third_party_id} stands for a tenant's id as a part of a Kubernetes name.
std::string make_secret_name(std::string_view name_template, std::string_view third_party_id);

}  // namespace lambda::build
