#include "event/source.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "event/url.h"

namespace lambda::event {
namespace {

using base::quote;
using base::Result;

constexpr std::string_view git_suffix = ".git";

bool lies_within(std::string_view location, std::string_view allowed) {
  return location == allowed || (location.starts_with(allowed) && location[allowed.size()] == '/');
}

Result<void> check_allowed(const std::string& location, std::span<const std::string> allowed) {
  const auto holds_it = [&location](const std::string& entry) { return lies_within(location, entry); };
  if (std::ranges::any_of(allowed, holds_it)) return {};
  return refuse("is at " + quote(location) +
                ", which is in none of the sources that this installation allows");
}

Result<void> check_https(const Url& url, bool plain_http) {
  if (url.scheme == "https" || (url.scheme == "http" && plain_http)) return {};
  return refuse("has the scheme " + quote(url.scheme) + "; accepted: https, s3, gs");
}

// -- Git repositories

// Where all repositories are at the same depth, a path needs no ".git" to say where the repository ends.
bool has_two_level_repositories(std::string_view authority) {
  const std::string_view host = authority.substr(0, authority.find(':'));
  return host == "github.com" || host == "bitbucket.org";
}

struct Place {
  std::string repository;
  std::string sub_path;
};

constexpr std::string_view no_repository =
    "names no repository; accepted: a path as in https://github.com/organisation/repository";

Result<Place> split_two_level(std::span<const std::string_view> segments) {
  if (segments.size() < 2) return refuse(std::string(no_repository));
  std::string_view name = segments[1];
  if (name.ends_with(git_suffix)) name.remove_suffix(git_suffix.size());
  if (!is_segment(name)) {
    return refuse("has the repository name " + quote(segments[1]) + "; it needs a name before .git");
  }
  return Place{std::string(segments[0]) + "/" + std::string(name), join(segments.subspan(2))};
}

Result<Place> split_repository(const Url& url) {
  const auto segments = split_path(url.path, no_repository);
  if (!segments) return tl::unexpected(segments.error());
  const std::span<const std::string_view> all(*segments);
  if (has_two_level_repositories(url.host)) return split_two_level(all);
  const auto last =
      std::ranges::find_if(all, [](std::string_view segment) { return segment.ends_with(git_suffix); });
  if (last == all.end()) return Place{join(all), {}};
  const auto repository_segments = static_cast<std::size_t>(last - all.begin()) + 1;
  return Place{join(all.first(repository_segments)), join(all.subspan(repository_segments))};
}

// The rules of git-check-ref-format, and plain characters only.
bool is_ref_name(std::string_view name) {
  return name.find("..") == std::string_view::npos &&
         std::ranges::all_of(split(name, '/'), [](std::string_view part) {
           return !part.empty() && !part.starts_with('.') && !part.starts_with('-') && !part.ends_with('.') &&
                  !part.ends_with(".lock") && part != "@" && is_segment(part);
         });
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && consists_of(text, "0123456789abcdefABCDEF");
}

Result<std::string> full_ref(std::string_view ref) {
  if (is_commit(ref)) return base::to_lower(ref);
  std::string full(ref);
  if (!ref.starts_with("refs/")) full.insert(0, "refs/heads/");
  const bool known = full.starts_with("refs/heads/") || full.starts_with("refs/tags/");
  if (known && !ref.empty() && is_ref_name(full) && full.find('~') == std::string::npos) return full;
  return refuse("has the ref " + quote(ref) +
                "; accepted after '#': a branch, refs/heads/…, refs/tags/… or a commit of 40 hex digits");
}

Result<Source> parse_git(const Url& url, const SourceRules& rules) {
  if (auto checked = check_https(url, rules.plain_http); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_host(url.host); !checked) return tl::unexpected(checked.error());
  auto place = split_repository(url);
  if (!place) return tl::unexpected(place.error());
  const std::string repository = url.host + "/" + place->repository;
  const std::string location = place->sub_path.empty() ? repository : repository + "/" + place->sub_path;
  if (auto checked = check_allowed(location, rules.allowed); !checked) return tl::unexpected(checked.error());
  Source source{"git://" + repository, place->sub_path, url.scheme == "http", SourceKind::git};
  if (url.fragment.empty()) return source;
  const auto ref = full_ref(url.fragment.substr(1));
  if (!ref) return tl::unexpected(ref.error());
  source.context += "#" + *ref;
  return source;
}

// -- Archives

// Of the public cloud and the national ones, as Kaniko tells them.
constexpr std::array<std::string_view, 4> azure_suffixes{
    ".blob.core.windows.net", ".blob.core.chinacloudapi.cn", ".blob.core.cloudapi.de",
    ".blob.core.usgovcloudapi.net"};

bool is_azure(std::string_view host) {
  return std::ranges::any_of(azure_suffixes,
                             [host](std::string_view suffix) { return host.ends_with(suffix); });
}

bool ends_with_any(std::string_view path, std::span<const std::string_view> suffixes) {
  const std::string lower = base::to_lower(path);
  return std::ranges::any_of(suffixes, [&lower](std::string_view suffix) { return lower.ends_with(suffix); });
}

bool is_gzipped_tar(std::string_view path) {
  static constexpr std::array<std::string_view, 2> suffixes{".tar.gz", ".tgz"};
  return ends_with_any(path, suffixes);
}

bool is_other_archive(std::string_view path) {
  static constexpr std::array<std::string_view, 5> suffixes{".zip", ".tar", ".tar.bz2", ".tar.xz",
                                                            ".tar.zst"};
  return ends_with_any(path, suffixes);
}

// What every archive has to be, wherever it lies: `segments_min` plain segments, and no ref.
Result<void> check_archive(const Url& url, std::size_t segments_min) {
  constexpr std::string_view accepted = "names no object; accepted: as s3://bucket/path/context.tar.gz";
  if (!url.fragment.empty()) return refuse("has a fragment, which only a git repository can have");
  if (is_other_archive(url.path))
    return refuse("names an archive that Kaniko can't unpack; accepted: .tar.gz");
  const auto segments = split_path(url.path, accepted);
  if (!segments) return tl::unexpected(segments.error());
  return segments->size() < segments_min ? refuse(std::string(accepted)) : Result<void>();
}

// The rules of S3 and GCS together.
Result<void> check_bucket(std::string_view bucket) {
  constexpr std::size_t least = 3;
  constexpr std::size_t most = 222;
  constexpr std::string_view ends = "abcdefghijklmnopqrstuvwxyz0123456789";
  const bool fits = bucket.size() >= least && bucket.size() <= most &&
                    consists_of(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-_.") &&
                    ends.find(bucket.front()) != std::string_view::npos &&
                    ends.find(bucket.back()) != std::string_view::npos &&
                    bucket.find("..") == std::string_view::npos;
  if (fits) return {};
  // What may be user information is not repeated.
  return refuse(
      "names no bucket; accepted: 3 to 222 of a-z, 0-9, '-', '_' and '.', with a letter or digit at "
      "both ends");
}

Result<Source> parse_bucket(const Url& url, const SourceRules& rules) {
  if (auto checked = check_bucket(url.authority); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_archive(url, 1); !checked) return tl::unexpected(checked.error());
  std::string location = url.scheme + "://" + url.host + "/" + std::string(url.path);
  if (auto checked = check_allowed(location, rules.allowed); !checked) return tl::unexpected(checked.error());
  return Source{std::move(location), {}, false, url.scheme == "s3" ? SourceKind::s3 : SourceKind::gs};
}

Result<Source> parse_archive(const Url& url, const SourceRules& rules) {
  if (auto checked = check_https(url, false); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_host(url.host); !checked) return tl::unexpected(checked.error());
  const bool azure = is_azure(url.host);
  if (auto checked = check_archive(url, azure ? 2 : 1); !checked) return tl::unexpected(checked.error());
  // Kaniko looks for Azure's hosts anywhere in the URL, and would send a signature of the account's key.
  if (!azure && base::to_lower(url.path).find(".blob.core.") != std::string::npos) {
    return refuse("has \".blob.core.\" in its path, which Kaniko would take for an Azure host");
  }
  const std::string location = url.host + "/" + std::string(url.path);
  if (auto checked = check_allowed(location, rules.allowed); !checked) return tl::unexpected(checked.error());
  return Source{"https://" + location, {}, false, azure ? SourceKind::azure_blob : SourceKind::archive};
}

}  // namespace

Result<Source> parse_source(std::string_view source_url, const SourceRules& rules) {
  const auto url = split_url(source_url);
  if (!url) return tl::unexpected(url.error());
  if (url->scheme == "s3" || url->scheme == "gs") return parse_bucket(*url, rules);
  if (is_azure(url->host) || is_gzipped_tar(url->path) || is_other_archive(url->path)) {
    return parse_archive(*url, rules);
  }
  return parse_git(*url, rules);
}

}  // namespace lambda::event
