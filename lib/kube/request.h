// Requests to the Kubernetes API as plain values: made here, sent by a transport, compared by tests.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::kube {

enum class Method { get, post, put, patch, del };

std::string_view to_string(Method method);

inline constexpr const char* json_type = "application/json";
inline constexpr const char* protobuf_type = "application/vnd.kubernetes.protobuf";

struct Request {
  Method method = Method::get;
  std::string target;  // path and query
  std::string accept{json_type};
  std::string body;                     // empty: none
  std::string content_type{json_type};  // of the body

  bool operator==(const Request&) const = default;
};

/// Asks for as little as the API server can do for a create: fields are not validated one by one
/// (dry_run_create_job does that, once), and the answer to a success, which nobody reads, is metadata only
/// and protobuf. Errors are JSON. `job` is a batch/v1 Job of that type.
base::Result<Request> create_job(std::string_view namespace_name, std::string job,
                                 std::string_view content_type = json_type);

/// Creates nothing; tells whether the API server would take the Job, which is JSON, with every field
/// validated strictly.
base::Result<Request> dry_run_create_job(std::string_view namespace_name, std::string job);

/// The Job's metadata.
base::Result<Request> get_job_metadata(std::string_view namespace_name, std::string_view name);

/// Asks whose token it is and whether it is made for `audience` (authentication.k8s.io/v1 TokenReview). The
/// token stands in the body: never log it. Refuses a token or audience that is empty or not UTF-8.
base::Result<Request> review_token(std::string_view token, std::string_view audience);

// All that take one refuse a namespace or name that is no DNS label: an empty one would turn a get into a
// list.

}  // namespace lambda::kube
