"""knative-lambda-operator as a process, against a test bed."""

import itertools
import json
import os
import urllib.request
from pathlib import Path

from support.program import Program, kubeconfig_of_service_account
from support.testbed import REPOSITORY
from support.waiting import wait_for

PROGRAM = os.environ.get("KNATIVE_LAMBDA_OPERATOR") or (
    REPOSITORY / "build" / "release" / "bin" / "knative-lambda-operator"
)
MANIFESTS = REPOSITORY / "manifests"
NAMESPACE = "knative-lambda-dev"  # of the documents' JobQueue, Broker and Trigger
RABBITMQ_NAMESPACE = "rabbitmq-dev"


def install(bed):
    """What `kubectl apply` brings: definitions, namespaces, rights."""
    for namespace in (NAMESPACE, RABBITMQ_NAMESPACE):
        bed.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for manifest in (MANIFESTS / "crds", MANIFESTS / "rbac" / "builder.yaml", MANIFESTS / "rbac" / "operator.yaml"):
        bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifest))
    bed.kubectl("wait", "--for=condition=Established", "--timeout=30s",
                "crd/jobqueues.lambda.notifi.network", "crd/deadletterredrives.lambda.notifi.network")  # fmt: skip


class Operator(Program):
    """One running operator, with its service account's rights."""

    executable = PROGRAM
    listening = "listening for administration"
    started = itertools.count(1)

    def __init__(self, bed, **settings):
        config = {
            "http": {"address": "127.0.0.1"},
            "kubernetes": {"kubeconfig": kubeconfig_of_service_account(bed, "knative-lambda-operator")},
        }
        for section, values in settings.items():
            config.setdefault(section, {}).update(values)
        super().__init__("operator", config, {"POD_NAME": f"operator-{os.getpid()}-{next(self.started)}"})

    def metrics(self):
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name):
        """The sum over all labels; 0 if there is none."""
        lines = [line for line in self.metrics().splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def peak_rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def leads(self):
        return self.metric("operator_leader") == 1


def conditions(bed, name, namespace=NAMESPACE, kind="jobqueue"):
    """The conditions of an object, by type: (status, reason, message). Empty as long as there are none."""
    shown = bed.kubectl("get", kind, name, "-n", namespace, "-o", "json", check=False)
    found = json.loads(shown).get("status", {}).get("conditions", []) if shown else []
    return {each["type"]: (each["status"], each["reason"], each.get("message", "")) for each in found}


def wait_for_condition(bed, name, condition, status, reason=None, seconds=30, namespace=NAMESPACE, kind="jobqueue"):
    """Waits until a condition has this status, and reason if one is named; returns its message."""

    def found():
        seen = conditions(bed, name, namespace, kind).get(condition)
        return seen if seen and seen[0] == status and reason in (None, seen[1]) else None

    try:
        return wait_for(found, seconds, f"{kind} {name}: {condition}={status} {reason or ''}")[2] or "-"
    except AssertionError as late:
        raise AssertionError(f"{late}; it has {conditions(bed, name, namespace, kind)}") from None
