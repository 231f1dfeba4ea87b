#include <algorithm>
#include <array>

#include "desired/desired.h"

namespace lambda::desired {
namespace {

using nlohmann::json;

// Where what is not wanted has to go. Elsewhere it is a default, or another controller's.
constexpr std::array<std::string_view, 3> exact_fields{"definition", "arguments", "attributes"};

const json& nothing() {
  static const json value = json::object();
  return value;
}

const json& at(const json& object, std::string_view name) {
  if (!object.is_object()) return nothing();
  const auto found = object.find(std::string(name));
  return found == object.end() || found->is_null() ? nothing() : *found;
}

bool contains(const json& found, const json& wanted);

// What a controller written in Go leaves out when it writes the object back.
bool is_empty(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || value == false || value == 0 || (value.is_structured() && value.empty());
}

bool contains_object(const json& found, const json& wanted) {
  if (!found.is_object()) return false;
  const bool exact = std::all_of(exact_fields.begin(), exact_fields.end(),
                                 [&](std::string_view name) { return at(found, name) == at(wanted, name); });
  if (!exact) return false;
  for (const auto& [name, value] : wanted.items()) {
    const auto place = found.find(name);
    if (place == found.end() ? !is_empty(value) : !contains(*place, value)) return false;
  }
  return true;
}

bool contains(const json& found, const json& wanted) {
  if (wanted.is_object()) return contains_object(found, wanted);
  if (!wanted.is_array()) return found == wanted;
  return found.is_array() && std::equal(found.begin(), found.end(), wanted.begin(), wanted.end(), contains);
}

bool is_immutable(const json& object) {
  const std::string kind = object.value("kind", "");
  return kind == "RabbitmqSource" || kind == "Binding";
}

}  // namespace

Change change_of(const json& found, const json& wanted) {
  if (!contains(at(found, "spec"), at(wanted, "spec")))
    return is_immutable(wanted) ? Change::replace : Change::update;
  for (const std::string_view name : {"labels", "annotations"}) {
    if (!contains(at(at(found, "metadata"), name), at(at(wanted, "metadata"), name))) return Change::update;
  }
  return Change::none;
}

}  // namespace lambda::desired
