#include "kube/job_schema.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace lambda::kube {
namespace {

// A line with the name of each message; under it, after a space, a line for each of its fields: its name in
// JSON ("-": inlined), its number, "list" or "map" where it holds several, and the type of what it holds.
constexpr std::string_view table =
#include "kube/job_schema.inc"
    ;

std::string_view next_word(std::string_view& text, char separator) {
  const std::size_t length = std::min(text.find(separator), text.size());
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return word;
}

class Schema {
 public:
  Schema() {
    Message* message = nullptr;
    for (std::string_view rest = table; !rest.empty();) {
      std::string_view line = next_word(rest, '\n');
      if (line.empty()) continue;
      if (line.front() != ' ') {
        message = &messages_[line];
        continue;
      }
      line.remove_prefix(1);
      const Field field = read_field(line);
      (field.name == "-" ? message->inlined : message->fields).push_back(field);
    }
    for (auto& [_, known] : messages_) std::ranges::sort(known.fields, {}, &Field::name);
  }

  const Message& message(std::string_view name) const { return messages_.find(name)->second; }

 private:
  Field read_field(std::string_view line) {
    Field field;
    field.name = next_word(line, ' ');
    const std::string_view number = next_word(line, ' ');
    std::from_chars(number.data(), number.data() + number.size(), field.number);
    std::string_view type = next_word(line, ' ');
    if (type == "list") field.holds = Holds::list;
    if (type == "map") field.holds = Holds::map;
    if (field.holds != Holds::one) type = next_word(line, ' ');
    field.type = type_of(type);
    if (field.type == FieldType::message) field.message = &messages_[type];
    return field;
  }

  static FieldType type_of(std::string_view word) {
    if (word == "string") return FieldType::text;
    if (word == "bool") return FieldType::boolean;
    if (word == "int32") return FieldType::int32;
    if (word == "int64") return FieldType::int64;
    if (word == "Quantity") return FieldType::quantity;
    if (word == "IntOrString") return FieldType::int_or_string;
    return FieldType::message;
  }

  std::map<std::string_view, Message> messages_;  // its nodes stay where they are
};

}  // namespace

const Field* Message::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(fields, name, {}, &Field::name);
  return found != fields.end() && found->name == name ? &*found : nullptr;
}

const Field* Message::find_inlined(std::string_view name) const {
  for (const Field& field : inlined) {
    if (field.message->find(name) != nullptr || field.message->find_inlined(name) != nullptr) return &field;
  }
  return nullptr;
}

const Message& job_schema() {
  static const Schema schema;
  return schema.message("Job");
}

}  // namespace lambda::kube
