// How to reach a broker, from the Kubernetes objects that say so. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "amqp/uri.h"
#include "base/error.h"

namespace lambda::rabbitmq {

struct Access {
  std::string management_url;  // "http://host:15672", "https://host/prefix": what comes before /api
  std::string username;
  std::string password;
  std::string ca_pem;              // who signs the broker's certificate; empty: the machine's authorities
  std::uint16_t amqp_port = 5672;  // on the same host
  bool amqp_tls = false;

  auto operator<=>(const Access&) const = default;
};

/// From a connection Secret as the topology operator and Knative read it: `uri` is the management API's
/// ("http://" is assumed where it names no scheme), `username`, `password`, and Knative's `port`, which is
/// AMQP's. `ca.crt` is ours and optional. Errors are `invalid`, name the Secret and the key, and never show a
/// value.
base::Result<Access> access_from_secret(const nlohmann::json& secret);

/// Where the credentials of a RabbitmqCluster are: all in the cluster's namespace.
struct ClusterReferences {
  std::string credentials_secret;        // status.binding, else "<name>-default-user"
  std::string service;                   // status.defaultUser.serviceReference, else "<name>"
  std::optional<std::string> ca_secret;  // if the management API is to be spoken to by TLS

  bool operator==(const ClusterReferences&) const = default;
};

base::Result<ClusterReferences> references_of(const nlohmann::json& cluster);

/// `service` and `ca_secret` may be null: then the standard ports are taken, and the machine's authorities.
base::Result<Access> access_from_cluster(const nlohmann::json& cluster, const nlohmann::json& secret,
                                         const nlohmann::json& service, const nlohmann::json& ca_secret);

/// Whether an object of the namespace may use this Secret or RabbitmqCluster: it is of the same one, or the
/// annotation rabbitmq.com/topology-allowed-namespaces names it, or "*".
bool allows_namespace(const nlohmann::json& secret_or_cluster, std::string_view namespace_name);

/// AMQP on the host of the management API.
base::Result<amqp::Uri> amqp_uri(const Access& access, const std::string& vhost);

}  // namespace lambda::rabbitmq
