#include "event/source.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace lambda::event {
namespace {

using base::ErrorKind;
using base::fail;
using base::quote;
using base::Result;

constexpr std::size_t host_max_bytes = 253;
constexpr std::string_view scheme_end = "://";
constexpr std::string_view git_suffix = ".git";
constexpr std::string_view segment_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~+@-";

tl::unexpected<base::Error> refuse(std::string message) {
  return fail(ErrorKind::invalid, std::move(message));
}

bool is_visible_ascii(char c) {
  return c > ' ' && c <= '~';
}

bool consists_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(std::span<const std::string_view> segments) {
  std::string out;
  for (const std::string_view segment : segments) {
    if (!out.empty()) out += '/';
    out += segment;
  }
  return out;
}

// The parts of the text, cut at their separators and nothing else.
struct Url {
  std::string scheme;         // in lower case
  std::string authority;      // in lower case: "host" or "host:port", and whatever else stands there
  std::string_view path;      // without its first slash
  std::string_view fragment;  // with its '#'; empty where there is none
};

Result<Url> split_url(std::string_view text) {
  const auto scheme_bytes = text.find(scheme_end);
  if (scheme_bytes == std::string_view::npos) {
    return refuse("is no URL; accepted: a git repository, as https://github.com/organisation/repository");
  }
  Url url;
  url.scheme = base::to_lower(text.substr(0, scheme_bytes));
  text.remove_prefix(scheme_bytes + scheme_end.size());
  if (const auto hash = text.find('#'); hash != std::string_view::npos) {
    url.fragment = text.substr(hash);
    text = text.substr(0, hash);
  }
  const auto slash = text.find('/');
  url.authority = base::to_lower(text.substr(0, slash));
  if (slash != std::string_view::npos) url.path = text.substr(slash + 1);
  return url;
}

// Kaniko hands the URL to a library that decodes it once more and takes '?' and '#' from the result, so that
// a text with escapes would be compared as one thing and cloned as another. Messages do not repeat the URL
// as long as it may hold a password.
Result<void> check_characters(std::string_view text) {
  if (text.size() > source_url_max_bytes) {
    return refuse("has " + std::to_string(text.size()) +
                  " bytes; accepted: " + std::to_string(source_url_max_bytes));
  }
  if (!std::ranges::all_of(text, is_visible_ascii)) {
    return refuse("has a space, a control character or one that is not ASCII, which is not accepted");
  }
  if (text.find('%') != std::string_view::npos) return refuse("has percent-encoding, which is not accepted");
  if (text.find('\\') != std::string_view::npos) return refuse("has a backslash, which is not accepted");
  if (text.find('?') != std::string_view::npos) return refuse("has a query string, which is not accepted");
  return {};
}

bool is_archive(const Url& url) {
  const std::string path = base::to_lower(url.path);
  const auto ends = [&path](std::string_view suffix) { return path.ends_with(suffix); };
  return url.authority.ends_with(".blob.core.windows.net") || ends(".tar.gz") || ends(".tgz") ||
         ends(".tar") || ends(".zip");
}

Result<void> check_scheme(const Url& url, bool plain_http) {
  if (url.scheme == "s3" || url.scheme == "gs" || is_archive(url)) {
    return fail(ErrorKind::unsupported,
                "names a storage object or an archive, which this version does not build; "
                "accepted: a git repository, as https://github.com/organisation/repository");
  }
  if (url.scheme == "https" || (url.scheme == "http" && plain_http)) return {};
  return refuse("has the scheme " + quote(url.scheme) + "; accepted: https");
}

// Resolvers take a name for an address when its last label is a number, in decimal or hexadecimal.
bool is_number(std::string_view label) {
  if (label.starts_with("0x")) return consists_of(label.substr(2), "0123456789abcdef");
  return consists_of(label, "0123456789");
}

bool is_dns_name(std::string_view host) {
  const auto labels = split(host, '.');
  return host.size() <= host_max_bytes && std::ranges::all_of(labels, base::is_dns_label) &&
         !is_number(labels.back());
}

Result<void> check_authority(std::string_view authority) {
  if (authority.find('@') != std::string_view::npos) {
    return refuse("has user information; credentials belong into the installation's git Secret");
  }
  const auto colon = authority.find(':');
  if (!is_dns_name(authority.substr(0, colon))) {
    return refuse("has the host " + quote(authority) + "; accepted: a DNS name, no address");
  }
  if (colon == std::string_view::npos) return {};
  const auto port = base::parse_integer(authority.substr(colon + 1));
  if (port && *port >= 1 && *port <= 65535) return {};
  return refuse("has the port " + quote(authority.substr(colon + 1)) + "; accepted: 1 to 65535");
}

bool is_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." && !segment.starts_with('-') &&
         consists_of(segment, segment_characters);
}

