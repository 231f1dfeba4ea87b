#include "runtime/event_correlator.h"

namespace lambda::runtime {
namespace {

// What is left for the object's name in that of the Event, which has at most 253 characters.
constexpr std::size_t object_name_max = 200;

}  // namespace

EventCorrelator::EventCorrelator(const EventSettings& settings)
    : settings_(settings), events_(settings.remembered_max), buckets_(settings.remembered_max) {}

bool EventCorrelator::has_token(const ObjectReference& object, base::TimePoint now) {
  base::TokenBucket* bucket = buckets_.find(object);
  if (bucket == nullptr) {
    bucket = &buckets_.insert(object,
                              base::TokenBucket(settings_.per_second_per_object, settings_.burst_per_object));
  }
  return bucket->take(now);
}

std::optional<EventCorrelator::Send> EventCorrelator::admit(const EventNote& note, base::TimePoint now,
                                                            std::string_view unique) {
  if (Known* const known = events_.find(note)) {
    ++known->count;
    if (now - known->sent_at < settings_.count_up_every || !has_token(note.regarding, now))
      return std::nullopt;
    known->sent_at = now;
    return Send{known->name, known->count};
  }
  if (!has_token(note.regarding, now)) return std::nullopt;
  std::string name = note.regarding.key.name.substr(0, object_name_max) + "." + std::string(unique);
  return Send{events_.insert(note, {std::move(name), 1, now}).name, 1};
}

}  // namespace lambda::runtime
