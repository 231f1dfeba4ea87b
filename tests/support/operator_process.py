"""knative-lambda-operator as a process, against a test bed."""

import json
import os
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

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


def kubeconfig_of_service_account(bed, folder):
    """By which the operator has the rights that it has in a cluster, and no more. Returns the file."""
    token = bed.kubectl("create", "token", "knative-lambda-operator", "-n", "knative-lambda").strip()
    config = json.loads(bed.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    file = Path(folder) / "kubeconfig"
    file.write_text(json.dumps(config))
    return str(file)


class Operator:
    """One running operator, with its service account's rights."""

    def __init__(self, bed, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="operator-"))
        self.log_file = self.folder / "log"
        self.config = {
            "http": {"address": "127.0.0.1", "port": 0},
            "kubernetes": {"kubeconfig": kubeconfig_of_service_account(bed, self.folder)},
        }
        for section, values in settings.items():
            self.config.setdefault(section, {}).update(values)
        self.start()

    def start(self):
        (self.folder / "config.yaml").write_text(json.dumps(self.config))  # JSON is YAML
        written = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "--config", self.folder / "config.yaml"],
                stderr=log,
                env=os.environ | {"POD_NAME": f"operator-{self.folder.name[-4:]}"},
            )
        self.port = wait_for(lambda: self.listening_port(written), 20, "the operator listens")

    def listening_port(self, log_offset):
        assert self.process.poll() is None, self.log()[-4000:]
        for line in self.log()[log_offset:].splitlines():
            if '"listening for administration"' in line:
                return int(json.loads(line)["port"])
        return None

    def log(self):
        return self.log_file.read_text()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
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

    def terminate(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=60)


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
