"""On what was measured, and what."""

import os
import platform
import subprocess
from datetime import UTC, datetime

from .start import REPOSITORY


def describe():
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cpus": os.cpu_count(),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "load": f"{os.getloadavg()[0]:.2f}",
        "wrk": _output("dpkg-query", "--show", "--showformat=${Version}", "wrk"),
    }


def _output(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or "unknown"


def _first(file, key):
    with open(file, encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "unknown")
