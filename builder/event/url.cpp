#include "event/url.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "event/source.h"

namespace lambda::event {
namespace {

using base::quote;
using base::Result;

constexpr std::size_t host_max_bytes = 253;
constexpr std::string_view scheme_end = "://";
constexpr std::string_view segment_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~+@-";

bool is_visible_ascii(char c) {
  return c > ' ' && c <= '~';
}

// Kaniko hands the URL to a library that decodes it once more and takes '?' and '#' from the result, so that
// a text with escapes would be compared as one thing and fetched as another.
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

}  // namespace

tl::unexpected<base::Error> refuse(std::string message) {
  return base::fail(base::ErrorKind::invalid, std::move(message));
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

Result<Url> split_url(std::string_view text) {
  if (auto checked = check_characters(text); !checked) return tl::unexpected(checked.error());
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
  url.authority = text.substr(0, slash);
  url.host = base::to_lower(url.authority);
  if (slash != std::string_view::npos) url.path = text.substr(slash + 1);
  return url;
}

Result<void> check_host(std::string_view host) {
  if (host.find('@') != std::string_view::npos) {
    return refuse("has user information; credentials belong into the installation's Secrets");
  }
  const auto colon = host.find(':');
  if (!is_dns_name(host.substr(0, colon))) {
    return refuse("has the host " + quote(host) + "; accepted: a DNS name, no address");
  }
  if (colon == std::string_view::npos) return {};
  const auto port = base::parse_integer(host.substr(colon + 1));
  if (port && *port >= 1 && *port <= 65535) return {};
  return refuse("has the port " + quote(host.substr(colon + 1)) + "; accepted: 1 to 65535");
}

bool is_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." && !segment.starts_with('-') &&
         consists_of(segment, segment_characters);
}

Result<std::vector<std::string_view>> split_path(std::string_view path, std::string_view accepted) {
  if (path.empty()) return refuse(std::string(accepted));
  auto segments = split(path, '/');
  const auto bad = std::ranges::find_if_not(segments, is_segment);
  if (bad == segments.end()) return segments;
  return refuse(
      "has the path segment " + quote(*bad) +
      "; accepted: letters, digits and ._~+@- without '-' at the start, and neither \".\" nor \"..\"");
}

}  // namespace lambda::event
