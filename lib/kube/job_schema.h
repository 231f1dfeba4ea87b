// How a batch/v1 Job and all that it contains is written in protobuf.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lambda::kube {

enum class FieldType : std::uint8_t {
  text,
  boolean,
  int32,
  int64,
  quantity,       // in JSON a string or number; a message with the string as field 1
  int_or_string,  // in JSON either; a message with its kind (0, 1) as field 1, the number as 2, the string as
                  // 3
  message,
};

enum class Holds : std::uint8_t {
  one,
  list,
  map,  // by text; a list of messages with the key as field 1 and the value as 2
};

struct Message;

struct Field {
  std::string_view name;  // in JSON
  std::uint32_t number = 0;
  Holds holds = Holds::one;
  FieldType type = FieldType::text;
  const Message* message = nullptr;  // where that is the type
};

/// Sorted by name.
struct Message {
  std::vector<Field> fields;
  /// Messages whose members stand among this one's own in JSON.
  std::vector<Field> inlined;

  /// Null if there is none of that name.
  const Field* find(std::string_view name) const;
  /// The one of `inlined` that has such a field, at whatever depth; null if none has.
  const Field* find_inlined(std::string_view name) const;
};

/// Of the Kubernetes version in hack/tools/job-schema, without what nobody sends who creates a Job (status,
/// times, managed fields). Lives as long as the program. Thread-safe.
const Message& job_schema();

}  // namespace lambda::kube
