#include "yaml/checks.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

#include "base/text.h"

namespace lambda::yaml {

using base::Result;

namespace {

bool is_visible_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

tl::unexpected<base::Error> refuse_text(std::string_view text, std::string_view accepted) {
  return base::fail(base::ErrorKind::invalid,
                    "found " + base::quote(text) + "; accepted: " + std::string(accepted));
}

Check printable(std::size_t least, std::size_t most) {
  return [least, most](std::string_view text) -> Result<void> {
    const bool fits = text.size() >= least && text.size() <= most;
    if (fits && base::is_valid_utf8(text) && !base::has_control_character(text)) return {};
    return refuse_text(
        text, std::to_string(least) + " to " + std::to_string(most) + " bytes without control characters");
  };
}

Check empty_or(Check check) {
  return [check = std::move(check)](std::string_view text) -> Result<void> {
    if (text.empty()) return {};
    return check(text);
  };
}

Result<void> check_ip_address(std::string_view text) {
  const std::string address(text);
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  if (inet_pton(AF_INET, address.c_str(), parsed.data()) == 1) return {};
  if (inet_pton(AF_INET6, address.c_str(), parsed.data()) == 1) return {};
  return refuse_text(text, "an IP address, as 0.0.0.0, 127.0.0.1 or ::");
}

Result<void> check_dns_label(std::string_view text) {
  if (base::is_dns_label(text)) return {};
  return refuse_text(text, "1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends");
}

Result<void> check_dns_subdomain(std::string_view text) {
  if (base::is_dns_subdomain(text)) return {};
  return refuse_text(text, "names of a-z, 0-9 and '-', joined by '.', at most 253 characters");
}

Result<void> check_event_source(std::string_view text) {
  constexpr std::size_t source_max_bytes = 1024;
  const bool spaces = text.find(' ') != std::string_view::npos;
  if (!spaces && printable(1, source_max_bytes)(text)) return {};
  return refuse_text(text, "a CloudEvents source without spaces, as network.notifi.kaniko-jobs");
}

Result<void> check_amqp_uri(std::string_view text) {
  const bool known = text.starts_with("amqp://") || text.starts_with("amqps://");
  if (known && is_visible_ascii(text)) return {};
  return base::fail(base::ErrorKind::invalid,
                    "accepted: a URI as amqp://user:password@host:5672/vhost, or amqps:// for TLS");
}

Result<void> check_http_url(std::string_view text) {
  const std::size_t scheme = text.starts_with("http://") ? 7 : text.starts_with("https://") ? 8 : 0;
  const std::string_view host = text.substr(scheme, text.find('/', scheme) - scheme);
  const bool plain = is_visible_ascii(text) && text.find_first_of("?#@") == std::string_view::npos;
  if (scheme > 0 && plain && !host.empty()) return {};
  return base::fail(
      base::ErrorKind::invalid,
      "accepted: a URL as http://host:port/path, or https://, without user, query and fragment");
}

}  // namespace lambda::yaml
