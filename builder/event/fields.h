// The typed fields of a JSON object that a sender filled. Private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::event {

/// Reads field after field and keeps the first error; what is read after it means nothing. A field that is
/// null is absent, as is an optional text that is empty: many senders write what they do not know so. Fields
/// that nobody asks for are let pass: senders may be newer than we are.
class Fields {
 public:
  /// `path` is where the object stands ("data"). Object and error have to outlive this.
  Fields(const nlohmann::json& object, std::string path, std::optional<base::Error>& error)
      : object_(object), path_(std::move(path)), error_(error) {}

  /// Not empty, at most `max_bytes`, no control characters.
  std::string required_text(std::string_view name, std::size_t max_bytes);

  /// Empty where it is absent.
  std::string optional_text(std::string_view name, std::size_t max_bytes);

  std::optional<long long> optional_integer(std::string_view name, long long least, long long most);

  /// An empty object where it is absent.
  const nlohmann::json& required_object(std::string_view name);
  const nlohmann::json& optional_object(std::string_view name);

  /// For checks that go beyond type and size.
  void refuse(base::ErrorKind kind, std::string message, std::string_view name);

  std::string path_of(std::string_view name) const;

 private:
  const nlohmann::json* find(std::string_view name) const;
  void refuse_type(const nlohmann::json& found, std::string_view accepted, std::string_view name);

  const nlohmann::json& object_;
  std::string path_;
  std::optional<base::Error>& error_;
};

}  // namespace lambda::event
