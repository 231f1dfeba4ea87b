// What single texts of a configuration have to look like, whichever program's. Pure; an error's message says
// what was found and what is accepted.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/error.h"
#include "yaml/fields.h"

namespace lambda::yaml {

/// "found X; accepted: Y"
tl::unexpected<base::Error> refuse_text(std::string_view text, std::string_view accepted);

/// UTF-8 without control characters, `least` to `most` bytes.
Check printable(std::size_t least, std::size_t most);

/// Success for the empty text, else what `check` says.
Check empty_or(Check check);

/// An IPv4 or IPv6 address to listen on; names are not resolved.
base::Result<void> check_ip_address(std::string_view text);

/// RFC 1123, as Kubernetes names want it.
base::Result<void> check_dns_label(std::string_view text);
base::Result<void> check_dns_subdomain(std::string_view text);

/// A CloudEvents source: a URI reference, so without spaces.
base::Result<void> check_event_source(std::string_view text);

/// An amqp:// or amqps:// URI. It holds a password, so messages never quote it.
base::Result<void> check_amqp_uri(std::string_view text);

/// An http:// or https:// URL without user info, query and fragment.
base::Result<void> check_http_url(std::string_view text);

}  // namespace lambda::yaml
