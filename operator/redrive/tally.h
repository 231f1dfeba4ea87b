// What a redrive has counted, and what of it survives a restart. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "base/time.h"
#include "redrive/letter.h"

namespace lambda::redrive {

using PerReason = std::map<std::string, std::uint64_t>;

/// scanned = matched + skipped, matched >= moved. What is skipped stays in the queue and is read anew by each
/// pass over it (after a lost connection, or a restart), so these are the figures of the present pass, but
/// for what was moved: that is counted for good. A letter whose acknowledgement was lost with the broker is
/// moved again and counted again.
struct Counts {
  std::uint64_t total = 0;      // letters in the queue when the redrive began
  std::uint64_t scanned = 0;    // looked at
  std::uint64_t matched = 0;    // to be moved
  std::uint64_t moved = 0;      // confirmed by the target and acknowledged; of a dry run none
  std::uint64_t skipped = 0;    // left in the queue
  std::uint64_t remaining = 0;  // of the total not looked at
  /// Of the total not there any more when the end was reached: moved, but a crash came before it was noted
  /// down; or expired, or taken by somebody else.
  std::uint64_t gone = 0;
  PerReason matched_per_reason;  // Letter::reason
  PerReason skipped_per_cause;   // to_string(Verdict)

  bool operator==(const Counts&) const = default;
};

/// What has to be kept to go on after a restart.
struct Checkpoint {
  base::CalendarTime started_at;
  std::uint64_t total = 0;
  PerReason moved;

  bool operator==(const Checkpoint&) const = default;
};

nlohmann::json to_json(const Checkpoint& checkpoint);
/// `invalid` for what to_json does not write.
base::Result<Checkpoint> parse_checkpoint(const nlohmann::json& checkpoint);

class Tally {
 public:
  Tally() = default;
  explicit Tally(const Checkpoint& checkpoint) : total_(checkpoint.total), moved_(checkpoint.moved) {}

  void set_total(std::uint64_t total) { total_ = total; }
  std::uint64_t total() const { return total_; }

  /// From here on the queue is read from its head.
  void begin_pass();
  void note(const std::string& reason, Verdict verdict);
  /// One that was noted with Verdict::move.
  void note_moved(const std::string& reason);
  /// The queue has no letter of the total that was not looked at.
  void note_end() { at_end_ = true; }

  std::uint64_t moved() const;
  /// Noted with Verdict::move, moved or not.
  std::uint64_t matched() const;
  const PerReason& moved_per_reason() const { return moved_; }
  Counts counts() const;

 private:
  std::uint64_t total_ = 0;
  PerReason moved_;
  PerReason waiting_;  // of this pass: to be moved
  PerReason skipped_;  // of this pass, by cause
  bool at_end_ = false;
};

}  // namespace lambda::redrive
