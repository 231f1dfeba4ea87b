"""The node's way to the world: images and packages from elsewhere, and names.

A user-space router, so that the machine needs no forwarding and no firewall rule for it. It can't
reach what listens on this machine's 127.0.0.1. Where it is missing the node is on its own, and the
tests need no more.
"""

import os
import shutil
from pathlib import Path

from . import processes
from .part import Part


def is_possible():
    return shutil.which("slirp4netns") is not None and os.path.exists("/dev/net/tun")


def write_resolv_conf(bed):
    """Before the box, which shows it to the node. Without a way out there is nobody to ask."""
    text = f"nameserver {bed.outside_name_server}\n" if is_possible() else "# no way outside\n"
    bed.write("node/resolv.conf", text, mode=0o644)


def _command(bed):
    return [
        "slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback",
        f"--cidr={bed.outside_network}",
        "--netns-type=path", f"/proc/{processes.program_pid(bed, 'box')}/ns/net", "tap0",
    ]  # fmt: skip


def _is_default_route(bed):
    routes = Path(f"/proc/{processes.program_pid(bed, 'box')}/net/route").read_text().splitlines()
    return any(line.split()[:2] == ["tap0", "00000000"] for line in routes)


PART = Part(name="outside", after=("network",), command=_command, ready=_is_default_route)
