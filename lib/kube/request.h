// Requests to the Kubernetes API as plain values: made here, sent by a transport, compared by tests.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::kube {

enum class Method { get, post, put, patch, del };

std::string_view to_string(Method method);

struct Request {
  Method method = Method::get;
  std::string target;  // path and query
  std::string accept = "application/json";
  std::string body;                               // empty: none
  std::string content_type = "application/json";  // of the body

  bool operator==(const Request&) const = default;
};

/// Asks for as little as the API server can do for a create: the answer is metadata only, and fields are not
/// validated one by one (dry_run_create_job does that, once). `job` is a batch/v1 Job as JSON.
base::Result<Request> create_job(std::string_view namespace_name, std::string job);

/// Creates nothing; tells whether the API server would take the Job, with every field validated strictly.
base::Result<Request> dry_run_create_job(std::string_view namespace_name, std::string job);

/// The Job's metadata.
base::Result<Request> get_job_metadata(std::string_view namespace_name, std::string_view name);

/// Asks whose token it is and whether it is made for `audience` (authentication.k8s.io/v1 TokenReview). The
/// token stands in the body: never log it. Refuses a token or audience that is empty or not UTF-8.
base::Result<Request> review_token(std::string_view token, std::string_view audience);

// All that take one refuse a namespace or name that is no DNS label: an empty one would turn a get into a
// list.

}  // namespace lambda::kube
