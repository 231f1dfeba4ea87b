"""The box: the node's own processes, mounts and network, apart from the machine's.

A node leaves much in its machine: firewall chains, bridges, mounts, container processes, kernel
settings. So it gets namespaces of its own (process ids, mounts, network), held by one small
process. When that process ends, by `down` or by a crash, the kernel takes the rest away. All that
the machine sees is one interface, the near end of a wire to the box.
"""

import contextlib
import os
import sys
from pathlib import Path

from . import outside, processes
from .part import Part
from .place import cache_folder
from .problem import Problem
from .take_down import remove_cgroups, remove_interface


def pid(bed):
    """The process in the box whose namespaces are the node's."""
    found = processes.program_pid(bed, "box")
    if found is None:
        raise Problem("the node's box is gone; hack/testbed up makes a new one")
    return found


# --- the namespaces ---


def refuse_without_root():
    if os.geteuid() != 0:
        raise Problem(
            "a node needs root: it makes namespaces, control groups and a network interface."
            " Nothing was touched. The control plane alone (hack/testbed up) needs no root."
        )


def _prepare(bed):
    refuse_without_root()
    _ready_file(bed).unlink(missing_ok=True)
    remove_interface(bed)  # a box that crashed may have left these two
    remove_cgroups(bed)
    _make_cgroups(bed)
    for name in ("containerd", "kubelet", "pods"):
        bed.subfolder("node", name)
    outside.write_resolv_conf(bed)


def _make_cgroups(bed):
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():  # cgroup v2
        (root / bed.cgroup).mkdir()
        with contextlib.suppress(OSError):  # they are handed down already, nearly everywhere
            (root / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
        return
    for hierarchy in root.iterdir():
        # A name like cpu,cpuacct is one hierarchy with links cpu and cpuacct to it.
        if hierarchy.is_dir() and not hierarchy.is_symlink() and (hierarchy / "tasks").exists():
            (hierarchy / bed.cgroup).mkdir()


def _command(bed):
    return [
        "unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
        sys.executable, str(Path(__file__).with_name("box_init.py")),
        str(bed.folder), str(cache_folder()),
    ]  # fmt: skip


def _ready_file(bed):
    return bed.folder / "node" / "box-ready"


BOX = Part(
    name="box",
    prepare=_prepare,
    command=_command,
    ready=lambda bed: _ready_file(bed).exists(),
    takes_along=("outside", "containerd", "kubelet", "kube-proxy", "coredns"),
)


# --- the wire ---


def _lay_wire(bed):
    inside = str(pid(bed))
    remove_interface(bed)  # half laid by an `up` that was killed
    _ip(f"link add {bed.interface} type veth peer name eth0 netns {inside}")
    _ip(
        "link set lo up",
        f"address add {bed.node_ip}/24 dev eth0",
        "link set eth0 up",
        # Packets for a service need some route before kube-proxy's rules turn them round.
        f"route add default via {bed.host_ip} metric 1000",
        inside=inside,
    )
    _ip(
        f"address add {bed.host_ip}/24 dev {bed.interface}",
        f"link set {bed.interface} up",
        f"route add {bed.pod_network} via {bed.node_ip}",
        f"route add {bed.service_network} via {bed.node_ip}",
    )


def _ip(*lines, inside=None):
    enter = ["nsenter", "--target", inside, "--net", "--"] if inside else []
    for line in lines:
        processes.run([*enter, "ip", *line.split()], "network")


def _wire_is_laid(bed):
    if not Path("/sys/class/net", bed.interface).exists():
        return False
    routes = processes.run(["ip", "-4", "route", "show", "dev", bed.interface], "network")
    return bed.service_network in routes  # laid last


NETWORK = Part(name="network", after=("box",), prepare=_lay_wire, ready=_wire_is_laid)
