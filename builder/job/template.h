// A JSON text with gaps, for what is written again and again and differs in a few places. Private to this
// folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lambda::job {

/// What each event writes itself.
enum class Gap : std::uint8_t {
  none,
  job_name,
  third_party_label,
  parser_label,
  more_labels,
  queue_name,
  event_id,
  event_source,
  correlation_id,
  priority,
  more_annotations,
  timeout_seconds,
  context,
  destination,
  cache_repository,
  more_arguments,
  registry_secret,
  git_secret,
  source_secret,
  runtime_config_map,
  runtime_key,
};

/// A gap in place of a value.
nlohmann::ordered_json value_gap(Gap gap);

/// A gap behind the last item of an array or, under the key `rest_key`, the last member of an object: for any
/// number of further ones, each of which is written with a comma before it.
nlohmann::ordered_json rest_gap(Gap gap);
inline constexpr const char* rest_key = "";

class Template {
 public:
  Template() = default;  // the empty text
  explicit Template(const nlohmann::ordered_json& value);

  /// Appends the text; `fill(out, gap)` writes what stands in a gap.
  template <class Fill>
  void write(std::string& out, const Fill& fill) const {
    for (const Piece& piece : pieces_) {
      out += piece.text;
      if (piece.gap != Gap::none) fill(out, piece.gap);
    }
  }

 private:
  struct Piece {
    std::string text;
    Gap gap = Gap::none;  // behind the text
  };

  void append(const nlohmann::ordered_json& value);
  void append_object(const nlohmann::ordered_json& object);
  void append_array(const nlohmann::ordered_json& array);
  std::string& text();  // to which constant text is appended

  std::vector<Piece> pieces_;
};

}  // namespace lambda::job
