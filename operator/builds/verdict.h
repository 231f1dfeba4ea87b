// How a build ended, and why. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "build/outcome.h"
#include "builds/build.h"
#include "builds/pod.h"
#include "builds/reasons.h"
#include "builds/waiting.h"

namespace lambda::builds {

/// Reasons of a Job's end that are ours: the condition FailureTarget gets them, with a message. Others of
/// ours are those of Waiting that can't heal.
inline constexpr std::string_view reason_superseded = reason::superseded;

/// What was seen before it ended.
struct Evidence {
  std::optional<Pod> pod;          // as it was last seen; nothing: never
  std::optional<Waiting> waiting;  // the last cause, if it never ran
  std::string log_tail;  // raw, as the API server gave it; may be cut in front: see log_wanted_bytes
};

/// The end of a log that judge() needs: behind an error of its context, Kaniko prints 7.5 KB of usage.
inline constexpr std::size_t log_wanted_bytes = 32'768;

/// All that the result says beside what the Build has. Written as JSON into the Job's annotation, so that it
/// survives what the evidence does not.
struct Verdict {
  build::Outcome outcome = build::Outcome::failed;
  std::optional<build::FailureClass> failure_class;  // unless complete or superseded
  std::string reason;      // CamelCase: "OOMKilled", "PushRefused", "ImageUnavailable", "DeadlineExceeded", …
  std::string message;     // for a person, one line
  std::string digest;      // of the image: "sha256:…"; only if complete
  std::string retried_as;  // the Job that tries it once more, with more memory
  std::string log_tail;    // clean: see clean_log_tail
  std::optional<base::CalendarTime> container_started;
  base::CalendarTime finished{};

  bool operator==(const Verdict&) const = default;
};

inline constexpr std::size_t log_tail_max_bytes = 4096;

/// Of a build that is over.
Verdict judge(const Build& build, const Evidence& evidence);

/// The end of a log: whole lines where possible, valid UTF-8, no control characters but the newline (colours
/// go as a whole), at most `max_bytes` bytes.
std::string clean_log_tail(std::string_view raw, std::size_t max_bytes = log_tail_max_bytes);

std::string to_text(const Verdict& verdict);                 // compact JSON
base::Result<Verdict> parse_verdict(std::string_view text);  // `invalid` for what to_text does not write

}  // namespace lambda::builds
