// Ids that tenants choose, in the places where Kubernetes and registries have rules of their own.
//
// Each function gives the id itself where it follows the rule, else "h-" and 32 hex digits of its hash. An id
// that already looks like such a hash is hashed too; so two different ids never become the same text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lambda::build {

inline constexpr std::size_t id_text_max_bytes = 63;  // of whatever the functions below return

inline constexpr std::size_t id_hash_bytes = 34;  // of id_hash()

/// The hash that stands for an id which follows no rule.
std::string id_hash(std::string_view id);

/// A Kubernetes label value.
std::string label_value(std::string_view id);

/// A part of an object's name: an RFC 1123 label.
std::string dns_label(std::string_view id);

/// One component of an image's path, as is_path_component has it. A tag may hold it too.
std::string path_component(std::string_view id);

/// [a-z0-9]+([._-][a-z0-9]+)*, of any length.
bool is_path_component(std::string_view text);

}  // namespace lambda::build
