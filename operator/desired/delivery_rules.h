// The rules about handing events on, for JobQueues and for Knative's objects by themselves. Private to this
// folder.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/job_queue.h"
#include "desired/lint.h"

namespace lambda::desired {

using Findings = std::vector<Finding>;

void warn(Findings& findings, std::string_view reason, std::string field, std::string message,
          std::string remedy);
void fault(Findings& findings, std::string_view reason, std::string field, std::string message,
           std::string remedy);

// `field` is the path of what is checked.
void check_retries(const api::Delivery& delivery, const std::string& field, Findings& findings);
void check_timeout(const api::Delivery& delivery, const std::string& field, Findings& findings);

/// `in_hand` deliveries are taken, and `at_once` of them worked on.
void check_consumer_timeout(const api::Delivery& delivery, std::int64_t in_hand, std::int64_t at_once,
                            const std::string& field, Findings& findings);
void check_parallelism(std::int64_t parallelism, const std::string& field, Findings& findings);
void check_filter(const std::map<std::string, std::string>& filter, const std::string& field,
                  Findings& findings);

}  // namespace lambda::desired
