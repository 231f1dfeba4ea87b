#include "job/protobuf_template.h"

#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "kube/job_schema.h"

namespace lambda::job {
namespace {

using json = nlohmann::ordered_json;
using kube::Field;
using kube::FieldType;
using kube::Holds;
using kube::Message;
using kube::protobuf::append_delimited;
using kube::protobuf::append_integer;
using kube::protobuf::append_tag;
using kube::protobuf::append_text_field;
using kube::protobuf::append_varint;
using kube::protobuf::varint_bytes;
using kube::protobuf::WireType;

// How the API server tells protobuf from other bodies.
constexpr std::string_view magic{"k8s\0", 4};

// Of the envelope, which says what is in it, and of the kind of object that it names.
constexpr std::uint32_t type_number = 1;
constexpr std::uint32_t object_number = 2;
constexpr std::uint32_t api_version_number = 1;
constexpr std::uint32_t kind_number = 2;

constexpr std::uint32_t key_number = 1;
constexpr std::uint32_t value_number = 2;

WireType wire_type(FieldType type) {
  const bool number = type == FieldType::boolean || type == FieldType::int32 || type == FieldType::int64;
  return number ? WireType::varint : WireType::delimited;
}

bool fits(const json& value, FieldType type) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    return false;
  }
  const auto number = value.get<std::int64_t>();
  return type == FieldType::int64 || (number >= std::numeric_limits<std::int32_t>::min() &&
                                      number <= std::numeric_limits<std::int32_t>::max());
}

// All of these write without the tag, and nothing if the value is of another type.
using Encoded = std::optional<std::string>;

std::string delimited(std::string_view bytes) {
  std::string out;
  append_delimited(out, bytes);
  return out;
}

std::string integer(std::int64_t value) {
  std::string out;
  append_integer(out, value);
  return out;
}

Encoded encode_integer(const json& value, FieldType type) {
  if (!fits(value, type)) return std::nullopt;
  return integer(value.get<std::int64_t>());
}

Encoded encode_quantity(const json& value) {
  if (!value.is_string() && !value.is_number()) return std::nullopt;
  std::string message;
  append_text_field(message, 1, value.is_string() ? value.get<std::string>() : value.dump());
  return delimited(message);
}

Encoded encode_int_or_string(const json& value) {
  std::string message;
  append_tag(message, 1, WireType::varint);
  append_integer(message, value.is_string() ? 1 : 0);
  if (value.is_string()) {
    append_text_field(message, 3, value.get_ref<const std::string&>());
  } else if (fits(value, FieldType::int32)) {
    append_tag(message, 2, WireType::varint);
    append_integer(message, value.get<std::int64_t>());
  } else {
    return std::nullopt;
  }
  return delimited(message);
}

