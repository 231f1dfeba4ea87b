"""The kubelet and kube-proxy: what makes the box a node."""

import json

from . import api, apiserver, certificates, containerd, tools
from .part import Part

NODE_NAME = "node"

# --- the kubelet ---


def _write_kubelet_configuration(bed):
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{containerd.SOCKET}",
        "clusterDomain": "cluster.local",
        "clusterDNS": [bed.node_ip],
        "resolvConf": str(bed.folder / "node" / "resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": certificates.path(bed, "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},  # for whom that authority vouches
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{bed.cgroup}",
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "failSwapOn": False,
        "maxPods": 200,
        "serializeImagePulls": False,
        # The machine's disk may be nearly full; that is no reason to throw tests' pods out.
        "evictionHard": {"memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    }
    bed.write("node/kubelet.json", json.dumps(configuration))


def _kubelet_command(bed):
    return [
        tools.program(tools.KUBERNETES, "kubelet"),
        f"--config={bed.folder / 'node' / 'kubelet.json'}",
        f"--kubeconfig={apiserver.kubeconfig_in_box(bed)}",
        f"--node-ip={bed.node_ip}",
        f"--hostname-override={NODE_NAME}",
    ]


def _node_is_ready(bed):
    node = api.kubernetes(bed, f"/api/v1/nodes/{NODE_NAME}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return is_ready and not node["spec"].get("taints")  # a tainted one takes no pods yet


KUBELET = Part(
    name="kubelet",
    after=("apiserver", "containerd", "network"),
    prepare=_write_kubelet_configuration,
    command=_kubelet_command,
    ready=_node_is_ready,
    in_box=True,
)

# --- kube-proxy ---

PROXY_HEALTH_PORT = 10256


def _write_proxy_configuration(bed):
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": apiserver.kubeconfig_in_box(bed)},
        "mode": "iptables",
        "clusterCIDR": bed.pod_network,
        "hostnameOverride": NODE_NAME,
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0},  # else it sets the whole machine's
        "iptables": {"minSyncPeriod": "0s"},
        "healthzBindAddress": f"{bed.node_ip}:{PROXY_HEALTH_PORT}",
    }
    bed.write("node/kube-proxy.json", json.dumps(configuration))


PROXY = Part(
    name="kube-proxy",
    after=("apiserver", "network"),
    prepare=_write_proxy_configuration,
    command=lambda bed: [
        tools.program(tools.KUBERNETES, "kube-proxy"),
        f"--config={bed.folder / 'node' / 'kube-proxy.json'}",
    ],
    ready=lambda bed: api.answers(f"http://{bed.node_ip}:{PROXY_HEALTH_PORT}/healthz"),
    in_box=True,
)
