// The URL of a source, cut into parts that mean the same to every reader. Private to this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lambda::event {

/// The parts of the text, cut at their separators and nothing else. All but the scheme and the host point
/// into the text.
struct Url {
  std::string scheme;          // in lower case
  std::string host;            // in lower case: "host" or "host:port", and whatever else stands there
  std::string_view authority;  // the same as it was written
  std::string_view path;       // without its first slash
  std::string_view fragment;   // with its '#'; empty where there is none
};

/// At most source_url_max_bytes of visible ASCII, without percent sign, backslash and question mark. Errors
/// do not repeat the URL, which may hold a password.
base::Result<Url> split_url(std::string_view text);

/// A DNS name, no address, perhaps with a port; no user information.
base::Result<void> check_host(std::string_view host);

/// The segments between the slashes, each plain; a path without any is refused with `accepted`.
base::Result<std::vector<std::string_view>> split_path(std::string_view path, std::string_view accepted);

/// Letters, digits and ._~+@- without '-' at the start, and neither "." nor "..".
bool is_segment(std::string_view segment);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(std::span<const std::string_view> segments);  // by slashes
bool consists_of(std::string_view text, std::string_view characters);
tl::unexpected<base::Error> refuse(std::string message);

}  // namespace lambda::event
