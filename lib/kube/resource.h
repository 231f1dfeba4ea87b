// The kinds of objects that are used here, and how each is named in a request.
#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::kube {

/// Made of literals.
struct Resource {
  std::string_view api_version;  // "v1", "rabbitmq.com/v1beta1"
  std::string_view kind;
  std::string_view plural;
  bool namespaced = true;

  bool operator==(const Resource&) const = default;
};

namespace resources {

inline constexpr Resource secret{"v1", "Secret", "secrets"};
inline constexpr Resource pod{"v1", "Pod", "pods"};
inline constexpr Resource service{"v1", "Service", "services"};
inline constexpr Resource name_space{"v1", "Namespace", "namespaces", false};
inline constexpr Resource event{"events.k8s.io/v1", "Event", "events"};
inline constexpr Resource core_event{"v1", "Event", "events"};  // the same ones, with other selectors
inline constexpr Resource lease{"coordination.k8s.io/v1", "Lease", "leases"};
inline constexpr Resource job{"batch/v1", "Job", "jobs"};
inline constexpr Resource deployment{"apps/v1", "Deployment", "deployments"};
inline constexpr Resource custom_resource_definition{"apiextensions.k8s.io/v1", "CustomResourceDefinition",
                                                     "customresourcedefinitions", false};

inline constexpr Resource job_queue{"lambda.notifi.network/v1alpha1", "JobQueue", "jobqueues"};
inline constexpr Resource dead_letter_redrive{"lambda.notifi.network/v1alpha1", "DeadLetterRedrive",
                                              "deadletterredrives"};

inline constexpr Resource rabbitmq_queue{"rabbitmq.com/v1beta1", "Queue", "queues"};
inline constexpr Resource rabbitmq_exchange{"rabbitmq.com/v1beta1", "Exchange", "exchanges"};
inline constexpr Resource rabbitmq_binding{"rabbitmq.com/v1beta1", "Binding", "bindings"};
inline constexpr Resource rabbitmq_policy{"rabbitmq.com/v1beta1", "Policy", "policies"};
inline constexpr Resource rabbitmq_operator_policy{"rabbitmq.com/v1beta1", "OperatorPolicy",
                                                   "operatorpolicies"};
inline constexpr Resource rabbitmq_cluster{"rabbitmq.com/v1beta1", "RabbitmqCluster", "rabbitmqclusters"};

inline constexpr Resource broker{"eventing.knative.dev/v1", "Broker", "brokers"};
inline constexpr Resource trigger{"eventing.knative.dev/v1", "Trigger", "triggers"};
inline constexpr Resource rabbitmq_broker_config{"eventing.knative.dev/v1alpha1", "RabbitmqBrokerConfig",
                                                 "rabbitmqbrokerconfigs"};
inline constexpr Resource rabbitmq_source{"sources.knative.dev/v1alpha1", "RabbitmqSource",
                                          "rabbitmqsources"};

}  // namespace resources

/// One of the above by what stands in an object; `unsupported` for any other.
base::Result<Resource> find_resource(std::string_view api_version, std::string_view kind);
base::Result<Resource> resource_of(const nlohmann::json& object);

/// "jobs.batch", "secrets": as kubectl and RBAC name it.
std::string to_string(const Resource& resource);

}  // namespace lambda::kube
