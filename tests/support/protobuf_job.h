// Reads a Job from Kubernetes' protobuf, for tests of what writes it.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "kube/job_schema.h"

namespace lambda::support {

/// The Job as its JSON would be. Throws on bytes that are no protobuf, and on what the schema doesn't have.
class ProtobufJob {
 public:
  static nlohmann::json read(std::string_view bytes) {
    constexpr std::string_view magic{"k8s\0", 4};
    if (!bytes.starts_with(magic)) throw std::runtime_error("no protobuf of Kubernetes");
    ProtobufJob envelope(bytes.substr(magic.size()));
    const std::string_view type = envelope.next(1);
    ProtobufJob names(type);
    nlohmann::json job;
    job["apiVersion"] = names.next(1);
    job["kind"] = names.next(2);
    read_message(envelope.next(2), kube::job_schema(), job);
    if (!envelope.rest_.empty() || !names.rest_.empty()) throw std::runtime_error("more than a Job");
    return job;
  }

 private:
  explicit ProtobufJob(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t varint() {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) throw std::runtime_error("cut off");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      out |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80U) return out;
    }
    throw std::runtime_error("a varint without end");
  }

  std::string_view delimited() {
    const std::uint64_t length = varint();
    if (length > rest_.size()) throw std::runtime_error("cut off");
    const std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }

  // The bytes of the field that must come next.
  std::string_view next(std::uint64_t number) {
    if (varint() != (number << 3 | 2))
      throw std::runtime_error("another field than " + std::to_string(number));
    return delimited();
  }

  static const kube::Field& field_of(const kube::Message& type, std::uint64_t number) {
    for (const auto* fields : {&type.fields, &type.inlined}) {
      for (const kube::Field& field : *fields)
        if (field.number == number) return field;
    }
    throw std::runtime_error("no field " + std::to_string(number));
  }

  static void read_message(std::string_view bytes, const kube::Message& type, nlohmann::json& out) {
    if (out.is_null()) out = nlohmann::json::object();
    for (ProtobufJob in(bytes); !in.rest_.empty();) {
      const std::uint64_t tag = in.varint();
      const kube::Field& field = field_of(type, tag >> 3);
      if (field.name == "-") {
        read_message(in.delimited(), *field.message, out);
        continue;
      }
      nlohmann::json& value = out[std::string(field.name)];
      if (field.holds == kube::Holds::one) {
        if (!value.is_null()) throw std::runtime_error(std::string(field.name) + " twice");
        in.read_value(tag, field, value);
      } else if (field.holds == kube::Holds::list) {
        in.read_value(tag, field, value.emplace_back());
      } else {
        ProtobufJob entry(in.delimited());
        const std::string key(entry.next(1));
        if (value.contains(key)) throw std::runtime_error(key + " twice");
        entry.read_value(entry.varint(), field, value[key]);
      }
    }
  }

  void read_value(std::uint64_t tag, const kube::Field& field, nlohmann::json& out) {
    using kube::FieldType;
    const bool number =
        field.type == FieldType::boolean || field.type == FieldType::int32 || field.type == FieldType::int64;
    if ((tag & 7) != (number ? 0U : 2U))
      throw std::runtime_error(std::string(field.name) + " is of another type");
    switch (field.type) {
      case FieldType::text:
        out = delimited();
        return;
      case FieldType::boolean:
        out = varint() != 0;
        return;
      case FieldType::int32:
      case FieldType::int64:
        out = static_cast<std::int64_t>(varint());
        return;
      case FieldType::quantity:
        out = ProtobufJob(delimited()).next(1);
        return;
      case FieldType::int_or_string: {
        ProtobufJob either(delimited());
        either.varint();
        if (either.varint() == 0) {
          either.varint();
          out = static_cast<std::int64_t>(either.varint());
        } else {
          out = either.next(3);
        }
        return;
      }
      case FieldType::message:
        read_message(delimited(), *field.message, out);
    }
  }

  std::string_view rest_;
};

}  // namespace lambda::support
