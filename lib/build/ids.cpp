#include "build/ids.h"

#include "base/hash.h"
#include "base/text.h"

namespace lambda::build {
namespace {

constexpr std::string_view hash_prefix = "h-";
constexpr std::size_t hash_characters = id_hash_bytes - hash_prefix.size();

bool is_lower_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool looks_like_hash(std::string_view id) {
  return id.size() == hash_prefix.size() + hash_characters && id.starts_with(hash_prefix) &&
         id.find_first_not_of("0123456789abcdef", hash_prefix.size()) == std::string_view::npos;
}

std::string id_or_hash(std::string_view id, bool follows_rule) {
  if (follows_rule && !id.empty() && id.size() <= id_text_max_bytes && !looks_like_hash(id)) {
    return std::string(id);
  }
  return id_hash(id);
}

}  // namespace

std::string id_hash(std::string_view id) {
  return std::string(hash_prefix) + base::sha256_hex({id}).substr(0, hash_characters);
}

std::string label_value(std::string_view id) {
  return id_or_hash(id, base::is_label_value(id));
}

std::string dns_label(std::string_view id) {
  return id_or_hash(id, base::is_dns_label(id));
}

std::string path_component(std::string_view id) {
  return id_or_hash(id, is_path_component(id));
}

bool is_path_component(std::string_view text) {
  bool separator_allowed = false;  // only behind a letter or digit
  for (const char c : text) {
    const bool alphanumeric = is_lower_alphanumeric(c);
    const bool separator = c == '.' || c == '_' || c == '-';
    if (!alphanumeric && !(separator && separator_allowed)) return false;
    separator_allowed = alphanumeric;
  }
  return separator_allowed;  // the last one was a letter or digit
}

}  // namespace lambda::build
