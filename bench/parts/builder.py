"""knative-lambda-builder, the release build, as a process."""

import json
import subprocess

import requests

from .children import Child
from .problem import Problem
from .start import REPOSITORY

PROGRAM = REPOSITORY / "build" / "release" / "bin" / "knative-lambda-builder"
BUILDS = "knative-lambda-builds"
QUEUE = "bench-kaniko-jobs"


class Builder(Child):
    """Ready when made: it listens."""

    def __init__(
        self, folder, name, kubeconfig, connections, workers,
        amqp_url=None, log_level="info", core=None, job_patch=None,
    ):  # fmt: skip
        if not PROGRAM.exists():
            raise Problem("no builder here; run: hack/build release")
        config = _configuration(kubeconfig, connections, workers, log_level)
        config["build"]["jobPatch"] = job_patch or {}
        if amqp_url:
            _consume(config, amqp_url, workers)
        file = folder / f"{name}.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        super().__init__(name, [PROGRAM, "--config", file], folder, core=core)
        self.url = f"http://127.0.0.1:{self.wait_until(self._port, 20, 'it listens')}"

    def _port(self):
        """Asked of the kernel: with a higher level the log does not tell."""
        shown = subprocess.run(
            ["ss", "--no-header", "--listening", "--tcp", "--numeric", "--processes"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout  # fmt: skip
        own = [line for line in shown.splitlines() if f"pid={self.pid}," in line]
        return int(own[0].split()[3].rpartition(":")[2]) if own else None

    def stats(self):
        return requests.get(self.url + "/async-jobs/stats", timeout=10).json()

    def created(self):
        """How many Jobs it has created, by its own count. One whose answer came too late may count as a duplicate."""
        return self.stats()["created"]


def _configuration(kubeconfig, connections, workers, log_level):
    # All events are of one tenant, who shall have as much of the queue as the load needs.
    room = max(100, 2 * connections, 8 * workers)
    return {
        "http": {"address": "127.0.0.1", "port": 0},
        "kubernetes": {"kubeconfig": str(kubeconfig)},
        "asyncJobCreator": {"workerCount": workers, "maxQueueSize": room, "maxQueuePerTenant": room},
        "build": {"allowedSources": ["github.com/notifi"]},
        "log": {"level": log_level},
    }


def _consume(config, amqp_url, workers):
    config["intake"] = {"amqp": {"enabled": True, "prefetch": max(100, 4 * workers)}}
    config["rabbitmq"] = {"uri": amqp_url, "queues": {"kanikoJobs": {"name": QUEUE}}}
