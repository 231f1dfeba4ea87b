// From the source_url of an event to what Kaniko clones.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::event {

inline constexpr std::size_t source_url_max_bytes = 2048;

struct Source {
  std::string context;      // "git://host[:port]/repository[#ref]", as Kaniko's --context takes it
  std::string sub_path;     // folder within the repository, as --context-sub-path takes it; empty: its root
  bool plain_http = false;  // to be cloned by http, which Kaniko has to be told apart from the context

  bool operator==(const Source&) const = default;
};

struct SourceRules {
  std::span<const std::string> allowed;  // "host[:port][/path/prefix]" each, the host in lower case
  bool plain_http = false;               // whether http:// is accepted beside https://
};

/// Reads "https://host[:port]/path[#ref]". On github.com and bitbucket.org the first two segments of the path
/// are the repository (a ".git" at its end is dropped); elsewhere it ends with the first segment that ends in
/// ".git", or is the whole path. What follows is the sub-path. The ref is a branch, refs/heads/…, refs/tags/…
/// or a commit of 40 hex digits; without one the repository's default branch is built.
///
/// Repository and sub-path together have to lie within an allowed place: equal host, equal port, and its path
/// up to the end of a segment, compared as they are handed to Kaniko. Names only, no addresses. Nothing that
/// Kaniko or its git library would decode, normalise or cut off is accepted, so that what was compared is
/// what is cloned.
///
/// Errors have no field: `unsupported` for s3, gs, Azure blobs and archives, which a later version may build
/// from; `invalid` for all else, and so for a place that is not allowed.
base::Result<Source> parse_source(std::string_view source_url, const SourceRules& rules);

}  // namespace lambda::event
