#include "api/iso_duration.h"

#include <array>
#include <charconv>
#include <cstdint>

namespace lambda::api {
namespace {

using base::milliseconds;

constexpr milliseconds longest = std::chrono::hours(10'000);

struct Unit {
  char name;
  milliseconds length;
};
constexpr std::array<Unit, 3> units{Unit{'H', std::chrono::hours(1)}, Unit{'M', std::chrono::minutes(1)},
                                    Unit{'S', std::chrono::seconds(1)}};

// The digits behind the point, as thousandths; the point is already taken. None: no digits.
std::optional<std::int64_t> take_thousandths(std::string_view& rest) {
  const std::size_t count = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (count == 0) return std::nullopt;
  std::int64_t thousandths = 0;
  for (std::size_t i = 0; i < 3; ++i) thousandths = thousandths * 10 + (i < count ? rest[i] - '0' : 0);
  rest.remove_prefix(count);
  return thousandths;
}

struct Number {
  std::uint32_t whole = 0;
  bool is_decimal = false;
  std::int64_t thousandths = 0;
};

std::optional<Number> take_number(std::string_view& rest) {
  Number number;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number.whole);
  if (error != std::errc()) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  number.is_decimal = rest.starts_with('.');
  if (!number.is_decimal) return number;
  rest.remove_prefix(1);
  const auto thousandths = take_thousandths(rest);
  if (!thousandths) return std::nullopt;
  number.thousandths = *thousandths;
  return number;
}

// Each unit at most once, in their order: `next` is the first that may still come.
const Unit* take_unit(std::string_view& rest, std::size_t& next) {
  while (next < units.size() && !rest.starts_with(units[next].name)) ++next;
  if (next == units.size()) return nullptr;
  rest.remove_prefix(1);
  return &units[next++];
}

}  // namespace

std::optional<milliseconds> parse_iso_duration(std::string_view text) {
  if (!text.starts_with("PT")) return std::nullopt;
  std::string_view rest = text.substr(2);
  if (rest.empty()) return std::nullopt;
  milliseconds total{0};
  std::size_t next_unit = 0;
  while (!rest.empty()) {
    const auto number = take_number(rest);
    if (!number) return std::nullopt;
    const Unit* const unit = take_unit(rest, next_unit);
    if (unit == nullptr || (number->is_decimal && unit->name != 'S')) return std::nullopt;
    total += unit->length * number->whole + milliseconds(number->thousandths);
    if (total > longest) return std::nullopt;
  }
  return total;
}

std::string format_iso_duration(milliseconds duration) {
  std::string out = "PT";
  for (const Unit& unit : {units[0], units[1]}) {
    const auto count = duration / unit.length;
    if (count > 0) out += std::to_string(count) + unit.name;
    duration -= unit.length * count;
  }
  if (duration.count() == 0 && out != "PT") return out;
  out += std::to_string(duration.count() / 1000);
  if (auto thousandths = std::to_string(1000 + duration.count() % 1000).substr(1); thousandths != "000") {
    out += '.' + thousandths.substr(0, thousandths.find_last_not_of('0') + 1);
  }
  return out + 'S';
}

}  // namespace lambda::api
