#include "lint/documents.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include <yaml-cpp/yaml.h>

namespace lambda::lint {
namespace {

using nlohmann::json;

constexpr std::size_t nodes_max = 200'000;  // aliases can make a small text an endless one
constexpr std::size_t depth_max = 64;

constexpr std::array<std::string_view, 9> true_words{"true", "True", "TRUE", "yes", "Yes",
                                                     "YES",  "on",   "On",   "ON"};
constexpr std::array<std::string_view, 9> false_words{"false", "False", "FALSE", "no", "No",
                                                      "NO",    "off",   "Off",   "OFF"};

template <class Words>
bool is_one_of(std::string_view text, const Words& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

template <class Number>
std::optional<Number> number_in(std::string_view text, int base) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<json> integer_in(std::string_view text) {
  if (text.starts_with("0x")) {
    if (const auto value = number_in<std::uint64_t>(text.substr(2), 16)) return *value;
  }
  if (text.starts_with("0o")) {
    if (const auto value = number_in<std::uint64_t>(text.substr(2), 8)) return *value;
  }
  if (text.starts_with('+')) text.remove_prefix(1);
  if (const auto value = number_in<std::int64_t>(text, 10)) return *value;
  if (const auto value = number_in<std::uint64_t>(text, 10)) return *value;
  return std::nullopt;
}

std::optional<json> decimal_in(const std::string& text) {
  if (text.find_first_not_of("+-.0123456789eE") != std::string::npos ||
      text.find_first_of("0123456789") == std::string::npos)
    return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() != "?") return text;  // quoted, or with a tag of its own
  if (is_one_of(text, true_words)) return true;
  if (is_one_of(text, false_words)) return false;
  if (auto value = integer_in(text)) return *value;
  if (auto value = decimal_in(text)) return *value;
  return text;
}

std::size_t line_of_mark(const YAML::Mark& mark) {
  return mark.line < 0 ? 1 : static_cast<std::size_t>(mark.line) + 1;
}

struct Refused {
  std::size_t line;
  std::string message;
};

class Converter {
 public:
  Document convert(const YAML::Node& root) {
    document_.lines[""] = line_of_mark(root.Mark());
    document_.value = value_of(root, "", 0);
    return std::move(document_);
  }

 private:
  json value_of(const YAML::Node& node, const std::string& path, std::size_t depth) {
    if (++nodes_ > nodes_max)
      throw Refused{line_of_mark(node.Mark()), "holds too much (aliases of aliases?)"};
    if (depth > depth_max) throw Refused{line_of_mark(node.Mark()), "is nested too deeply"};
    if (node.IsMap()) return map_of(node, path, depth);
    if (node.IsSequence()) return list_of(node, path, depth);
    return node.IsScalar() ? scalar(node) : json();
  }

  json map_of(const YAML::Node& node, const std::string& path, std::size_t depth) {
    json object = json::object();
    for (const auto& member : node) {
      const std::size_t line = line_of_mark(member.first.Mark());
      if (!member.first.IsScalar()) throw Refused{line, "has a key that is no text"};
      const std::string& name = member.first.Scalar();
      if (object.contains(name)) throw Refused{line, "has the key " + name + " a second time"};
      const std::string member_path = path.empty() ? name : path + "." + name;
      document_.lines[member_path] = line;
      object[name] = value_of(member.second, member_path, depth + 1);
    }
    return object;
  }

  json list_of(const YAML::Node& node, const std::string& path, std::size_t depth) {
    json list = json::array();
    for (const auto& item : node) {
      const std::string item_path = path + "[" + std::to_string(list.size()) + "]";
      document_.lines[item_path] = line_of_mark(item.Mark());
      list.push_back(value_of(item, item_path, depth + 1));
    }
    return list;
  }

  Document document_;
  std::size_t nodes_ = 0;
};

tl::unexpected<base::Error> refuse(std::size_t line, const std::string& message) {
  return base::fail(base::ErrorKind::invalid, "line " + std::to_string(line) + ": " + message);
}

}  // namespace

std::size_t Document::line_of(std::string path) const {
  for (;;) {
    if (const auto found = lines.find(path); found != lines.end()) return found->second;
    const std::size_t end = path.find_last_of(".[");
    path.resize(end == std::string::npos ? 0 : end);
    if (path.empty() && !lines.contains("")) return 1;
  }
}

Document Document::at(const json& part, const std::string& path) const {
  Document out;
  out.value = part;
  out.lines[""] = line_of(path);
  for (auto line = lines.lower_bound(path); line != lines.end() && line->first.starts_with(path); ++line) {
    if (line->first.size() > path.size() && line->first[path.size()] == '.')
      out.lines[line->first.substr(path.size() + 1)] = line->second;
  }
  return out;
}

base::Result<std::vector<Document>> read_documents(std::string_view text) {
  std::vector<Document> documents;
  try {
    for (const YAML::Node& root : YAML::LoadAll(std::string(text))) {
      if (root.IsDefined() && !root.IsNull()) documents.push_back(Converter().convert(root));
    }
  } catch (const Refused& refused) {
    return refuse(refused.line, refused.message);
  } catch (const YAML::Exception& error) {
    return refuse(line_of_mark(error.mark), "this is neither YAML nor JSON: " + error.msg);
  }
  return documents;
}

}  // namespace lambda::lint
