// The Kubernetes API as an operator uses it: blocking calls that take and give objects as JSON.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "base/time.h"
#include "base/write_guard.h"
#include "kube/object_request.h"
#include "kube/rest_client.h"

namespace lambda::kube {

/// Thread-safe, as long as the guard is. Every call blocks for at most the timeout, or until `stop` is
/// requested. Errors are those of to_error() (answer.h): by their kind what can be done, in http_status what
/// was said. Where the same status means two things: is_already_there, is_stale, is_expired.
class Api {
 public:
  static constexpr base::milliseconds default_timeout{10000};

  explicit Api(std::shared_ptr<RestClient> client, base::milliseconds timeout = default_timeout,
               base::WriteGuard guard = {});

  base::Result<nlohmann::json> get(const Resource& resource, std::string_view namespace_name,
                                   std::string_view name, const std::stop_token& stop = {}) const;

  /// One page: what `limit` allows, metadata.continue where there is more.
  base::Result<nlohmann::json> list(const Resource& resource, const Selection& selection,
                                    const ListPage& page = {}, const std::stop_token& stop = {}) const;

  /// The last bytes of a container's log, as they are: at most `max_bytes` of its last `tail_lines` lines.
  base::Result<std::string> log_tail(std::string_view namespace_name, std::string_view pod,
                                     std::string_view container, unsigned tail_lines, std::size_t max_bytes,
                                     const std::stop_token& stop = {}) const;

  base::Result<nlohmann::json> create(const nlohmann::json& object, std::string_view field_manager = {},
                                      const std::stop_token& stop = {}) const;
  base::Result<nlohmann::json> update(const nlohmann::json& object, std::string_view field_manager = {},
                                      const std::stop_token& stop = {}) const;
  base::Result<nlohmann::json> apply(const nlohmann::json& object, const ApplyOptions& options,
                                     const std::stop_token& stop = {}) const;
  base::Result<nlohmann::json> patch(const Resource& resource, std::string_view namespace_name,
                                     std::string_view name, PatchKind kind, const nlohmann::json& patch,
                                     const PatchOptions& options = {},
                                     const std::stop_token& stop = {}) const;

  /// The object as it is now (with a deletionTimestamp, if a finalizer holds it), or a Status.
  base::Result<nlohmann::json> remove(const Resource& resource, std::string_view namespace_name,
                                      std::string_view name, const DeleteOptions& options = {},
                                      const std::stop_token& stop = {}) const;

  RestClient& client() const { return *client_; }

 private:
  base::Result<nlohmann::json> read(const base::Result<Request>& request, const std::stop_token& stop) const;
  base::Result<nlohmann::json> write(const base::Result<Request>& request, const std::stop_token& stop) const;

  std::shared_ptr<RestClient> client_;
  base::milliseconds timeout_;
  base::WriteGuard guard_;
};

}  // namespace lambda::kube
