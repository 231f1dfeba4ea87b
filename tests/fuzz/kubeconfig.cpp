// A kubeconfig. Files that it names are sought in a folder that is not there.
#include "check.h"
#include "kube/cluster.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using lambda::fuzz::check;
  const std::string text(lambda::fuzz::text(data, size));
  const auto cluster = lambda::kube::parse_kubeconfig(text, "/nonexistent");
  if (!cluster) {
    check(!cluster.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  check(!cluster->host.empty() && cluster->port != 0, "an address");
  check(cluster->path_prefix.empty() ||
            (cluster->path_prefix.front() == '/' && cluster->path_prefix.back() != '/'),
        "a prefix for targets");
  check(!cluster->url().empty(), "that can be shown");
  return 0;
}
