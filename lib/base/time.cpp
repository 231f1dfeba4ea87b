#include "base/time.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "base/text.h"

namespace lambda::base {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds duration_max = hours(10000);

struct Unit {
  std::string_view name;
  milliseconds length;
};

// "ms" stands before "m": the first name that fits is taken.
constexpr std::array<Unit, 4> units{Unit{"ms", milliseconds(1)}, Unit{"h", hours(1)}, Unit{"m", minutes(1)},
                                    Unit{"s", seconds(1)}};

tl::unexpected<Error> bad_duration(std::string_view text) {
  return fail(ErrorKind::invalid,
              quote(text) + " is no duration; accepted: 100ms, 5s, 30m, 1h30m, up to 10000h");
}

// The two-or-more-digit number at `at`, all of `count` digits, or -1.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// With leading zeros, and what stands behind it.
void append_number(std::string& out, long long number, std::size_t digits, char separator) {
  const std::string text = std::to_string(number);
  out.append(digits - std::min(digits, text.size()), '0').append(text).push_back(separator);
}

bool between(int value, int low, int high) {
  return value >= low && value <= high;
}

bool is_date(std::string_view text) {
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  if (text[4] != '-' || text[7] != '-' || year < 0 || month < 0 || day < 0) return false;
  return std::chrono::year_month_day(std::chrono::year(year),
                                     std::chrono::month(static_cast<unsigned>(month)),
                                     std::chrono::day(static_cast<unsigned>(day)))
      .ok();
}

bool is_time_of_day(std::string_view text) {
  return between(digits(text, 0, 2), 0, 23) && text[2] == ':' && between(digits(text, 3, 2), 0, 59) &&
         text[5] == ':' && between(digits(text, 6, 2), 0, 60);
}

bool is_zone(std::string_view text) {
  if (text == "Z" || text == "z") return true;
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') && between(digits(text, 1, 2), 0, 23) &&
         text[3] == ':' && between(digits(text, 4, 2), 0, 59);
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return milliseconds(0);
  if (text.empty()) return bad_duration(text);
  milliseconds total{0};
  for (std::string_view rest = text; !rest.empty();) {
    unsigned count = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (error != std::errc()) return bad_duration(text);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit =
        std::find_if(units.begin(), units.end(), [&](const Unit& u) { return rest.starts_with(u.name); });
    if (unit == units.end()) return bad_duration(text);
    rest.remove_prefix(unit->name.size());
    // Compared before it is multiplied, so that nothing overflows.
    if (count > duration_max / unit->length) return bad_duration(text);
    total += unit->length * count;
    if (total > duration_max) return bad_duration(text);
  }
  return total;
}

std::string format_duration(milliseconds duration) {
  if (duration.count() == 0) return "0s";
  std::string out;
  for (const Unit& unit : {units[1], units[2], units[3], units[0]}) {
    if (const auto count = duration / unit.length; count > 0) {
      out += std::to_string(count) + std::string(unit.name);
      duration -= unit.length * count;
    }
  }
  return out;
}

std::string format_rfc3339(std::chrono::system_clock::time_point time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<milliseconds>(time - day));
  std::string out;
  append_number(out, int{date.year()}, 4, '-');
  append_number(out, unsigned{date.month()}, 2, '-');
  append_number(out, unsigned{date.day()}, 2, 'T');
  append_number(out, clock.hours().count(), 2, ':');
  append_number(out, clock.minutes().count(), 2, ':');
  append_number(out, clock.seconds().count(), 2, '.');
  append_number(out, clock.subseconds().count(), 3, 'Z');
  return out;
}

bool is_rfc3339(std::string_view text) {
  constexpr std::size_t shortest = std::string_view("2024-01-01T00:00:00Z").size();
  if (text.size() < shortest || (text[10] != 'T' && text[10] != 't')) return false;
  if (!is_date(text.substr(0, 10)) || !is_time_of_day(text.substr(11, 8))) return false;
  std::string_view rest = text.substr(19);
  if (rest.starts_with('.')) {
    const auto end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    if (end == 1) return false;
    rest.remove_prefix(end);
  }
  return is_zone(rest);
}

std::optional<CalendarTime> parse_rfc3339(std::string_view text) {
  if (!is_rfc3339(text)) return std::nullopt;
  const std::chrono::sys_days day = std::chrono::year_month_day(
      std::chrono::year(digits(text, 0, 4)), std::chrono::month(static_cast<unsigned>(digits(text, 5, 2))),
      std::chrono::day(static_cast<unsigned>(digits(text, 8, 2))));
  CalendarTime time =
      day + hours(digits(text, 11, 2)) + minutes(digits(text, 14, 2)) + seconds(digits(text, 17, 2));
  std::string_view rest = text.substr(19);
  if (rest.starts_with('.')) {
    milliseconds unit(100);
    for (rest.remove_prefix(1); std::isdigit(static_cast<unsigned char>(rest.front())) != 0;
         rest.remove_prefix(1), unit /= 10)
      time += unit * (rest.front() - '0');
  }
  if (rest.size() == 1) return time;
  const auto offset = hours(digits(rest, 1, 2)) + minutes(digits(rest, 4, 2));
  return rest.front() == '+' ? time - offset : time + offset;
}

}  // namespace lambda::base
