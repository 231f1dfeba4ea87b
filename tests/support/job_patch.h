// What a configuration may lay over its Jobs, for tests of the formats in which they are written.
#pragma once

#include <string_view>

namespace lambda::support {

/// Each type of field that Kubernetes has, and those whose members stand among another's in JSON. The API
/// server takes it.
inline constexpr std::string_view patch_of_all_types = R"({
  "metadata": {"labels": {"team": "builds"}, "finalizers": ["example.org/a"]},
  "spec": {
    "backoffLimit": 6, "suspend": true, "parallelism": 2, "activeDeadlineSeconds": 5000000000,
    "podFailurePolicy": {"rules": [
      {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 200]}},
      {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]},
    "template": {"metadata": {"annotations": {"empty": ""}}, "spec": {
      "nodeSelector": {"pool": "builds"}, "tolerations": [{"key": "builds", "operator": "Exists"}],
      "securityContext": {"fsGroup": 5000, "seccompProfile": {"type": "RuntimeDefault"}},
      "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
        [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast", "faster"]}]}]}}},
      "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
      "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "b", "configMap": {"name": "c"}},
                  {"name": "h", "emptyDir": {}},
                  {"name": "d", "projected": {"sources": [{"secret": {"name": "e", "optional": true}},
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}}],
      "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always",
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
        "env": [{"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}],
        "envFrom": [{"prefix": "p", "secretRef": {"name": "s"}}],
        "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
        "livenessProbe": {"periodSeconds": 5, "httpGet": {"path": "/", "port": 80}},
        "startupProbe": {"tcpSocket": {"port": "probe"}}}]}}}})";

}  // namespace lambda::support