Encoded encode_scalar(const json& value, FieldType type) {
  switch (type) {
    case FieldType::text:
      return value.is_string() ? Encoded(delimited(value.get_ref<const std::string&>())) : std::nullopt;
    case FieldType::boolean:
      return value.is_boolean() ? Encoded(integer(value.get<bool>() ? 1 : 0)) : std::nullopt;
    case FieldType::int32:
    case FieldType::int64:
      return encode_integer(value, type);
    case FieldType::quantity:
      return encode_quantity(value);
    case FieldType::int_or_string:
      return encode_int_or_string(value);
    case FieldType::message:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void ProtobufTemplate::Writer::member(std::string_view key, std::string_view text) {
  append_tag(out_, field_number_, WireType::delimited);
  // Either has a tag of one byte.
  append_varint(out_,
                1 + varint_bytes(key.size()) + key.size() + 1 + varint_bytes(text.size()) + text.size());
  append_text_field(out_, key_number, key);
  append_text_field(out_, value_number, text);
}

void ProtobufTemplate::write_length(std::string& out, std::size_t start) {
  constexpr unsigned bits = 7;
  constexpr unsigned more = 1U << bits;
  std::size_t length = out.size() - start;
  for (std::size_t i = start - length_bytes; i < start; ++i, length >>= bits) {
    out[i] = static_cast<char>(length % more | (i + 1 < start ? more : 0));
  }
}

// ---------------------------------------------------------------------------------------------------------------------

class ProtobufTemplate::Compiler {
 public:
  explicit Compiler(const json& job) {
    pieces_.emplace_back();
    bytes() += magic;
    append_type(job);
    open(object_number);
    json object = job;
    object.erase("apiVersion");
    object.erase("kind");
    append_message(kube::job_schema(), object, "");
    close();
  }

  std::vector<Piece> pieces() && { return std::move(pieces_); }
  const std::string& unknown() const { return unknown_; }

 private:
  std::string& bytes() { return pieces_.back().bytes; }

  void append_type(const json& job) {
    std::string type;
    append_text_field(type, api_version_number, job.value("apiVersion", ""));
    append_text_field(type, kind_number, job.value("kind", ""));
    append_text_field(bytes(), type_number, type);
  }

  void open(std::uint32_t field_number) {
    append_tag(bytes(), field_number, WireType::delimited);
    pieces_.push_back({.step = Step::open});
  }

  // A message without a gap is a constant, and so is its length.
  void close() {
    if (pieces_.back().step != Step::open) {
      pieces_.push_back({.step = Step::close});
      return;
    }
    const std::string constant = std::move(bytes());
    pieces_.pop_back();
    append_delimited(bytes(), constant);
  }

  void append_gap(Gap gap, std::uint32_t field_number) {
    pieces_.push_back({.step = Step::fill, .gap = gap, .field_number = field_number});
  }

  void append_message(const Message& type, const json& object, const std::string& path) {
    if (!object.is_object()) return note_unknown(path);
    std::map<const Field*, json> inlined;
    for (const auto& [name, value] : object.items()) {
      const std::string inner = path.empty() ? name : path + "." + name;
      if (const Field* const field = type.find(name)) {
        append_field(*field, value, inner);
      } else if (const Field* const among = type.find_inlined(name)) {
        inlined[among][name] = value;
      } else {
        note_unknown(inner);
      }
    }
    for (const auto& [field, members] : inlined) append_value(*field, members, path);
  }

  void append_field(const Field& field, const json& value, const std::string& path) {
    if (value.is_null()) return;
    switch (field.holds) {
      case Holds::one:
        return append_value(field, value, path);
      case Holds::list:
        if (!value.is_array()) return note_unknown(path);
        for (const json& item : value) append_value(field, item, path);
        return;
      case Holds::map:
        if (!value.is_object()) return note_unknown(path);
        for (const auto& [key, item] : value.items()) append_entry(field, key, item, path);
    }
  }

  void append_value(const Field& field, const json& value, const std::string& path) {
    if (is_rest(value)) return append_gap(gap_in(value), field.number);
    if (field.type == FieldType::message) {
      open(field.number);
      append_message(*field.message, value, path);
      return close();
    }
    append_tag(bytes(), field.number, wire_type(field.type));
    if (const Gap gap = gap_in(value); gap != Gap::none) return append_gap(gap, field.number);
    const std::optional<std::string> encoded = encode_scalar(value, field.type);
    if (!encoded) return note_unknown(path);
    bytes() += *encoded;
  }

  void append_entry(const Field& field, const std::string& key, const json& value, const std::string& path) {
    if (is_rest(value)) return append_gap(gap_in(value), field.number);
    open(field.number);
    append_text_field(bytes(), key_number, key);
    Field of_value = field;
    of_value.number = value_number;
    append_value(of_value, value, path + "." + key);
    close();
  }

  // The first of them is told.
  void note_unknown(const std::string& path) {
    if (unknown_.empty()) unknown_ = path;
  }

  std::vector<Piece> pieces_;
  std::string unknown_;
};

base::Result<ProtobufTemplate> ProtobufTemplate::make(const json& job) {
  Compiler compiler(job);
  if (!compiler.unknown().empty()) {
    return base::fail(base::ErrorKind::unsupported,
                      "is not known here as a field of a Job, or not with this value", compiler.unknown());
  }
  ProtobufTemplate out;
  out.pieces_ = std::move(compiler).pieces();
  return out;
}

}  // namespace lambda::job
