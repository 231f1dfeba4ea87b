#include "kube/resource.h"

#include <algorithm>
#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::kube {
namespace {

using namespace resources;

constexpr std::array known{secret,
                           pod,
                           service,
                           name_space,
                           event,
                           core_event,
                           lease,
                           job,
                           deployment,
                           custom_resource_definition,
                           job_queue,
                           dead_letter_redrive,
                           rabbitmq_queue,
                           rabbitmq_exchange,
                           rabbitmq_binding,
                           rabbitmq_policy,
                           rabbitmq_operator_policy,
                           rabbitmq_cluster,
                           broker,
                           trigger,
                           rabbitmq_broker_config,
                           rabbitmq_source};

std::string text_at(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

base::Result<Resource> find_resource(std::string_view api_version, std::string_view kind) {
  const auto* const found = std::ranges::find_if(known, [&](const Resource& resource) {
    return resource.api_version == api_version && resource.kind == kind;
  });
  if (found != known.end()) return *found;
  return base::fail(base::ErrorKind::unsupported,
                    base::quote(kind) + " of " + base::quote(api_version) + " is no kind that is known here");
}

base::Result<Resource> resource_of(const nlohmann::json& object) {
  return find_resource(text_at(object, "apiVersion"), text_at(object, "kind"));
}

std::string to_string(const Resource& resource) {
  const std::size_t slash = resource.api_version.find('/');
  std::string name(resource.plural);
  if (slash != std::string_view::npos) name.append(".").append(resource.api_version.substr(0, slash));
  return name;
}

}  // namespace lambda::kube
