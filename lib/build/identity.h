// What makes two deliveries the same build, and the name that follows from it.
#pragma once

#include <string>
#include <string_view>

namespace lambda::build {

/// CloudEvents: source and id together tell an event from all others. A redrive from the dead-letter queue is
/// a build of its own.
struct EventIdentity {
  std::string source;
  std::string id;
  unsigned redrive_attempt = 0;  // 0: no redrive
};

/// 32 lower-case hex digits; equal for equal identities, on every replica and in every version.
std::string event_hash(const EventIdentity& identity);

/// A DNS label of at most 63 characters, made of the identity only: whatever else a redelivered event says,
/// its Job has the name of the first one, and the API server tells the duplicate.
std::string job_name(const EventIdentity& identity);

/// The same from the hash, for who has it already.
std::string job_name_of(std::string_view event_hash);

}  // namespace lambda::build