// Where all repositories are at the same depth, a path needs no ".git" to say where the repository ends.
bool has_two_level_repositories(std::string_view authority) {
  const std::string_view host = authority.substr(0, authority.find(':'));
  return host == "github.com" || host == "bitbucket.org";
}

struct Place {
  std::string repository;
  std::string sub_path;
};

tl::unexpected<base::Error> no_repository() {
  return refuse("names no repository; accepted: a path as in https://github.com/organisation/repository");
}

Result<Place> split_two_level(std::span<const std::string_view> segments) {
  if (segments.size() < 2) return no_repository();
  std::string_view name = segments[1];
  if (name.ends_with(git_suffix)) name.remove_suffix(git_suffix.size());
  if (!is_segment(name)) {
    return refuse("has the repository name " + quote(segments[1]) + "; it needs a name before .git");
  }
  return Place{std::string(segments[0]) + "/" + std::string(name), join(segments.subspan(2))};
}

Result<Place> split_path(const Url& url) {
  if (url.path.empty()) return no_repository();
  const auto segments = split(url.path, '/');
  const auto bad = std::ranges::find_if_not(segments, is_segment);
  if (bad != segments.end()) {
    return refuse(
        "has the path segment " + quote(*bad) +
        "; accepted: letters, digits and ._~+@- without '-' at the start, and neither \".\" nor \"..\"");
  }
  const std::span<const std::string_view> all(segments);
  if (has_two_level_repositories(url.authority)) return split_two_level(all);
  const auto last =
      std::ranges::find_if(segments, [](std::string_view segment) { return segment.ends_with(git_suffix); });
  if (last == segments.end()) return Place{join(all), {}};
  const auto repository_segments = static_cast<std::size_t>(last - segments.begin()) + 1;
  return Place{join(all.first(repository_segments)), join(all.subspan(repository_segments))};
}

bool lies_within(std::string_view location, std::string_view allowed) {
  return location == allowed || (location.starts_with(allowed) && location[allowed.size()] == '/');
}

Result<void> check_allowed(const std::string& authority, const Place& place,
                           std::span<const std::string> allowed) {
  std::string location = authority + "/" + place.repository;
  if (!place.sub_path.empty()) location += "/" + place.sub_path;
  const auto holds_it = [&location](const std::string& entry) { return lies_within(location, entry); };
  if (std::ranges::any_of(allowed, holds_it)) return {};
  return refuse("is at " + quote(location) +
                ", which is in none of the sources that this installation allows");
}

// The rules of git-check-ref-format, and plain characters only.
bool is_ref_name(std::string_view name) {
  return name.find("..") == std::string_view::npos &&
         std::ranges::all_of(split(name, '/'), [](std::string_view part) {
           return !part.empty() && !part.starts_with('.') && !part.starts_with('-') && !part.ends_with('.') &&
                  !part.ends_with(".lock") && part != "@" && consists_of(part, segment_characters);
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

}  // namespace

Result<Source> parse_source(std::string_view source_url, const SourceRules& rules) {
  if (auto checked = check_characters(source_url); !checked) return tl::unexpected(checked.error());
  const auto url = split_url(source_url);
  if (!url) return tl::unexpected(url.error());
  if (auto checked = check_scheme(*url, rules.plain_http); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_authority(url->authority); !checked) return tl::unexpected(checked.error());
  auto place = split_path(*url);
  if (!place) return tl::unexpected(place.error());
  if (auto checked = check_allowed(url->authority, *place, rules.allowed); !checked) {
    return tl::unexpected(checked.error());
  }
  Source source{"git://" + url->authority + "/" + place->repository, place->sub_path, url->scheme == "http"};
  if (url->fragment.empty()) return source;
  const auto ref = full_ref(url->fragment.substr(1));
  if (!ref) return tl::unexpected(ref.error());
  source.context += "#" + *ref;
  return source;
}

}  // namespace lambda::event
