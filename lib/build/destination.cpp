#include "build/destination.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/text.h"
#include "build/ids.h"

namespace lambda::build {
namespace {

using base::ErrorKind;
using base::fail;
using base::quote;
using base::Result;

constexpr std::string_view third_party_id_name = "{third_party_id}";
constexpr std::string_view parser_id_name = "{parser_id}";
constexpr std::string_view event_hash_name = "{event_hash}";

constexpr std::size_t image_name_max_bytes = 255;  // registry and path; what registries commonly take
constexpr std::size_t tag_max_bytes = 128;
constexpr std::size_t event_hash_bytes = 32;

struct Replacement {
  std::string_view name;
  std::string value;
};

// Every name by its value, in one pass: what a value holds is never taken for a name.
std::string replace_names(std::string_view text, std::span<const Replacement> replacements) {
  std::string out;
  for (;;) {
    const auto brace = std::min(text.find('{'), text.size());
    out += text.substr(0, brace);
    text.remove_prefix(brace);
    if (text.empty()) return out;
    const auto found = std::ranges::find_if(
        replacements, [text](const Replacement& replacement) { return text.starts_with(replacement.name); });
    if (found == replacements.end()) {
      out += text.front();
      text.remove_prefix(1);
    } else {
      out += found->value;
      text.remove_prefix(found->name.size());
    }
  }
}

bool is_port(std::string_view text) {
  const auto port = base::parse_integer(text);
  return port && *port >= 1 && *port <= 65535;
}

bool is_host(std::string_view text) {
  for (;;) {
    const auto dot = text.find('.');
    if (!base::is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// Without a '.' or a port, tools take the first component for a path on Docker Hub.
bool is_registry(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  if (!is_host(host)) return false;
  if (colon != std::string_view::npos) return is_port(text.substr(colon + 1));
  return host == "localhost" || host.find('.') != std::string_view::npos;
}

bool is_path(std::string_view text) {
  for (;;) {
    const auto slash = text.find('/');
    if (!is_path_component(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool is_tag(std::string_view text) {
  constexpr std::string_view characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  return !text.empty() && text.size() <= tag_max_bytes && text.front() != '.' && text.front() != '-' &&
         text.find_first_not_of(characters) == std::string_view::npos;
}

bool has_tenant_component(std::string_view path_template) {
  const std::string component = "/" + std::string(third_party_id_name);
  const auto found = path_template.find(component);
  if (found == std::string_view::npos) return false;
  const std::string_view rest = path_template.substr(found + component.size());
  return rest.empty() || rest.front() == '/' || rest.front() == ':';
}

// Whether two tenants' references always differ.
bool separates_tenants(std::string_view destination_template) {
  return destination_template.find(event_hash_name) != std::string_view::npos ||
         has_tenant_component(destination_template);
}

Result<void> check_longest_reference(std::string_view registry, std::string_view path_and_tag) {
  const auto colon = path_and_tag.find(':');
  const std::string_view path = path_and_tag.substr(0, colon);
  if (!is_path(path)) {
    return fail(ErrorKind::invalid,
                "has the path " + quote(path) +
                    "; accepted: components [a-z0-9]+([._-][a-z0-9]+)* with '/' between them");
  }
  if (registry.size() + 1 + path.size() > image_name_max_bytes) {
    return fail(ErrorKind::invalid, "can make image names of " +
                                        std::to_string(registry.size() + 1 + path.size()) +
                                        " bytes; accepted: " + std::to_string(image_name_max_bytes));
  }
  if (colon != std::string_view::npos && !is_tag(path_and_tag.substr(colon + 1))) {
    return fail(ErrorKind::invalid, "has or can make the tag " + quote(path_and_tag.substr(colon + 1)) +
                                        "; accepted: [A-Za-z0-9_][A-Za-z0-9._-]* of at most 128 characters");
  }
  return {};
}

}  // namespace

Result<void> check_destination(std::string_view destination_template) {
  const auto slash = destination_template.find('/');
  const std::string_view registry = destination_template.substr(0, slash);
  if (slash == std::string_view::npos || !is_registry(registry)) {
    return fail(ErrorKind::invalid, "is " + quote(destination_template) +
                                        "; accepted: a registry in plain text, then '/' and a path, as "
                                        "registry.local/{third_party_id}/{parser_id}:{event_hash}");
  }
  const std::array<Replacement, 3> longest{{{third_party_id_name, std::string(id_text_max_bytes, 'a')},
                                            {parser_id_name, std::string(id_text_max_bytes, 'a')},
                                            {event_hash_name, std::string(event_hash_bytes, 'a')}}};
  const std::string path_and_tag = replace_names(destination_template.substr(slash + 1), longest);
  if (const auto brace = path_and_tag.find_first_of("{}"); brace != std::string::npos) {
    return fail(ErrorKind::invalid, "has an unknown placeholder at " + quote(path_and_tag.substr(brace)) +
                                        "; accepted: {third_party_id}, {parser_id}, {event_hash}");
  }
  if (!separates_tenants(destination_template)) {
    return fail(ErrorKind::invalid, "is " + quote(destination_template) +
                                        ", by which tenants could push over each other's images; accepted: "
                                        "{third_party_id} as a component of its own, or {event_hash}");
  }
  return check_longest_reference(registry, path_and_tag);
}

std::string make_destination(std::string_view destination_template, std::string_view third_party_id,
                             std::string_view parser_id, std::string_view event_hash) {
  const std::array<Replacement, 3> replacements{{{third_party_id_name, path_component(third_party_id)},
                                                 {parser_id_name, path_component(parser_id)},
                                                 {event_hash_name, std::string(event_hash)}}};
  return replace_names(destination_template, replacements);
}

Result<void> check_cache_repository(std::string_view repository_template) {
  const auto slash = std::min(repository_template.find('/'), repository_template.size());
  const bool tagged = repository_template.find(':', slash) != std::string_view::npos;
  const bool of_one_event = repository_template.find(event_hash_name) != std::string_view::npos;
  if (tagged || of_one_event || !has_tenant_component(repository_template)) {
    return fail(ErrorKind::invalid,
                "is " + quote(repository_template) +
                    "; accepted: a repository without tag, in which {third_party_id} is a "
                    "component of its own and {event_hash} does not occur, as "
                    "registry.local/{third_party_id}/cache");
  }
  return check_destination(repository_template);
}

std::string make_cache_repository(std::string_view repository_template, std::string_view third_party_id,
                                  std::string_view parser_id) {
  return make_destination(repository_template, third_party_id, parser_id, {});
}

Result<void> check_queue_name(std::string_view name_template) {
  const std::string longest_hash(id_hash_bytes, 'a');
  const std::array<Replacement, 1> replacements{{{third_party_id_name, longest_hash}}};
  if (base::is_dns_label(replace_names(name_template, replacements))) return {};
  return fail(ErrorKind::invalid, "is " + quote(name_template) +
                                      "; accepted: a name of a-z, 0-9 and '-', in which {third_party_id} "
                                      "stands for the tenant's id, at most 63 characters with an id of " +
                                      std::to_string(id_hash_bytes));
}

std::string make_queue_name(std::string_view name_template, std::string_view third_party_id) {
  std::string name = make_secret_name(name_template, third_party_id);
  if (name.size() <= id_text_max_bytes) return name;
  const std::array<Replacement, 1> replacements{{{third_party_id_name, id_hash(third_party_id)}}};
  return replace_names(name_template, replacements);
}

std::string make_secret_name(std::string_view name_template, std::string_view third_party_id) {
  const std::array<Replacement, 1> replacements{{{third_party_id_name, dns_label(third_party_id)}}};
  return replace_names(name_template, replacements);
}

}  // namespace lambda::build
