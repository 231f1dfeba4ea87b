#include "support/kubernetes.h"

#include <cstdlib>
#include <random>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "kube/api.h"
#include "support/run.h"

namespace lambda::support {

kube::Cluster real_cluster() {
  const char* const kubeconfig = std::getenv("KUBECONFIG");
  if (kubeconfig == nullptr) throw std::runtime_error("no KUBECONFIG: run hack/test component");
  const auto cluster = kube::load_kubeconfig(kubeconfig);
  if (!cluster) throw std::runtime_error(cluster.error().message);
  return *cluster;
}

KubernetesNamespace::KubernetesNamespace()
    : client_(std::make_shared<kube::RestClient>(real_cluster())),
      name_("test-" + std::to_string(std::random_device{}())) {
  const auto created =
      kube::Api(client_, patience)
          .create({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name_}}}});
  if (!created) throw std::runtime_error(created.error().message);
}

KubernetesNamespace::~KubernetesNamespace() {
  static_cast<void>(kube::Api(client_).remove(kube::resources::name_space, "", name_));
}

}  // namespace lambda::support
