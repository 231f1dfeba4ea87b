#include "reconcile/connections.h"

#include "api/reasons.h"
#include "kube/resource.h"

namespace lambda::reconcile {
namespace {

using base::ErrorKind;
using judgement::Trouble;
using nlohmann::json;

tl::unexpected<Trouble> trouble(std::string_view reason, std::string message) {
  return tl::unexpected(Trouble{reason, std::move(message)});
}

tl::unexpected<Trouble> not_readable(std::string_view missing_reason, const std::string& what,
                                     const std::string& remedy, const base::Error& error) {
  if (error.kind == ErrorKind::not_found) return trouble(missing_reason, what + " is missing: " + remedy);
  if (error.kind == ErrorKind::forbidden) {
    return trouble(api::reason::forbidden, "may not read " + what +
                                               ": give the operator's ServiceAccount the right to get it "
                                               "(manifests/rbac/operator.yaml, at its end); " +
                                               error.message);
  }
  return trouble(missing_reason, "can't read " + what + ": " + error.message);
}

tl::unexpected<Trouble> not_allowed(const std::string& what, const std::string& asker) {
  return trouble(api::reason::forbidden,
                 what + " is not for JobQueues of the namespace " + asker +
                     ": annotate it with rabbitmq.com/topology-allowed-namespaces: " + asker);
}

}  // namespace

AccessOrTrouble Connections::find(const api::Rabbitmq& rabbitmq, const std::string& job_queue_namespace,
                                  const std::stop_token& stop) {
  auto access = rabbitmq.cluster.empty() ? from_secret(rabbitmq, job_queue_namespace, stop)
                                         : from_cluster(rabbitmq, job_queue_namespace, stop);
  if (access && access->ca_pem.empty()) access->ca_pem = ca_pem_;
  return access;
}

void Connections::forget(const api::Rabbitmq& rabbitmq) {
  const auto forget = [&](const kube::Resource& resource, const std::string& name) {
    lookups_.forget(resource, {.namespace_name = rabbitmq.namespace_name, .name = name});
  };
  if (rabbitmq.cluster.empty()) return forget(kube::resources::secret, rabbitmq.connection_secret);
  forget(kube::resources::rabbitmq_cluster, rabbitmq.cluster);
  forget(kube::resources::secret, rabbitmq.cluster + "-default-user");
}

AccessOrTrouble Connections::from_secret(const api::Rabbitmq& rabbitmq, const std::string& asker,
                                         const std::stop_token& stop) {
  const api::ObjectKey key{.namespace_name = rabbitmq.namespace_name, .name = rabbitmq.connection_secret};
  const std::string what = "Secret " + to_string(key);
  const auto secret = lookups_.get(kube::resources::secret, key, stop);
  if (!secret) {
    return not_readable(api::reason::secret_missing, what, "create it with uri, username and password",
                        secret.error());
  }
  if (key.namespace_name != asker && !rabbitmq::allows_namespace(*secret, asker))
    return not_allowed(what, asker);
  const auto access = rabbitmq::access_from_secret(*secret);
  if (!access) return trouble(api::reason::secret_invalid, base::describe(access.error()));
  return *access;
}

AccessOrTrouble Connections::from_cluster(const api::Rabbitmq& rabbitmq, const std::string& asker,
                                          const std::stop_token& stop) {
  const std::string& place = rabbitmq.namespace_name;
  const api::ObjectKey key{.namespace_name = place, .name = rabbitmq.cluster};
  const std::string what = "RabbitmqCluster " + to_string(key);
  const auto cluster = lookups_.get(kube::resources::rabbitmq_cluster, key, stop);
  if (!cluster) {
    return not_readable(api::reason::cluster_missing, what,
                        "create it, or name a connectionSecret instead of a clusterReference",
                        cluster.error());
  }
  if (place != asker && !rabbitmq::allows_namespace(*cluster, asker)) return not_allowed(what, asker);
  const auto references = rabbitmq::references_of(*cluster);
  if (!references) return trouble(api::reason::cluster_not_ready, base::describe(references.error()));
  const auto secret = lookups_.get(kube::resources::secret, {place, references->credentials_secret}, stop);
  if (!secret) {
    return not_readable(api::reason::cluster_not_ready,
                        "Secret " + place + "/" + references->credentials_secret,
                        "the RabbitMQ cluster operator makes it once the cluster is up", secret.error());
  }
  const json service =
      lookups_.get(kube::resources::service, {place, references->service}, stop).value_or(json());
  const json ca_secret =
      references->ca_secret
          ? lookups_.get(kube::resources::secret, {place, *references->ca_secret}, stop).value_or(json())
          : json();
  const auto access = rabbitmq::access_from_cluster(*cluster, *secret, service, ca_secret);
  if (!access) return trouble(api::reason::cluster_not_ready, base::describe(access.error()));
  return *access;
}

}  // namespace lambda::reconcile
