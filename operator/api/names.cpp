#include "api/names.h"

#include <algorithm>

#include "base/text.h"

namespace lambda::api {
namespace {

constexpr std::size_t dns_subdomain_max_bytes = 253;
constexpr std::size_t attribute_name_max_bytes = 20;

bool is_lower_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_in_amqp_name(char c) {
  return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z') ||
         std::string_view("_.:/@-").find(c) != std::string_view::npos;
}

}  // namespace

bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > dns_subdomain_max_bytes) return false;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const bool well_formed =
        !part.empty() && part.front() != '-' && part.back() != '-' &&
        std::all_of(part.begin(), part.end(), [](char c) { return is_lower_alphanumeric(c) || c == '-'; });
    if (!well_formed) return false;
    begin = end + 1;
  }
  return true;
}

bool is_amqp_name(std::string_view text) {
  return !text.empty() && text.size() <= amqp_name_max_bytes && !text.starts_with("amq.") &&
         std::all_of(text.begin(), text.end(), is_in_amqp_name);
}

bool is_amqp_text(std::string_view text) {
  return text.size() <= amqp_name_max_bytes && base::is_valid_utf8(text) &&
         !base::has_control_character(text);
}

bool is_attribute_name(std::string_view text) {
  return !text.empty() && text.size() <= attribute_name_max_bytes &&
         std::all_of(text.begin(), text.end(), is_lower_alphanumeric);
}

}  // namespace lambda::api
