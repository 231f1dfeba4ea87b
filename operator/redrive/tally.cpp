#include "redrive/tally.h"

#include <numeric>

#include <nlohmann/json.hpp>

namespace lambda::redrive {
namespace {

using nlohmann::json;

std::uint64_t sum(const PerReason& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& entry) { return sum + entry.second; });
}

bool read_counts(const json& object, PerReason& counts) {
  if (!object.is_object()) return false;
  for (const auto& [reason, count] : object.items()) {
    if (!count.is_number_unsigned()) return false;
    counts[reason] = count.get<std::uint64_t>();
  }
  return true;
}

}  // namespace

json to_json(const Checkpoint& checkpoint) {
  return {{"startedAt", base::format_rfc3339(checkpoint.started_at)},
          {"total", checkpoint.total},
          {"moved", checkpoint.moved}};
}

base::Result<Checkpoint> parse_checkpoint(const json& object) {
  Checkpoint checkpoint;
  const auto bad = [](const char* name) {
    return base::fail(base::ErrorKind::invalid, "is no checkpoint of a redrive", name);
  };
  if (!object.is_object()) return bad("checkpoint");
  const auto started_at = object.find("startedAt");
  if (started_at == object.end() || !started_at->is_string()) return bad("startedAt");
  const auto time = base::parse_rfc3339(started_at->get_ref<const std::string&>());
  if (!time) return bad("startedAt");
  checkpoint.started_at = *time;
  const auto total = object.find("total");
  if (total == object.end() || !total->is_number_unsigned()) return bad("total");
  checkpoint.total = total->get<std::uint64_t>();
  const auto moved = object.find("moved");
  if (moved == object.end() || !read_counts(*moved, checkpoint.moved)) return bad("moved");
  return checkpoint;
}

void Tally::begin_pass() {
  waiting_.clear();
  skipped_.clear();
  at_end_ = false;
}

void Tally::note(const std::string& reason, Verdict verdict) {
  if (verdict == Verdict::move) {
    ++waiting_[reason];
  } else {
    ++skipped_[std::string(to_string(verdict))];
  }
}

void Tally::note_moved(const std::string& reason) {
  const auto found = waiting_.find(reason);
  if (found != waiting_.end() && --found->second == 0) waiting_.erase(found);
  ++moved_[reason];
}

std::uint64_t Tally::moved() const {
  return sum(moved_);
}

std::uint64_t Tally::matched() const {
  return sum(moved_) + sum(waiting_);
}

Counts Tally::counts() const {
  Counts counts;
  counts.total = total_;
  counts.moved = moved();
  counts.matched = matched();
  counts.skipped = sum(skipped_);
  counts.scanned = counts.matched + counts.skipped;
  const std::uint64_t rest = counts.total > counts.scanned ? counts.total - counts.scanned : 0;
  (at_end_ ? counts.gone : counts.remaining) = rest;
  counts.matched_per_reason = moved_;
  for (const auto& [reason, count] : waiting_) counts.matched_per_reason[reason] += count;
  counts.skipped_per_cause = skipped_;
  return counts;
}

}  // namespace lambda::redrive
