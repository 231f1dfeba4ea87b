// The labels and annotations of a build's Job: a contract with whoever selects by them, the operator too.
#pragma once

#include <string_view>

namespace lambda::build {

namespace label {
inline constexpr std::string_view name = "app.kubernetes.io/name";
inline constexpr std::string_view managed_by = "app.kubernetes.io/managed-by";
inline constexpr std::string_view part_of = "app.kubernetes.io/part-of";
inline constexpr std::string_view third_party_id = "lambda.notifi.network/third-party-id";  // label_value(id)
inline constexpr std::string_view parser_id = "lambda.notifi.network/parser-id";            // label_value(id)
inline constexpr std::string_view runtime = "lambda.notifi.network/runtime";  // where the event names one
inline constexpr std::string_view admission =
    "lambda.notifi.network/admission";  // on a Job that starts suspended: who is to release it
inline constexpr std::string_view kueue_queue = "kueue.x-k8s.io/queue-name";
inline constexpr std::string_view kueue_priority_class = "kueue.x-k8s.io/priority-class";

// Set by the operator when a build is over and told: word of build::Outcome. It follows what has none.
inline constexpr std::string_view outcome = "lambda.notifi.network/outcome";

inline constexpr std::string_view admission_by_operator = "operator";
inline constexpr std::string_view name_value = "kaniko-job";
inline constexpr std::string_view managed_by_value = "knative-lambda-builder";
inline constexpr std::string_view part_of_value = "knative-lambda";
}  // namespace label

namespace annotation {
inline constexpr std::string_view event_id = "lambda.notifi.network/event-id";
inline constexpr std::string_view event_source = "lambda.notifi.network/event-source";
inline constexpr std::string_view event_time = "lambda.notifi.network/event-time";  // where the event has one
inline constexpr std::string_view correlation_id = "lambda.notifi.network/correlation-id";
inline constexpr std::string_view job_name =
    "lambda.notifi.network/job-name";  // what the sender calls the Job
inline constexpr std::string_view priority =
    "lambda.notifi.network/priority";  // "0" to "10", higher first; where the operator admits
inline constexpr std::string_view traceparent = "lambda.notifi.network/traceparent";  // W3C Trace Context
inline constexpr std::string_view event =
    "lambda.notifi.network/event";  // the whole event as JSON, if it is small
inline constexpr std::string_view attempt =
    "lambda.notifi.network/attempt";  // of a redrive or a retry, where it is not 0

// What the builder's configuration leaves to the operator, on Jobs that it is to follow.
inline constexpr std::string_view ttl_after_finished =
    "lambda.notifi.network/ttl-after-finished";  // in seconds; set as the Job's own once the outcome is told
inline constexpr std::string_view on_newer =
    "lambda.notifi.network/on-newer";  // "cancel": a newer build of its tenant and parser ends this one
inline constexpr std::string_view oom_retry_memory =
    "lambda.notifi.network/oom-retry-memory";  // what one that ran out of memory is tried once more with

// What the operator writes.
inline constexpr std::string_view waiting = "lambda.notifi.network/waiting";  // why it does not run yet
inline constexpr std::string_view result =
    "lambda.notifi.network/result";  // how it ended, in JSON (operator/builds/verdict.h)

inline constexpr std::string_view dead_lettered =
    "lambda.notifi.network/dead-lettered";  // when a failed build's event went to the dead-letter queue

inline constexpr std::string_view on_newer_cancel = "cancel";

// The ids themselves, where the label holds a hash.
inline constexpr std::string_view third_party_id = "lambda.notifi.network/third-party-id";
inline constexpr std::string_view parser_id = "lambda.notifi.network/parser-id";
}  // namespace annotation

}  // namespace lambda::build
