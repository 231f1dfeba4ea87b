#include "yaml/fields.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/text.h"

namespace lambda::yaml {
namespace {

using base::quote;

// The key as it may stand in a message: what is no plain name is quoted, so nothing in it can forge a line.
std::string shown_key(std::string_view key) {
  const bool harmless = !key.empty() && key.size() <= 64 && base::is_label_value(key);
  return harmless ? std::string(key) : quote(key);
}

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? shown_key(key) : path + "." + shown_key(key);
}

std::string comma_separated(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

// Levenshtein's distance: single characters inserted, deleted or replaced.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// The field whose key is at most half of its letters away from what was written, whatever their case.
const Field* nearest(std::string_view written, const std::vector<Field>& fields) {
  constexpr std::size_t written_max_bytes = 64;
  if (written.size() > written_max_bytes) return nullptr;
  const Field* best = nullptr;
  std::size_t best_distance = 0;
  for (const Field& field : fields) {
    const std::size_t distance = edit_distance(base::to_lower(written), base::to_lower(field.key));
    if (distance * 2 > field.key.size()) continue;
    if (best != nullptr && distance >= best_distance) continue;
    best = &field;
    best_distance = distance;
  }
  return best;
}

std::string unknown_key(std::string_view written, const std::vector<Field>& fields) {
  if (const Field* const meant = nearest(written, fields))
    return "unknown key; did you mean " + meant->key + "?";
  std::vector<std::string> keys;
  for (const Field& field : fields) keys.push_back(field.key);
  return "unknown key; accepted: " + comma_separated(keys);
}

// What is done with the value of a key, or why there is no such key.
using FindRead = std::function<base::Result<Read>(const std::string& key)>;

void read_entry(const FindRead& find_read, const Value& parent, const YamlValue& key, const YamlValue& yaml,
                std::set<std::string>& seen) {
  if (key.kind != YamlValue::Kind::scalar) {
    parent.report.problem(parent.key, key.place, "a key has to be a word");
    return;
  }
  // An absent value has no place of its own, and a map's begins where its first key does.
  const bool at_value = yaml.kind == YamlValue::Kind::scalar || yaml.kind == YamlValue::Kind::list;
  const Value value{yaml, join(parent.key, key.text), at_value ? yaml.place : key.place, parent.report};
  if (!seen.insert(key.text).second) {
    parent.report.problem(value.key, key.place, "the key is repeated; accepted: each key once");
  } else if (const auto read = find_read(key.text); !read) {
    parent.report.problem(value.key, key.place, read.error().message);
  } else {
    parent.report.saw(value.key, value.place);
    (*read)(value);
  }
}

void read_entries(const FindRead& find_read, const Value& value) {
  std::set<std::string> seen;
  const std::vector<YamlValue>& children = value.yaml.children;
  for (std::size_t i = 0; i + 1 < children.size(); i += 2) {
    read_entry(find_read, value, children[i], children[i + 1], seen);
  }
}

std::string count_of(std::size_t count, std::string_view thing) {
  return std::to_string(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

std::string found(const YamlValue& yaml) {
  switch (yaml.kind) {
    case YamlValue::Kind::null:
      return "no value";
    case YamlValue::Kind::list:
      return "a list";
    case YamlValue::Kind::map:
      return "a map";
    case YamlValue::Kind::scalar:
      break;
  }
  return (yaml.plain ? "" : "the quoted text ") + quote(yaml.text);
}

}  // namespace

void Report::problem(const std::string& key, Place place, std::string message) {
  wrong_.insert(key);
  problems_.push_back({file_, place.line, place.column, key, std::move(message)});
}

void Report::contradiction(std::initializer_list<std::string> keys, std::string message) {
  if (std::ranges::any_of(keys, [&](const std::string& key) { return wrong_.contains(key); })) return;
  const auto* const named =
      std::ranges::find_if(keys, [&](const std::string& key) { return places_.contains(key); });
  const std::string key = named == keys.end() ? *keys.begin() : *named;
  problem(key, places_[key], std::move(message));
}

std::vector<Problem> Report::take() {
  std::ranges::sort(problems_, {}, [](const Problem& p) { return std::tie(p.line, p.column, p.key); });
  return std::move(problems_);
}

void Value::refuse_kind(std::string_view accepted) const {
  refuse("found " + found(yaml) + "; accepted: " + std::string(accepted));
}

Read map(std::vector<Field> fields) {
  return [fields = std::move(fields)](const Value& value) {
    if (value.yaml.kind == YamlValue::Kind::null) return;
    if (value.yaml.kind != YamlValue::Kind::map) return value.refuse_kind("a map");
    const auto find_read = [&fields](const std::string& key) -> base::Result<Read> {
      const auto field = std::ranges::find(fields, key, &Field::key);
      if (field != fields.end()) return field->read;
      return base::fail(base::ErrorKind::invalid, unknown_key(key, fields));
    };
    read_entries(find_read, value);
  };
}

Read entries(std::size_t most, Check check_key, std::function<Read(const std::string& key)> read_of) {
  return [most, check_key = std::move(check_key), read_of = std::move(read_of)](const Value& value) {
    if (value.yaml.kind == YamlValue::Kind::null) return;
    if (value.yaml.kind != YamlValue::Kind::map) return value.refuse_kind("a map");
    const std::size_t count = value.yaml.children.size() / 2;
    if (count > most) {
      return value.refuse("found " + count_of(count, "key") + "; accepted: at most " + std::to_string(most));
    }
    const auto find_read = [&](const std::string& key) -> base::Result<Read> {
      if (const auto checked = check_key(key); !checked) return tl::unexpected(checked.error());
      return read_of(key);
    };
    read_entries(find_read, value);
  };
}

Read list(std::size_t least, std::size_t most, Read item) {
  return [least, most, item = std::move(item)](const Value& value) {
    if (value.yaml.kind != YamlValue::Kind::list) return value.refuse_kind("a list");
    const std::vector<YamlValue>& items = value.yaml.children;
    if (items.size() < least || items.size() > most) {
      return value.refuse("found " + count_of(items.size(), "item") + "; accepted: " + std::to_string(least) +
                          " to " + std::to_string(most));
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      item({items[i], value.key + "[" + std::to_string(i) + "]", items[i].place, value.report});
    }
  };
}

Read texts(std::vector<std::string>& out, std::size_t least, std::size_t most, const Check& check) {
  return [&out, least, most, check](const Value& value) {
    out.clear();
    list(least, most, [&](const Value& item) {
      std::string read;
      text(read, check)(item);
      out.push_back(std::move(read));
    })(value);
  };
}

std::optional<std::string> text_of(const Value& value) {
  if (value.yaml.kind == YamlValue::Kind::scalar) return value.yaml.text;
  value.refuse_kind("a text");
  return std::nullopt;
}

Read text(std::string& out, Check check) {
  return [&out, check = std::move(check)](const Value& value) {
    auto found_text = text_of(value);
    if (!found_text) return;
    if (const auto checked = check(*found_text); !checked) return value.refuse(checked.error().message);
    out = std::move(*found_text);
  };
}

std::optional<long long> integer_of(const Value& value, long long least, long long most) {
  const bool may_be = value.yaml.kind == YamlValue::Kind::scalar && value.yaml.plain;
  const auto number = may_be ? base::parse_integer(value.yaml.text) : std::nullopt;
  if (number && *number >= least && *number <= most) return number;
  value.refuse_kind("a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return std::nullopt;
}

Read boolean(bool& out) {
  return [&out](const Value& value) {
    const bool yes = value.yaml.plain && value.yaml.text == "true";
    const bool no = value.yaml.plain && value.yaml.text == "false";
    if (!yes && !no) return value.refuse_kind("true, false");
    out = yes;
  };
}

Read duration(base::milliseconds& out, base::milliseconds least, base::milliseconds most) {
  return [&out, least, most](const Value& value) {
    const bool scalar = value.yaml.kind == YamlValue::Kind::scalar;
    const auto length = base::parse_duration(scalar ? value.yaml.text : "");
    if (length && *length >= least && *length <= most) {
      out = *length;
      return;
    }
    value.refuse_kind("a duration from " + base::format_duration(least) + " to " +
                      base::format_duration(most) + ", written as 100ms, 5s, 30m or 1h30m");
  };
}

Read word(std::vector<std::pair<std::string, std::function<void()>>> words) {
  return [words = std::move(words)](const Value& value) {
    std::vector<std::string> accepted;
    for (const auto& [name, store] : words) {
      if (value.yaml.kind == YamlValue::Kind::scalar && value.yaml.text == name) return store();
      accepted.push_back(name);
    }
    value.refuse_kind(comma_separated(accepted));
  };
}

Read log_level(base::Level& out) {
  using base::Level;
  std::vector<std::pair<std::string, std::function<void()>>> levels;
  for (const Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
    levels.emplace_back(base::to_string(level), [&out, level] { out = level; });
  }
  return word(std::move(levels));
}

Read only(std::string accepted) {
  return [accepted = std::move(accepted)](const Value& value) {
    if (value.yaml.kind == YamlValue::Kind::scalar && value.yaml.text == accepted) return;
    value.refuse("found " + found(value.yaml) +
                 ", which this version does not support; accepted: " + accepted);
  };
}

void read_document(const YamlValue& document, const Read& root, Report& report) {
  root({document, "", document.place, report});
}

}  // namespace lambda::yaml
