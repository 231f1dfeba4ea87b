// The typed fields of an object of ours. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/time.h"

namespace lambda::api {

/// Reads field after field and keeps every problem. A field that is null is absent; unknown ones are passed
/// over. What is at fault is read as if it were absent.
class Reader {
 public:
  /// `value` and `problems` have to outlive this.
  Reader(const nlohmann::json& value, std::string path, std::vector<base::Error>& problems);

  bool has(std::string_view name) const { return find(name) != nullptr; }

  /// Of all its fields, also those that are null.
  std::vector<std::string> names() const;

  /// An empty one where it is absent.
  Reader object(std::string_view name) const;

  std::string text(std::string_view name, std::string fallback = {}) const;
  bool boolean(std::string_view name, bool fallback) const;
  std::int64_t integer(std::string_view name, std::int64_t fallback, std::int64_t least,
                       std::int64_t most) const;
  std::vector<std::string> texts(std::string_view name, std::vector<std::string> fallback) const;

  /// 0 is no bound.
  std::optional<std::int64_t> bound(std::string_view name, std::optional<std::int64_t> fallback,
                                    std::int64_t most) const;

  /// "24h", "30s".
  base::milliseconds duration(std::string_view name, base::milliseconds fallback, base::milliseconds least,
                              base::milliseconds most) const;
  std::optional<base::milliseconds> bound(std::string_view name, std::optional<base::milliseconds> fallback,
                                          base::milliseconds most) const;

  /// ISO 8601, as Knative has it: "PT0.5S".
  base::milliseconds iso_duration(std::string_view name, base::milliseconds fallback,
                                  base::milliseconds most) const;

  /// RFC 3339; empty where it is absent.
  std::string time(std::string_view name) const;

  /// One of `words`, by its value.
  template <class T, class Words>
  T word(std::string_view name, T fallback, const Words& words) const {
    const std::string found = text(name);
    if (found.empty()) return fallback;
    std::string accepted;
    for (const T value : words) {
      if (found == to_string(value)) return value;
      accepted += (accepted.empty() ? "" : ", ") + std::string(to_string(value));
    }
    refuse(name, quoted(found) + " is not accepted; accepted: " + accepted);
    return fallback;
  }

  void refuse(std::string_view name, std::string message) const;
  std::string path_of(std::string_view name) const;
  const nlohmann::json* find(std::string_view name) const;

 private:
  static std::string quoted(std::string_view text);
  void refuse_type(std::string_view name, const nlohmann::json& found, std::string_view accepted) const;

  const nlohmann::json* value_;
  std::string path_;
  std::vector<base::Error>* problems_;
};

}  // namespace lambda::api
