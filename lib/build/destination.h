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

/// Whether the template names a repository for cached layers that no two tenants share: a destination without
/// tag and {event_hash}, with {third_party_id} as a component of its own. What lies in a cache is believed,
/// so that a shared one would let a tenant put layers into another's images.
base::Result<void> check_cache_repository(std::string_view repository_template);

/// The repository, for a template that passed the check.
std::string make_cache_repository(std::string_view repository_template, std::string_view third_party_id,
                                  std::string_view parser_id);

/// Whether the template becomes the name of a Kueue LocalQueue that fits a label, for every tenant.
base::Result<void> check_queue_name(std::string_view name_template);

/// The name, for a template that passed the check: at most 63 characters, an id that is too long for them
/// replaced by its hash.
std::string make_queue_name(std::string_view name_template, std::string_view third_party_id);

/// A text in which {third_party_id} stands for a tenant's id as a part of a Kubernetes name.
std::string make_secret_name(std::string_view name_template, std::string_view third_party_id);

}  // namespace lambda::build
