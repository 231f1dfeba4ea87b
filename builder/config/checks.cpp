#include "config/checks.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "build/destination.h"
#include "build/ids.h"
#include "yaml/checks.h"

namespace lambda::config {
namespace {

using namespace yaml;
using base::Result;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_visible_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

// Each part between the separators.
bool every_part(std::string_view text, char separator, bool (*fits)(std::string_view)) {
  for (;;) {
    const auto end = text.find(separator);
    if (!fits(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

std::size_t count_digits(std::string_view text) {
  return std::min(text.find_first_not_of("0123456789"), text.size());
}

// What may follow a quantity's number: "", "m", "Gi", "e3" …
bool is_quantity_suffix(std::string_view text) {
  constexpr std::array<std::string_view, 16> units{"",  "n", "u",  "m",  "k",  "M",  "G",  "T",
                                                   "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  if (std::ranges::find(units, text) != units.end()) return true;
  if (!text.starts_with('e') && !text.starts_with('E')) return false;
  text.remove_prefix(1);
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && count_digits(text) == text.size();
}

bool is_path_segment(std::string_view segment) {
  if (segment.empty() || segment == "." || segment == "..") return false;
  return is_visible_ascii(segment) && segment.find_first_of("?#%*\\") == std::string_view::npos;
}

bool is_port(std::string_view text) {
  const auto number = base::parse_integer(text);
  return number && *number >= 1 && *number <= 65535;
}

// A source_url never names its host by address, so an entry that does would match nothing.
bool is_host(std::string_view text) {
  const std::string_view last_label = text.substr(text.rfind('.') + 1);
  return base::is_dns_subdomain(text) && every_part(text, '.', base::is_dns_label) &&
         !std::ranges::all_of(last_label, is_digit);
}

bool is_authority(std::string_view text) {
  const auto colon = text.find(':');
  const bool port_fits = colon == std::string_view::npos || is_port(text.substr(colon + 1));
  return port_fits && is_host(base::to_lower(text.substr(0, colon)));
}

constexpr std::size_t bucket_scheme_bytes = std::string_view("s3://").size();

bool is_bucket_url(std::string_view text) {
  return text.starts_with("s3://") || text.starts_with("gs://");
}

// As in a source_url: what is refused there would match nothing here.
bool is_bucket(std::string_view text) {
  constexpr std::size_t bucket_max_bytes = 222;
  const auto fits = [](char c) { return is_name_character(c) || c == '.' || c == '_'; };
  return text.size() <= bucket_max_bytes && std::ranges::all_of(text, fits) &&
         every_part(text, '.', [](std::string_view part) { return !part.empty(); }) && text.front() != '-' &&
         text.front() != '_';
}

}  // namespace

Result<void> check_secret_name(std::string_view text) {
  const std::string longest_id(build::id_text_max_bytes, 'a');
  if (base::is_dns_subdomain(build::make_secret_name(text, longest_id))) return {};
  return refuse_text(
      text,
      "the name of a Secret (a-z, 0-9, '-', '.'), in which {third_party_id} stands for the tenant's id");
}

Result<void> check_config_map_key(std::string_view text) {
  constexpr std::size_t config_map_key_max_bytes = 253;
  const auto fits = [](char c) {
    return is_name_character(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_';
  };
  const bool dots = text.find("..") != std::string_view::npos || text == ".";
  if (!text.empty() && text.size() <= config_map_key_max_bytes && !dots && std::ranges::all_of(text, fits)) {
    return {};
  }
  return refuse_text(text, "a key of a ConfigMap: letters, digits and -._ without \"..\"");
}

Result<void> check_runtime_name(std::string_view text) {
  if (base::is_dns_subdomain(text) && base::is_label_value(text)) return {};
  return refuse_text(text,
                     "the name of a runtime: a-z, 0-9, '-' and '.', at most 63 characters, as python3.13");
}

Result<void> check_image(std::string_view text) {
  constexpr std::size_t image_max_bytes = 512;
  if (!text.empty() && text.size() <= image_max_bytes && is_visible_ascii(text)) return {};
  return refuse_text(text, "an image reference without spaces, as registry.example/kaniko:v1.28.3");
}

Result<void> check_quantity(std::string_view text) {
  const std::size_t whole = count_digits(text);
  std::string_view rest = text.substr(whole);
  std::size_t fraction = 0;
  if (rest.starts_with('.')) {
    fraction = count_digits(rest.substr(1));
    rest.remove_prefix(1 + fraction);
  }
  if (whole + fraction > 0 && is_quantity_suffix(rest)) return {};
  return refuse_text(text, "a Kubernetes quantity, as 500m, 2 or 1Gi");
}

Result<void> check_allowed_source(std::string_view text) {
  constexpr std::string_view accepted =
      "host[:port][/path/prefix], s3://bucket[/prefix] or gs://bucket[/prefix], without another scheme, "
      "user, "
      "wildcard or IP address";
  const bool bucket = is_bucket_url(text);
  const std::string_view rest = bucket ? text.substr(bucket_scheme_bytes) : text;
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view place = rest.substr(0, slash);
  if (!(bucket ? is_bucket(place) : is_authority(place))) return refuse_text(text, accepted);
  std::string_view path = rest.substr(slash);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (!path.empty() && !every_part(path.substr(1), '/', is_path_segment)) return refuse_text(text, accepted);
  return {};
}

std::string normal_allowed_source(std::string_view text) {
  if (text.ends_with('/')) text.remove_suffix(1);
  if (is_bucket_url(text)) return std::string(text);
  const auto slash = std::min(text.find('/'), text.size());
  return base::to_lower(text.substr(0, slash)) + std::string(text.substr(slash));
}

}  // namespace lambda::config
