#include "amqp/uri.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/text.h"

namespace lambda::amqp {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr std::uint16_t tls_port = 5671;
constexpr std::size_t max_part_bytes = 255;  // user, vhost: AMQP's short strings
constexpr std::size_t max_uri_bytes = 4096;

// What stands before the separator; `rest` keeps what stands behind it. Nothing, and all of `rest` untouched,
// where there is none.
std::optional<std::string_view> cut_before(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view before = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  return before;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percent_decode(std::string_view text, const char* part) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return fail(ErrorKind::invalid,
                  std::string("a '%' in the ") + part + " is not followed by two hexadecimal digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (decoded.find('\0') != std::string::npos)
    return fail(ErrorKind::invalid, std::string("the ") + part + " holds a zero byte");
  if (decoded.size() > max_part_bytes)
    return fail(ErrorKind::invalid, std::string("the ") + part + " is longer than 255 bytes");
  return decoded;
}

Result<void> decode_into(std::string& target, std::string_view text, const char* part) {
  Result<std::string> decoded = percent_decode(text, part);
  if (!decoded) return tl::unexpected(std::move(decoded.error()));
  target = std::move(*decoded);
  return {};
}

Result<void> read_user(Uri& uri, std::string_view text) {
  std::string_view rest = text;
  const auto user = cut_before(rest, ':');
  if (!user) return decode_into(uri.username, text, "user");
  if (const auto done = decode_into(uri.username, *user, "user"); !done) return done;
  return decode_into(uri.password, rest, "password");
}

Result<void> read_port(Uri& uri, std::string_view text) {
  if (text.empty()) return {};
  const auto port = base::parse_integer(text);
  if (!port || *port < 1 || *port > 65535)
    return fail(ErrorKind::invalid, "the port is not one of 1 to 65535");
  uri.port = static_cast<std::uint16_t>(*port);
  return {};
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_';
}

Result<void> read_ipv6(Uri& uri, std::string_view text) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return fail(ErrorKind::invalid, "the host's '[' has no ']'");
  const std::string_view address = text.substr(1, end - 1);
  const bool plausible =
      std::ranges::all_of(address, [](char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; });
  if (address.empty() || !plausible) return fail(ErrorKind::invalid, "the host in '[…]' is no IPv6 address");
  uri.host = std::string(address);
  const std::string_view rest = text.substr(end + 1);
  if (rest.empty()) return {};
  if (rest.front() != ':') return fail(ErrorKind::invalid, "after the host's ']' comes neither ':' nor '/'");
  return read_port(uri, rest.substr(1));
}

Result<void> read_host(Uri& uri, std::string_view text) {
  if (text.starts_with('[')) return read_ipv6(uri, text);
  std::string_view port = text;
  const std::string_view host = cut_before(port, ':').value_or(text);
  if (host.size() == text.size()) port = {};
  if (!std::ranges::all_of(host, is_host_character))
    return fail(ErrorKind::invalid, "the host holds a character that a host name or address can't have");
  if (!host.empty()) uri.host = std::string(host);
  return read_port(uri, port);
}

Result<void> read_query(Uri& uri, std::string_view text) {
  while (!text.empty()) {
    std::string_view value = cut_before(text, '&').value_or(text);
    if (value.data() + value.size() == text.data() + text.size()) text = {};
    const std::string_view key = cut_before(value, '=').value_or("");
    if (key == "cacertfile") {
      if (const auto done = decode_into(uri.ca_file, value, "cacertfile"); !done) return done;
    } else if (key == "heartbeat") {
      const auto seconds = base::parse_integer(value);
      if (!seconds || *seconds < 0 || *seconds > 3600)
        return fail(ErrorKind::invalid, "heartbeat is not a number of seconds from 0 to 3600");
      uri.heartbeat_seconds = static_cast<std::uint16_t>(*seconds);
    } else {
      return fail(ErrorKind::invalid, "the query may have heartbeat and cacertfile, and nothing else");
    }
  }
  return {};
}

Result<void> read_scheme(Uri& uri, std::string_view& rest) {
  const std::size_t end = rest.find("://");
  const std::string scheme = base::to_lower(rest.substr(0, end == std::string_view::npos ? 0 : end));
  if (scheme != "amqp" && scheme != "amqps")
    return fail(ErrorKind::invalid, "an AMQP URI begins with amqp:// or amqps://");
  uri.tls = scheme == "amqps";
  if (uri.tls) uri.port = tls_port;
  rest.remove_prefix(end + 3);
  return {};
}

Result<void> read_parts(Uri& uri, std::string_view rest) {
  if (const auto done = read_scheme(uri, rest); !done) return done;
  std::string_view query = rest;
  if (const auto before = cut_before(query, '?')) {
    if (const auto done = read_query(uri, query); !done) return done;
    rest = *before;
  }
  std::string_view path = rest;
  const auto authority = cut_before(path, '/');
  std::string_view host = authority.value_or(rest);
  if (const auto user = cut_before(host, '@')) {
    if (const auto done = read_user(uri, *user); !done) return done;
  }
  if (const auto done = read_host(uri, host); !done) return done;
  if (!authority || path.empty()) return {};
  if (path.find('/') != std::string_view::npos)
    return fail(ErrorKind::invalid, "a '/' within the vhost is written %2F");
  return decode_into(uri.vhost, path, "vhost");
}

}  // namespace

std::string Uri::shown() const {
  const std::string address = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const std::string path = vhost == "/" ? "" : vhost;
  return (tls ? "amqps://" : "amqp://") + address + ":" + std::to_string(port) + "/" + path;
}

Result<Uri> parse_uri(std::string_view text) {
  if (text.size() > max_uri_bytes) return fail(ErrorKind::invalid, "the URI is longer than 4096 bytes");
  if (base::has_control_character(text) || text.find(' ') != std::string_view::npos)
    return fail(ErrorKind::invalid, "the URI holds a space or control character");
  Uri uri;
  if (auto done = read_parts(uri, text); !done) return tl::unexpected(std::move(done.error()));
  return uri;
}

UriSource fixed_uri(Uri uri) {
  return [uri = std::move(uri)]() -> Result<Uri> { return uri; };
}

UriSource uri_from_file(std::string path) {
  return [path = std::move(path)]() -> Result<Uri> {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) return fail(ErrorKind::unavailable, "cannot read the URI from " + base::quote(path));
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    const std::size_t end = text.find_last_not_of(" \t\r\n");
    if (begin == std::string::npos)
      return fail(ErrorKind::unavailable, "the URI's file " + base::quote(path) + " is empty");
    Result<Uri> uri = parse_uri(std::string_view(text).substr(begin, end - begin + 1));
    if (!uri) uri.error().message += " (in the file " + base::quote(path) + ")";
    return uri;
  };
}

UriSource uri_from(std::string text, std::string path) {
  if (text.empty()) return uri_from_file(std::move(path));
  return [text = std::move(text)] { return parse_uri(text); };
}

}  // namespace lambda::amqp
