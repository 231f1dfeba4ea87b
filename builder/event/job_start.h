// The job.start event: what a tenant asks to be built.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cloudevents/event.h"
#include "config/config.h"
#include "event/environment.h"
#include "event/source.h"

namespace lambda::event {

inline constexpr std::string_view job_start_type = "network.notifi.lambda.job.start";
inline constexpr std::string_view build_start_type = "network.notifi.lambda.build.start";  // its direct form

enum class BuildType {
  container,  // by the source's own Dockerfile
  function,   // by the Dockerfile that the installation has for the runtime
};

/// Checked throughout; what the event left out has its default.
struct JobStart {
  std::string third_party_id;  // the tenant; 1 to 256 bytes
  std::string parser_id;       // 1 to 256 bytes
  std::string correlation_id;  // the event's id where the sender gave none
  std::string job_name;        // what the sender calls the Job, for people; may be empty
  int priority = 1;            // 0 to 10, higher first
  BuildType build_type = BuildType::container;
  std::string runtime;  // a label value; may be empty. Of a function: one of those that are configured
  Source source;
  std::chrono::seconds timeout{};
  Environment environment;
  unsigned redrive_attempt = 0;  // 0: it was not sent back after a failed build
};

/// Reads an event of either type, whose data is a JSON object of at most base::json_max_depth - 1 levels.
/// Unknown fields are let pass, null counts as absent. Errors name the field by its path
/// ("data.parameters.build_timeout"); the same event fails again.
base::Result<JobStart> parse_job_start(const cloudevents::Event& event, const config::Build& settings);

}  // namespace lambda::event
