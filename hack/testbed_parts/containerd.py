"""containerd, which runs the node's containers, and the network that they get."""

import json
import socket

from . import box, images
from .part import Part

SOCKET = "/run/containerd/containerd.sock"

CONFIGURATION = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  # Not every machine lets even root lower this.
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{folder}/registries"
"""

PLAIN_HTTP_REGISTRY = """\
server = "http://{registry}"

[host."http://{registry}"]
  capabilities = ["pull", "resolve"]
"""


def _prepare(bed):
    folder = bed.subfolder("node")
    bed.write(
        "node/containerd.toml",
        CONFIGURATION.format(socket=SOCKET, folder=folder, pause_image=images.pause_image(bed)),
    )
    bed.write(
        f"node/registries/{bed.registry}/hosts.toml",
        PLAIN_HTTP_REGISTRY.format(registry=bed.registry),
    )
    bed.write("node/cni/10-testbed.conflist", json.dumps(_pod_network(bed)))


def _pod_network(bed):
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": bed.pod_network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "testbed", "plugins": [bridge, ports]}


def _listens(bed):
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"/proc/{box.pid(bed)}/root{SOCKET}")
            return True
        except OSError:
            return False


PART = Part(
    name="containerd",
    after=("box",),
    prepare=_prepare,
    command=lambda bed: ["containerd", "--config", str(bed.folder / "node" / "containerd.toml")],
    ready=_listens,
    in_box=True,
)
