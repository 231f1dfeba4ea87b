"""Knative's JobSink, the real program, as a process on this machine.

Its JobSink object holds the Job that the builder makes, so both make the API server store the same; by its own account
JobSink adds a list of Jobs and a Secret with the event.
"""

import json
import os
import sys
from pathlib import Path

from .builder import BUILDS
from .children import Child
from .load import UNIQUE
from .problem import Problem
from .start import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "hack"))

from testbed_parts import tools  # noqa: E402
from testbed_parts.place import port_is_free  # noqa: E402

SYSTEM = "knative-eventing"
NAME = "bench"
PORT = 8080  # it knows no other
PORTS = (PORT, 8443)
URL = f"http://127.0.0.1:{PORT}"
HOST = f"job-sink.{SYSTEM}"
PATH = f"/{BUILDS}/{NAME}"
CONFIGURATION = ("config-logging", "config-observability", "config-features", "config-tracing")
LIFTED = {"KUBE_API_QPS": "100000", "KUBE_API_BURST": "100000"}
START_SECONDS = 60


def find_program(named=None):
    """Compiles it, if nobody has yet."""
    if named:
        return Path(named)
    tools.ensure((tools.KNATIVE,), print)
    return Path(tools.program(tools.KNATIVE, "knative-jobsink"))


def require_ports():
    for port in PORTS:
        if not port_is_free(port):
            raise Problem(f"JobSink needs port {port}, which another program has")


class JobSink(Child):
    """Ready when made: it takes events."""

    program = None  # set by the bench, once

    def __init__(self, folder, name, kubeconfig, is_lifted):
        require_ports()
        environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": kubeconfig,
            "SYSTEM_NAMESPACE": SYSTEM,
            "NAMESPACE": SYSTEM,
            "POD_NAME": "bench",
            "CONTAINER_NAME": "job-sink",
            "CONFIG_LOGGING_NAME": "config-logging",
            "CONFIG_OBSERVABILITY_NAME": "config-observability",
            "METRICS_DOMAIN": "knative.dev/internal/eventing",
        }
        super().__init__(name, [self.program], folder, environment | (LIFTED if is_lifted else {}))
        try:
            self.wait_until(lambda: not port_is_free(PORT), START_SECONDS, "it listens")
        except BaseException:
            self.kill()
            raise


# --- what it needs in the cluster ---


def custom_resources():
    """Any fields will do, as nothing here tests them; without the subresource, so that `objects` can set a status."""
    return [
        _definition("jobsinks", "JobSink", "sinks.knative.dev"),
        _definition("eventpolicies", "EventPolicy", "eventing.knative.dev"),
    ]


def objects(creation):
    """`creation`: the Job that the builder makes of an event."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
        *(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": SYSTEM}}
            for name in CONFIGURATION
        ),
        _job_sink(json.loads(creation.plain.body.replace(UNIQUE.encode(), b"0" * 32))),
    ]


def _job_sink(job):
    template = {"metadata": {"labels": job["metadata"]["labels"]}, "spec": job["spec"]}
    annotations = job["metadata"]["annotations"]
    # JobSink keeps the event in its Secret instead.
    template["metadata"]["annotations"] = {
        name: value for name, value in annotations.items() if not name.endswith("/event")
    }
    return {
        "apiVersion": "sinks.knative.dev/v1alpha1",
        "kind": "JobSink",
        "metadata": {"name": NAME, "namespace": BUILDS},
        "spec": {"job": template},
        # What its controller would write; without, each request is a nil pointer.
        "status": {"address": {"url": f"http://{HOST}{PATH}"}},
    }


def _definition(plural, kind, group):
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [version],
        },
    }
