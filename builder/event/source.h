// From the source_url of an event to what Kaniko fetches.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::event {

inline constexpr std::size_t source_url_max_bytes = 2048;

enum class SourceKind { git, s3, gs, azure_blob, archive };

struct Source {
  std::string context;   // as Kaniko's --context takes it: "git://host[:port]/repository[#ref]", "s3://…", …
  std::string sub_path;  // folder within the repository, as --context-sub-path takes it; empty: its root
  bool plain_http = false;  // to be cloned by http, which Kaniko has to be told apart from the context
  SourceKind kind = SourceKind::git;

  bool operator==(const Source&) const = default;
};

struct SourceRules {
  /// "host[:port][/path/prefix]", the host in lower case, "s3://bucket[/prefix]" or "gs://bucket[/prefix]"
  /// each.
  std::span<const std::string> allowed;
  bool plain_http = false;  // whether http:// is accepted beside https://, for git only
};

/// Reads one of
/// - "https://host[:port]/path[#ref]", a git repository. On github.com and bitbucket.org the first two
///   segments of the path are the repository (a ".git" at its end is dropped); elsewhere it ends with the
///   first segment that ends in ".git", or is the whole path. What follows is the sub-path. The ref is a
///   branch, refs/heads/…, refs/tags/… or a commit of 40 hex digits; without one the default branch is built.
/// - "https://host[:port]/path.tar.gz" (or .tgz), a gzipped tar file.
/// - "s3://bucket/key", "gs://bucket/key" and "https://account.blob.core.windows.net/container/blob" (and
///   Azure's national clouds), whose object is a gzipped tar file.
///
/// The place (of git: repository and sub-path together) has to lie within an allowed one: equal host and
/// port, or equal scheme and bucket, and its path up to the end of a segment, compared as they are handed to
/// Kaniko. Names only, no addresses. Nothing that Kaniko or its libraries would decode, normalise or cut off
/// is accepted, so that what was compared is what is asked for; where an allowed server redirects to, is up
/// to it.
///
/// Errors are `invalid` and have no field.
base::Result<Source> parse_source(std::string_view source_url, const SourceRules& rules);

}  // namespace lambda::event
