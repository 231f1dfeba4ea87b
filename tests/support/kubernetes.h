// The test bed's API server, as a test uses it.
#pragma once

#include <memory>
#include <string>

#include "kube/cluster.h"
#include "kube/rest_client.h"

namespace lambda::support {

/// The cluster of KUBECONFIG, which `hack/test component` sets; throws without it.
kube::Cluster real_cluster();

/// A namespace of its own for each test, deleted with all that is in it.
class KubernetesNamespace {
 public:
  KubernetesNamespace();
  ~KubernetesNamespace();
  KubernetesNamespace(const KubernetesNamespace&) = delete;
  KubernetesNamespace& operator=(const KubernetesNamespace&) = delete;

  const std::string& name() const { return name_; }
  const std::shared_ptr<kube::RestClient>& client() const { return client_; }

 private:
  std::shared_ptr<kube::RestClient> client_;
  std::string name_;
};

}  // namespace lambda::support
