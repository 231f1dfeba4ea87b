// The patterns of our policies: which of a broker's names they match.
#pragma once

#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace lambda::topology {

/// Whether it means something else than itself to Erlang's regular expressions or to C++'s.
bool is_special_in_pattern(char character);

/// The names that a pattern as pattern_of() makes it is meant for; nothing for any other pattern.
std::optional<std::vector<std::string>> names_of(std::string_view pattern);

/// Matches anywhere in a name, as RabbitMQ does. For patterns of ours: one that C++ does not understand
/// matches nothing, and a stranger's could keep it busy for ever.
class Pattern {
 public:
  explicit Pattern(const std::string& pattern);

  bool matches(const std::string& name) const;

  /// The values of the map (by name) whose names match; a lookup for each name, if they are known.
  template <class Map>
  std::vector<const typename Map::mapped_type*> select(const Map& things) const {
    std::vector<const typename Map::mapped_type*> selected;
    if (names_) {
      for (const std::string& name : *names_)
        if (const auto found = things.find(name); found != things.end()) selected.push_back(&found->second);
      return selected;
    }
    for (const auto& [name, thing] : things)
      if (matches(name)) selected.push_back(&thing);
    return selected;
  }

 private:
  std::optional<std::vector<std::string>> names_;
  std::optional<std::regex> expression_;
};

}  // namespace lambda::topology
