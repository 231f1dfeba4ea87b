#include "kube/api.h"

#include <nlohmann/json.hpp>

namespace lambda::kube {
namespace {

using base::Result;
using nlohmann::json;

Result<json> object_in(const Answer& answer) {
  if (!answer.ok()) return tl::unexpected(to_error(answer));
  json object = json::parse(answer.body, nullptr, false);
  if (object.is_object()) return object;
  return base::fail(base::ErrorKind::unavailable, "the Kubernetes API answered with what is no JSON object");
}

}  // namespace

Api::Api(std::shared_ptr<RestClient> client, base::milliseconds timeout, base::WriteGuard guard)
    : client_(std::move(client)), timeout_(timeout), guard_(std::move(guard)) {}

Result<json> Api::read(const Result<Request>& request, const std::stop_token& stop) const {
  if (!request) return tl::unexpected(request.error());
  return client_->send(*request, timeout_, stop).and_then(object_in);
}

Result<json> Api::write(const Result<Request>& request, const std::stop_token& stop) const {
  if (!request) return tl::unexpected(request.error());
  const auto timeout = base::write_timeout(guard_, timeout_);
  if (!timeout) return tl::unexpected(timeout.error());
  return client_->send(*request, *timeout, stop).and_then(object_in);
}

Result<json> Api::get(const Resource& resource, std::string_view namespace_name, std::string_view name,
                      const std::stop_token& stop) const {
  return read(get_object(resource, namespace_name, name), stop);
}

Result<json> Api::list(const Resource& resource, const Selection& selection, const ListPage& page,
                       const std::stop_token& stop) const {
  return read(list_objects(resource, selection, page), stop);
}

Result<json> Api::create(const json& object, std::string_view field_manager,
                         const std::stop_token& stop) const {
  return write(create_object(object, field_manager), stop);
}

Result<json> Api::update(const json& object, std::string_view field_manager,
                         const std::stop_token& stop) const {
  return write(update_object(object, field_manager), stop);
}

Result<json> Api::apply(const json& object, const ApplyOptions& options, const std::stop_token& stop) const {
  return write(apply_object(object, options), stop);
}

Result<json> Api::patch(const Resource& resource, std::string_view namespace_name, std::string_view name,
                        PatchKind kind, const json& patch, const PatchOptions& options,
                        const std::stop_token& stop) const {
  return write(patch_object(resource, namespace_name, name, kind, patch, options), stop);
}

Result<json> Api::remove(const Resource& resource, std::string_view namespace_name, std::string_view name,
                         const DeleteOptions& options, const std::stop_token& stop) const {
  return write(delete_object(resource, namespace_name, name, options), stop);
}

}  // namespace lambda::kube
