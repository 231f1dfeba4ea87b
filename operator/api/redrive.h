// DeadLetterRedrive: one run that moves dead events of a JobQueue back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/object.h"
#include "base/error.h"

namespace lambda::api {

inline constexpr std::string_view redrive_kind = "DeadLetterRedrive";

/// Which letters: all that is not empty has to hold.
struct RedriveFilter {
  std::string reason;  // as status.perReason counts them
  std::string third_party_id;
  std::string parser_id;
  std::string before;  // RFC 3339: it died earlier than that
  std::string after;   // RFC 3339: then, or later

  bool operator==(const RedriveFilter&) const = default;
};

/// Where to: a queue, or an exchange with a routing key. Both empty: the JobQueue's own queue.
struct RedriveTarget {
  std::string queue;
  std::string exchange;
  std::string routing_key;

  bool operator==(const RedriveTarget&) const = default;
};

struct RedriveSpec {
  std::string queue;  // queueRef.name: a JobQueue of the same namespace
  RedriveFilter filter;
  std::optional<std::int64_t> limit;  // letters to move; absent (0): all
  std::optional<std::int64_t> rate;   // letters a second; absent (0): as fast as the broker takes them
  bool dry_run = false;               // counts, and moves nothing
  RedriveTarget target;
  std::optional<std::int64_t> ttl_seconds_after_finished;  // absent: it stays

  bool operator==(const RedriveSpec&) const = default;
};

enum class RedrivePhase { pending, running, completed, failed };
std::string_view to_string(RedrivePhase phase);  // "Pending" …

struct RedriveStatus {
  std::int64_t observed_generation = 0;
  RedrivePhase phase = RedrivePhase::pending;
  std::string started_at;   // RFC 3339; empty: not yet
  std::string finished_at;  // likewise
  std::int64_t scanned = 0;
  std::int64_t matched = 0;
  std::int64_t moved = 0;
  std::int64_t skipped = 0;
  std::int64_t remaining = 0;
  std::int64_t gone = 0;
  std::map<std::string, std::int64_t> per_reason;  // of the matched
  nlohmann::json checkpoint;                       // for whoever goes on after a restart; null: none
  std::vector<Condition> conditions;

  bool operator==(const RedriveStatus&) const = default;
};

struct DeadLetterRedrive {
  ObjectMeta meta;
  RedriveSpec spec;
  RedriveStatus status;

  bool operator==(const DeadLetterRedrive&) const = default;
};

struct ReadRedrive {
  DeadLetterRedrive redrive;
  std::vector<base::Error> problems;
};

/// As read_job_queue does it.
ReadRedrive read_redrive(const nlohmann::json& object);
base::Result<DeadLetterRedrive> parse_redrive(const nlohmann::json& object);

nlohmann::json to_json(const RedriveStatus& status);

}  // namespace lambda::api
