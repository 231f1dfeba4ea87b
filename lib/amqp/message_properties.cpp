#include "amqp/message_properties.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <amqp.h>

#include "base/text.h"
#include "base/time.h"

namespace lambda::amqp {
namespace {

constexpr std::uint8_t persistent = 2;
constexpr std::size_t max_short_string_bytes = 255;
constexpr std::size_t max_properties_bytes = 65536;
constexpr std::size_t header_overhead_bytes = 8;  // lengths and kind, at most

amqp_bytes_t borrow(std::string_view text) {
  // librabbitmq takes a void* to what it only reads.
  return {text.size(), const_cast<char*>(text.data())};
}

std::string to_string(const amqp_bytes_t& bytes) {
  return bytes.len == 0 ? std::string() : std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}

template <class Number>
std::string number_text(Number number) {
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return {buffer.data(), end.ptr};
}

std::string decimal_text(const amqp_decimal_t& decimal) {
  std::string digits = std::to_string(decimal.value);
  if (decimal.decimals == 0) return digits;
  if (digits.size() <= decimal.decimals) digits.insert(0, decimal.decimals + 1U - digits.size(), '0');
  return digits.insert(digits.size() - decimal.decimals, ".");
}

std::optional<std::string> timestamp_text(std::uint64_t seconds) {
  constexpr std::uint64_t year_10000 = 253402300800;
  if (seconds >= year_10000) return std::nullopt;
  return base::format_rfc3339(
      std::chrono::system_clock::time_point(std::chrono::seconds(static_cast<std::int64_t>(seconds))));
}

std::optional<std::string> header_text(const amqp_field_value_t& field) {
  switch (field.kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
      return field.value.boolean != 0 ? "true" : "false";
    case AMQP_FIELD_KIND_I8:
      return std::to_string(field.value.i8);
    case AMQP_FIELD_KIND_U8:
      return std::to_string(field.value.u8);
    case AMQP_FIELD_KIND_I16:
      return std::to_string(field.value.i16);
    case AMQP_FIELD_KIND_U16:
      return std::to_string(field.value.u16);
    case AMQP_FIELD_KIND_I32:
      return std::to_string(field.value.i32);
    case AMQP_FIELD_KIND_U32:
      return std::to_string(field.value.u32);
    case AMQP_FIELD_KIND_I64:
      return std::to_string(field.value.i64);
    case AMQP_FIELD_KIND_U64:
      return std::to_string(field.value.u64);
    case AMQP_FIELD_KIND_F32:
      return number_text(field.value.f32);
    case AMQP_FIELD_KIND_F64:
      return number_text(field.value.f64);
    case AMQP_FIELD_KIND_DECIMAL:
      return decimal_text(field.value.decimal);
    case AMQP_FIELD_KIND_TIMESTAMP:
      return timestamp_text(field.value.u64);
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
      return to_string(field.value.bytes);
    default:
      return std::nullopt;
  }
}

// x-death is an array of tables, the newest first.
std::optional<Death> newest_death(const amqp_field_value_t& field) {
  if (field.kind != AMQP_FIELD_KIND_ARRAY || field.value.array.num_entries < 1) return std::nullopt;
  const amqp_field_value_t& newest = field.value.array.entries[0];
  if (newest.kind != AMQP_FIELD_KIND_TABLE) return std::nullopt;
  Death death;
  for (int i = 0; i < newest.value.table.num_entries; ++i) {
    const amqp_table_entry_t& entry = newest.value.table.entries[i];
    const std::string name = to_string(entry.key);
    if (name == "reason") death.reason = header_text(entry.value).value_or("");
    if (name == "queue") death.queue = header_text(entry.value).value_or("");
    if (name == "time") death.time = header_text(entry.value).value_or("");
  }
  return death;
}

}  // namespace

struct OutgoingProperties::Impl {
  amqp_basic_properties_t properties{};
  std::vector<amqp_table_entry_t> headers;
};

OutgoingProperties::OutgoingProperties(const Message& message) : impl_(std::make_unique<Impl>()) {
  amqp_basic_properties_t& properties = impl_->properties;
  const auto set = [&](amqp_flags_t flag, amqp_bytes_t& target, const std::string& value) {
    if (value.empty()) return;
    properties._flags |= flag;
    target = borrow(value);
  };
  set(AMQP_BASIC_CONTENT_TYPE_FLAG, properties.content_type, message.content_type);
  set(AMQP_BASIC_CONTENT_ENCODING_FLAG, properties.content_encoding, message.content_encoding);
  set(AMQP_BASIC_MESSAGE_ID_FLAG, properties.message_id, message.message_id);
  set(AMQP_BASIC_CORRELATION_ID_FLAG, properties.correlation_id, message.correlation_id);
  set(AMQP_BASIC_TYPE_FLAG, properties.type, message.type);
  properties._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.delivery_mode = persistent;
  if (message.headers.empty()) return;
  for (const auto& [name, value] : message.headers) {
    amqp_table_entry_t entry{};
    entry.key = borrow(name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = borrow(value);
    impl_->headers.push_back(entry);
  }
  properties._flags |= AMQP_BASIC_HEADERS_FLAG;
  properties.headers = {static_cast<int>(impl_->headers.size()), impl_->headers.data()};
}

OutgoingProperties::~OutgoingProperties() = default;

const amqp_basic_properties_t_* OutgoingProperties::get() const {
  return &impl_->properties;
}

base::Result<void> check_encodable(const Message& message) {
  std::size_t bytes = 0;
  for (const std::string* property : {&message.content_type, &message.content_encoding, &message.message_id,
                                      &message.correlation_id, &message.type}) {
    bytes += property->size();
    if (property->size() > max_short_string_bytes)
      return base::fail(base::ErrorKind::invalid,
                        "a property of an AMQP message is longer than 255 bytes: " + base::quote(*property));
  }
  for (const auto& [name, value] : message.headers) {
    bytes += name.size() + value.size() + header_overhead_bytes;
    if (name.size() > max_short_string_bytes)
      return base::fail(base::ErrorKind::invalid,
                        "the name of a header of an AMQP message is longer than 255 "
                        "bytes: " +
                            base::quote(name));
  }
  if (bytes > max_properties_bytes)
    return base::fail(base::ErrorKind::invalid, "the headers of an AMQP message are larger than 64 KiB");
  return {};
}

Message to_message(const amqp_message_t_& message) {
  Message result;
  const amqp_basic_properties_t& properties = message.properties;
  const auto get = [&](amqp_flags_t flag, const amqp_bytes_t& value) {
    return (properties._flags & flag) != 0 ? to_string(value) : std::string();
  };
  result.content_type = get(AMQP_BASIC_CONTENT_TYPE_FLAG, properties.content_type);
  result.content_encoding = get(AMQP_BASIC_CONTENT_ENCODING_FLAG, properties.content_encoding);
  result.message_id = get(AMQP_BASIC_MESSAGE_ID_FLAG, properties.message_id);
  result.correlation_id = get(AMQP_BASIC_CORRELATION_ID_FLAG, properties.correlation_id);
  result.type = get(AMQP_BASIC_TYPE_FLAG, properties.type);
  result.body = to_string(message.body);
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return result;
  for (int i = 0; i < properties.headers.num_entries; ++i) {
    const amqp_table_entry_t& entry = properties.headers.entries[i];
    std::string name = to_string(entry.key);
    if (name == "x-death") result.death = newest_death(entry.value);
    if (auto text = header_text(entry.value)) result.headers.emplace(std::move(name), std::move(*text));
  }
  return result;
}

}  // namespace lambda::amqp
