#include "build/identity.h"

#include "base/hash.h"

namespace lambda::build {

std::string event_hash(const EventIdentity& identity) {
  constexpr std::size_t hash_characters = 32;  // 128 bits: no two events of the same queue will meet
  const std::string whole =
      identity.redrive_attempt == 0
          ? base::sha256_hex({identity.source, identity.id})
          : base::sha256_hex({identity.source, identity.id, std::to_string(identity.redrive_attempt)});
  return whole.substr(0, hash_characters);
}

std::string job_name(const EventIdentity& identity) {
  return job_name_of(event_hash(identity));
}

std::string job_name_of(std::string_view event_hash) {
  return "kaniko-job-" + std::string(event_hash);
}

}  // namespace lambda::build
