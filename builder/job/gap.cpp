#include "job/gap.h"

#include <nlohmann/json.hpp>

namespace lambda::job {
namespace {

// A gap is a binary value: no JSON text has one, so none can come in with the configuration.
using json = nlohmann::ordered_json;

constexpr std::uint64_t value_subtype = 0;
constexpr std::uint64_t rest_subtype = 1;

}  // namespace

json value_gap(Gap gap) {
  return json::binary({static_cast<std::uint8_t>(gap)}, value_subtype);
}

json rest_gap(Gap gap) {
  return json::binary({static_cast<std::uint8_t>(gap)}, rest_subtype);
}

Gap gap_in(const json& value) {
  return value.is_binary() ? static_cast<Gap>(value.get_binary().at(0)) : Gap::none;
}

bool is_rest(const json& value) {
  return value.is_binary() && value.get_binary().subtype() == rest_subtype;
}

}  // namespace lambda::job
