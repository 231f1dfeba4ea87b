"""What a test bed could leave behind in its machine, as text that can be compared."""

import contextlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

# Where a node's programs put things on a machine of their own.
FOLDERS = ("/etc", "/opt", "/run", "/tmp", "/usr/libexec", "/var/lib", "/var/log", "/var/run/netns")
TRACES = re.compile(r"kube|cni|containerd|registry|rabbit|netns|testbed|epmd|calico|nri")
SETTINGS = (
    "vm/*",
    "kernel/panic*",
    "kernel/keys/root_*",
    "net/ipv4/ip_forward",
    "net/netfilter/*max",
)


def footprint(ours):
    """`ours`: how the names of the test's own test beds begin. Those of others are overlooked."""
    found = _whole_footprint()
    others = _words_of_others(ours)
    for what in ("interfaces", "addresses", "routes", "control groups", "files"):
        found[what] = [
            line for line in found[what] if not any(word.search(line) for word in others)
        ]
    found["processes"] = _processes(ours)
    return found


def _words_of_others(ours):
    words = []
    for block in Path(tempfile.gettempdir(), "knative-lambda-testbed").glob("*/block"):
        name = block.parent.name
        if not name.startswith(ours):
            words += [rf"\btestbed{block.read_text()}\b", rf"knative-lambda-testbed[-/]{name}\b"]
    return [re.compile(word) for word in words]


def _whole_footprint():
    return {
        "mounts": _lines("cat", "/proc/self/mounts"),
        "interfaces": _lines("ip", "-o", "link"),
        "addresses": _lines("ip", "-o", "-4", "address"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "firewall": _lines("iptables-save"),
        "network namespaces": _lines("ip", "netns"),
        "settings": _settings(),
        "control groups": _control_groups(),
        "files": _files(),
    }


def _lines(*command):
    shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    lines = [re.sub(r"\[\d+:\d+\]", "", line) for line in shown.splitlines()]  # packet counters
    return [line for line in lines if not line.startswith("#")]


def _processes(ours):
    """Those of our test beds. Others come and go; comparing all would be a test of the machine."""
    return sorted(filter(None, (_describe(pid, ours) for pid in os.listdir("/proc"))))


def _describe(pid, ours):
    try:
        environment = Path("/proc", pid, "environ").read_text(errors="replace")
        command = Path("/proc", pid, "cmdline").read_text(errors="replace").replace("\0", " ")
        group = Path("/proc", pid, "cgroup").read_text(errors="replace")
    except OSError:
        return None  # no process, or no longer
    is_part = re.search(rf"KNATIVE_LAMBDA_TESTBED=[^\0]*/{ours}", environment)
    is_in_pod = f"knative-lambda-testbed-{ours}" in group
    return command if is_part or is_in_pod else None


def _settings():
    found = []
    for path in (path for pattern in SETTINGS for path in Path("/proc/sys").glob(pattern)):
        with contextlib.suppress(OSError):  # some can only be written
            found.append(f"{path} = {path.read_text()}")
    return sorted(found)


def _control_groups():
    return sorted(
        str(path) for path in Path("/sys/fs/cgroup").glob("**/") if TRACES.search(path.name)
    )


def _files():
    shown = subprocess.run(
        ["find", *FOLDERS, "-xdev", "-maxdepth", "3"], capture_output=True, text=True, check=False
    ).stdout
    return sorted(line for line in shown.splitlines() if TRACES.search(line))
