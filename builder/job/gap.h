// What is left open in the Job that the configuration describes, for each event to fill. Private to this
// folder.
#pragma once

#include <cstdint>

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
/// number of further ones.
nlohmann::ordered_json rest_gap(Gap gap);
inline constexpr const char* rest_key = "";

/// Gap::none for what is none.
Gap gap_in(const nlohmann::ordered_json& value);
bool is_rest(const nlohmann::ordered_json& value);

}  // namespace lambda::job
