#include "kube/request.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::kube {
namespace {

constexpr std::string_view metadata_only = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
// A Status, as errors are, has no metadata-only form: for it the API server goes on to the second type.
constexpr std::string_view success_in_protobuf =
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

base::Result<std::string> jobs_path(std::string_view namespace_name) {
  if (!base::is_dns_label(namespace_name)) {
    return base::fail(base::ErrorKind::invalid, base::quote(namespace_name) + " is no name of a namespace");
  }
  return "/apis/batch/v1/namespaces/" + std::string(namespace_name) + "/jobs";
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
  }
  return "GET";
}

base::Result<Request> create_job(std::string_view namespace_name, std::string job,
                                 std::string_view content_type) {
  return jobs_path(namespace_name).map([&](const std::string& path) {
    return Request{Method::post, path + "?fieldValidation=Ignore", std::string(success_in_protobuf),
                   std::move(job), std::string(content_type)};
  });
}

base::Result<Request> dry_run_create_job(std::string_view namespace_name, std::string job) {
  return jobs_path(namespace_name).map([&](const std::string& path) {
    return Request{Method::post, path + "?dryRun=All&fieldValidation=Strict", std::string(metadata_only),
                   std::move(job)};
  });
}

base::Result<Request> get_job_metadata(std::string_view namespace_name, std::string_view name) {
  if (!base::is_dns_label(name)) {
    return base::fail(base::ErrorKind::invalid, base::quote(name) + " is no name of a Job");
  }
  return jobs_path(namespace_name).map([&](const std::string& path) {
    return Request{Method::get, path + "/" + std::string(name), std::string(metadata_only), ""};
  });
}

base::Result<Request> review_token(std::string_view token, std::string_view audience) {
  for (const std::string_view text : {token, audience}) {
    if (text.empty() || !base::is_valid_utf8(text)) {
      return base::fail(base::ErrorKind::invalid, "a token review needs a token and an audience, both UTF-8");
    }
  }
  const nlohmann::json review = {
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenReview"},
      {"spec", {{"token", token}, {"audiences", nlohmann::json::array({audience})}}}};
  return Request{Method::post, "/apis/authentication.k8s.io/v1/tokenreviews", "application/json",
                 review.dump()};
}

}  // namespace lambda::kube
