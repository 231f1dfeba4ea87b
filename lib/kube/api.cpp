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

Result<std::string> Api::log_tail(std::string_view namespace_name, std::string_view pod,
                                  std::string_view container, unsigned tail_lines, std::size_t max_bytes,
                                  const std::stop_token& stop) const {
  const auto request = read_log(namespace_name, pod, container, tail_lines);
  if (!request) return tl::unexpected(request.error());
  const base::TimePoint deadline = base::Clock::now() + timeout_;
  std::string tail;
  const auto on_bytes = [&](std::string_view bytes) {
    tail += bytes;
    if (tail.size() > 2 * max_bytes) tail.erase(0, tail.size() - max_bytes);
    return base::Clock::now() < deadline;  // the end of a line without end is not worth more
  };
  const auto answer = client_->stream(*request, on_bytes, {.head = timeout_, .idle = timeout_}, stop);
  if (!answer) return tl::unexpected(answer.error());
  if (!answer->ok()) return tl::unexpected(to_error(*answer));
  if (tail.size() > max_bytes) tail.erase(0, tail.size() - max_bytes);
  return tail;
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
