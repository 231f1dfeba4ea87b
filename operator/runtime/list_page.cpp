#include "runtime/list_page.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace lambda::runtime {
namespace {

using nlohmann::json;

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

base::Result<ListPageEnd> read_list_page(std::string_view body, const std::function<void(json&&)>& on_item) {
  constexpr int field_depth = 1;  // {"items": …
  constexpr int item_depth = 2;   // {"items": [{…
  bool in_items = false;
  const auto on_part = [&](int depth, json::parse_event_t event, json& part) {
    if (event == json::parse_event_t::key && depth == field_depth) in_items = part == "items";
    if (event != json::parse_event_t::object_end || depth != item_depth || !in_items) return true;
    on_item(std::move(part));
    return false;  // not to be kept
  };
  const json list = json::parse(body, on_part, false);
  const auto metadata = list.is_object() ? list.find("metadata") : list.end();
  if (!list.is_object() || !list.contains("items") || metadata == list.end() || !metadata->is_object())
    return base::fail(base::ErrorKind::unavailable, "the answer to a list is no list");
  return ListPageEnd{text_at(*metadata, "resourceVersion"), text_at(*metadata, "continue")};
}

}  // namespace lambda::runtime
