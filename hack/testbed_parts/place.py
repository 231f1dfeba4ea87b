"""Where a test bed lives: its folder, its block of ports and addresses, and its locks.

Everything is derived from the name, so that several test beds stand side by side. A block is a
number; it stands for twenty ports and for four networks. The name's hash says which block is tried
first; the one that was found free is written down in the folder.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import os
import re
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .problem import Problem

BLOCKS = 64
FIRST_PORT = 21000
PORTS_IN_A_BLOCK = 20
PORTS = (
    "etcd",
    "etcd-peer",
    "apiserver",
    "controller-manager",
    "scheduler",
    "registry",
    "amqp",
    "rabbitmq-management",
    "rabbitmq-distribution",
    "rabbitmq-epmd",
    "topology-operator",
    "knative-broker-controller",
    "knative-source-controller",
    "kueue-health",
    "kueue-metrics",
    "kueue-webhook",
)
HOST_NAME = "host.testbed.internal"


def all_test_beds_folder():
    return Path(tempfile.gettempdir()) / "knative-lambda-testbed"


def cache_folder():
    named = os.environ.get("KNATIVE_LAMBDA_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "knative-lambda"


@dataclass(frozen=True)
class TestBed:
    name: str

    def __post_init__(self):
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", self.name):
            raise Problem(
                f"--name {self.name!r}: use up to 30 lower-case letters, digits and dashes"
            )

    # --- the folder ---

    @property
    def folder(self):
        return all_test_beds_folder() / self.name

    def subfolder(self, *names):
        path = self.folder.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, part):
        return self.subfolder("logs") / f"{part}.log"

    def write(self, relative_path, text, mode=0o600):
        """Writes a file whole or not at all: a killed `up` leaves no half of one."""
        path = self.folder / relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.write_text(text)
        unfinished.chmod(mode)
        unfinished.rename(path)
        return path

    def read(self, relative_path, default=None):
        try:
            return (self.folder / relative_path).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return default
        except PermissionError as error:
            raise Problem(f"{self.folder} is another user's; choose another --name") from error

    def secret(self, what):
        """A random word that stays the same for this test bed's life."""
        kept = self.read(f"secrets/{what}")
        if kept is None:
            kept = os.urandom(16).hex()
            self.write(f"secrets/{what}", kept)
        return kept

    @property
    def extras(self):
        """What was asked for beyond the control plane, e.g. {"node"}."""
        return set((self.read("with") or "").split())

    def remember_extras(self, extras):
        self.write("with", " ".join(sorted(extras)))

    @property
    def syncs(self):
        """Whether etcd writes through to the disk. A test's data need not outlive a power cut, and a
        killed process loses nothing without; a benchmark wants what production pays.
        """
        return self.read("fsync") is not None

    # --- ports and addresses ---

    @cached_property
    def block(self):
        kept = self.read("block")
        if kept is None:
            raise Problem(f"test bed {self.name!r} is not up; start it: hack/testbed up")
        return int(kept)

    def port(self, what):
        return FIRST_PORT + self.block * PORTS_IN_A_BLOCK + PORTS.index(what)

    @property
    def listen_address(self):
        """For what a node's pods reach too. A node may be added later, but not beside one that pretends."""
        return "127.0.0.1" if "kwok" in self.extras else "0.0.0.0"

    @property
    def host_ip(self):
        """The machine, as the node and its pods see it."""
        return f"10.213.{self.block}.1"

    @property
    def node_ip(self):
        return f"10.213.{self.block}.2"

    @property
    def pod_network(self):
        return f"10.214.{self.block}.0/24"

    @property
    def service_network(self):
        return f"10.215.{self.block}.0/24"

    @property
    def first_service_ip(self):
        return f"10.215.{self.block}.1"

    @property
    def outside_network(self):
        """The little network by which the node reaches the world outside the machine."""
        return f"10.216.{self.block}.0/24"

    @property
    def outside_name_server(self):
        return f"10.216.{self.block}.3"

    @property
    def interface(self):
        return f"testbed{self.block}"

    @property
    def cgroup(self):
        return f"knative-lambda-testbed-{self.name}"

    # --- where things answer ---

    @property
    def api_url(self):
        return f"https://127.0.0.1:{self.port('apiserver')}"

    @property
    def registry(self):
        """One address for all: this machine, the node's containerd and the pods."""
        return f"{self.host_ip}:{self.port('registry')}"


# --- locks ---


@contextlib.contextmanager
def locked(folder, say_waiting=None):
    """Holds a folder's lock. The kernel lets go of it when the holder dies, however it dies."""
    handle = _lock(folder, say_waiting)
    try:
        yield
    finally:
        os.close(handle)


def _lock(folder, say_waiting):
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # a `down` took the parent away in between
            continue
        _wait_for_lock(handle, say_waiting)
        if _is_still(folder, handle):
            return handle
        os.close(handle)  # its holder was a `down`, and the folder is gone: make it anew


def _wait_for_lock(handle, say_waiting):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if say_waiting:
            say_waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)


def _is_still(folder, handle):
    try:
        return os.path.samestat(os.stat(folder), os.fstat(handle))
    except FileNotFoundError:
        return False


# --- finding a free block ---


def reserve_block(bed):
    """Makes sure that the test bed has a block of its own."""
    if bed.read("block") is not None:
        return
    with locked(all_test_beds_folder()):
        bed.write("block", str(_free_block(bed)))


def _free_block(bed):
    first = int.from_bytes(hashlib.sha256(bed.name.encode()).digest()[:4], "big")
    taken = _blocks_of_the_others(bed)
    routes = _networks_in_use()
    for step in range(BLOCKS):
        block = (first + step) % BLOCKS
        if block not in taken and _is_free(block, routes):
            return block
    raise Problem(f"no free block of ports: {BLOCKS} test beds, or other programs, hold them all")


def _blocks_of_the_others(bed):
    found = set()
    for path in all_test_beds_folder().glob("*/block"):
        if path.parent != bed.folder:
            with contextlib.suppress(FileNotFoundError):
                found.add(int(path.read_text()))
    return found


def _is_free(block, routes):
    networks = [ipaddress.ip_network(f"10.{n}.{block}.0/24") for n in (213, 214, 215, 216)]
    start = FIRST_PORT + block * PORTS_IN_A_BLOCK
    return (
        not os.path.exists(f"/sys/class/net/testbed{block}")
        and not any(network.overlaps(route) for network in networks for route in routes)
        and all(port_is_free(start + offset) for offset in range(PORTS_IN_A_BLOCK))
    )


def port_is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
            return True
        except OSError:
            return False


def _networks_in_use():
    """The machine's routes; a default route is nobody's network."""
    try:
        shown = subprocess.run(
            ["ip", "-4", "route", "show"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    words = [line.split()[0] for line in shown.splitlines() if line and line[0].isdigit()]
    return [ipaddress.ip_network(word, strict=False) for word in words]
