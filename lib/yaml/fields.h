// A configuration format as tables of fields: each says its key, what it accepts and where the value goes.
// Reading collects every problem with its place instead of stopping at the first.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "yaml/document.h"
#include "yaml/problem.h"

namespace lambda::yaml {

/// What was found in one document: the problems, and where each key stands.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void saw(const std::string& key, Place place) { places_[key] = place; }
  void problem(const std::string& key, Place place, std::string message);

  /// A problem between keys that are right by themselves. It stands at the first of them that the document
  /// names. Left out if one of them is a problem already, as its value is then not the one that was meant.
  void contradiction(std::initializer_list<std::string> keys, std::string message);

  /// In the order of the document.
  std::vector<Problem> take();

 private:
  std::string file_;
  std::vector<Problem> problems_;
  std::set<std::string> wrong_;  // the keys of problems_
  std::map<std::string, Place> places_;
};

/// A value on its way from the document into the configuration.
struct Value {
  const YamlValue& yaml;
  std::string key;  // the whole path: "http.port", "intake.accept[1]"
  Place place;
  Report& report;

  void refuse(std::string message) const { report.problem(key, place, std::move(message)); }
  /// "found X; accepted: Y" with the value as it stands there.
  void refuse_kind(std::string_view accepted) const;
};

/// Checks a value and stores it, or reports what is wrong and leaves the default.
using Read = std::function<void(const Value&)>;

/// What is wrong with a text, as an error's message; a success if nothing is.
using Check = std::function<base::Result<void>(std::string_view)>;

struct Field {
  std::string key;
  Read read;
};

/// Keys other than the fields' are problems. A map without a value ("http:") is an empty one.
Read map(std::vector<Field> fields);

/// A map whose keys are the user's own, each refused or accepted by `check_key`. `read_of` says how the value
/// of a key is read, right before it is. No value is an empty map.
Read entries(std::size_t most, Check check_key, std::function<Read(const std::string& key)> read_of);

/// Reads each item by `item`.
Read list(std::size_t least, std::size_t most, Read item);

/// A list of texts, which replaces the default as a whole.
Read texts(std::vector<std::string>& out, std::size_t least, std::size_t most, const Check& check);

Read text(std::string& out, Check check);
Read boolean(bool& out);
Read duration(base::milliseconds& out, base::milliseconds least, base::milliseconds most);

/// One of the words, each with what it means.
Read word(std::vector<std::pair<std::string, std::function<void()>>> words);

/// One of debug, info, warning, error.
Read log_level(base::Level& out);

/// For a key of the contract whose other values belong to a later version.
Read only(std::string accepted);

/// The text of a scalar; anything else is reported.
std::optional<std::string> text_of(const Value& value);
/// The whole number of a plain scalar within the bounds; anything else is reported.
std::optional<long long> integer_of(const Value& value, long long least, long long most);

template <std::integral Integer>
Read integer(Integer& out, long long least, long long most) {
  return [&out, least, most](const Value& value) {
    if (const auto number = integer_of(value, least, most)) out = static_cast<Integer>(*number);
  };
}

/// Reads the document by `root`, which is a map of the whole.
void read_document(const YamlValue& document, const Read& root, Report& report);

}  // namespace lambda::yaml
