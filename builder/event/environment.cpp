#include "event/environment.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::event {
namespace {

using base::ErrorKind;
using base::fail;
using base::quote;
using base::Result;
using nlohmann::json;

constexpr std::size_t names_max = 64;
constexpr std::size_t all_max_bytes = 32'768;

bool is_name(std::string_view text) {
  constexpr std::string_view characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos &&
         !(text.front() >= '0' && text.front() <= '9');
}

Result<void> check_name(const std::string& name, const std::string& path) {
  if (!is_name(name)) {
    return fail(ErrorKind::invalid, "has the name " + quote(name) + "; accepted: [A-Za-z_][A-Za-z0-9_]*",
                path);
  }
  // Docker and Kaniko know these without being told and would send the build's traffic there.
  if (base::to_lower(name).ends_with("_proxy")) {
    return fail(ErrorKind::invalid, "has the name " + quote(name) + "; proxies are the installation's to set",
                path);
  }
  return {};
}

Result<std::string> read_value(const json& value, const std::string& path) {
  if (!value.is_string()) {
    return fail(ErrorKind::invalid, std::string("is of type ") + value.type_name() + "; accepted: string",
                path);
  }
  const auto& text = value.get_ref<const std::string&>();
  std::string without_tabs = text;
  std::erase(without_tabs, '\t');
  if (base::has_control_character(without_tabs)) {
    return fail(ErrorKind::invalid,
                quote(text) + " has a control character; of these only the tab is accepted", path);
  }
  return text;
}

}  // namespace

Result<Environment> parse_environment(const json& object, const std::string& path) {
  if (object.size() > names_max) {
    return fail(ErrorKind::invalid,
                "has " + std::to_string(object.size()) + " names; accepted: " + std::to_string(names_max),
                path);
  }
  Environment environment;
  std::size_t bytes = 0;
  for (const auto& [name, value] : object.items()) {
    if (auto checked = check_name(name, path); !checked) return tl::unexpected(checked.error());
    auto text = read_value(value, path + "." + name);
    if (!text) return tl::unexpected(text.error());
    bytes += name.size() + text->size();
    environment.emplace_back(name, std::move(*text));
  }
  if (bytes > all_max_bytes) {
    return fail(ErrorKind::invalid,
                "has " + std::to_string(bytes) +
                    " bytes of names and values; accepted: " + std::to_string(all_max_bytes),
                path);
  }
  return environment;
}

}  // namespace lambda::event
