// A build: what is needed of its Job. Pure.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"
#include "base/time.h"

namespace lambda::builds {

using base::CalendarTime;

/// How Kubernetes says that the Job is over.
struct JobEnd {
  bool complete = false;
  std::string reason;  // of the condition Failed: "BackoffLimitExceeded", "DeadlineExceeded", or our own
  std::string message;
  CalendarTime time{};

  bool operator==(const JobEnd&) const = default;
};

/// A few hundred bytes for each Job that is not settled. Texts that are unknown are empty.
struct Build {
  api::ObjectKey key;
  std::string uid;
  std::string third_party_id;  // the ids themselves, not their hashes
  std::string parser_id;
  std::string correlation_id;
  std::string event_id;
  std::string event_source;
  std::string traceparent;
  std::string image;  // where it is pushed: the first --destination
  int priority = 1;
  unsigned attempt = 0;
  CalendarTime created{};
  std::optional<CalendarTime> started;                     // status.startTime: released, if it came suspended
  std::chrono::seconds deadline{0};                        // activeDeadlineSeconds, from `started`; 0: none
  std::optional<std::chrono::seconds> ttl_after_finished;  // what we are to set; nothing: it has its own
  bool suspended = false;
  bool admitted_by_us = false;  // it came suspended, and is released by nobody but us
  bool cancel_on_newer = false;
  bool deleting = false;
  bool dead_lettered = false;  // as a failed one, by us
  bool failing = false;        // FailureTarget is set: it will have failed when its pods are gone
  std::string oom_retry_memory;
  std::string waiting;       // what stands in the annotation
  bool has_verdict = false;  // how it ended stands in an annotation, too large to be kept for many
  std::optional<JobEnd> end;

  bool over() const { return end.has_value(); }
  bool operator==(const Build&) const = default;
};

/// Nothing for what is no Job of the builder's.
std::optional<Build> read_build(const nlohmann::json& job);

}  // namespace lambda::builds
