// From an event to the Kaniko Job that builds it.
#pragma once

#include <cstddef>
#include <string>

#include "cloudevents/event.h"
#include "config/config.h"
#include "event/job_start.h"

namespace lambda::job {

/// The event goes into an annotation while its JSON is no larger: the API server takes 256 KiB of annotations
/// in all.
inline constexpr std::size_t event_annotation_max_bytes = 65'536;

struct Job {
  std::string name;
  std::string namespace_name;
  std::string body;  // the batch/v1 Job as JSON
};

/// The same arguments make the same bytes. The name depends on the event's source and id and on the attempt
/// only. Whatever the sender wrote stands in a single word of the form --flag=value, in a label that follows
/// the rule for labels, or in an annotation. Pods fit the Pod Security level "baseline". `redrive_attempt` 0:
/// no redrive.
///
/// `settings.destination` has passed build::check_destination, and `start` was parsed from `event` with
/// `settings`.
Job make_job(const config::Build& settings, const cloudevents::Event& event, const event::JobStart& start,
             unsigned redrive_attempt);

}  // namespace lambda::job
