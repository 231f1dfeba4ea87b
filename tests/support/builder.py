"""knative-lambda-builder as a process, against a test bed."""

import json
import os
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from support.testbed import REPOSITORY
from support.waiting import wait_for

PROGRAM = os.environ.get("KNATIVE_LAMBDA_BUILDER") or (
    REPOSITORY / "build" / "release" / "bin" / "knative-lambda-builder"
)
BUILDS = "knative-lambda-builds"


def configuration(bed, **settings):
    """One that fits the tests, with `settings` laid over it section by section."""
    config = {
        "http": {"address": "127.0.0.1", "port": 0},
        "kubernetes": {"kubeconfig": bed.environment()["KUBECONFIG"]},
        "asyncJobCreator": {"maxQueueSize": 1000, "maxQueuePerTenant": 1000},
        "build": {"allowedSources": ["github.com/notifi"]},
    }
    for section, values in settings.items():
        config.setdefault(section, {}).update(values)
    return config


def rabbitmq_settings(uri, jobs, dead_letters):
    """The configuration of RabbitMQ, for queues of these names."""
    return {
        "uri": uri,
        "queues": {"kanikoJobs": {"name": jobs}},
        "deadLetter": {"exchange": "dlx", "routingKey": dead_letters, "queue": dead_letters},
    }


def make_build_namespace(bed, namespace):
    """One where the builder's service account has its rights; also the account itself."""
    manifest = (REPOSITORY / "manifests" / "rbac" / "builder.yaml").read_text()
    bed.kubectl("apply", "--server-side", "-f", "-", stdin=manifest.replace(BUILDS, namespace))


def kubeconfig_of_service_account(bed):
    """By which the builder has the rights that it has in a cluster, and no more. Returns the file."""
    token = bed.kubectl("create", "token", "knative-lambda-builder", "-n", "knative-lambda").strip()
    config = json.loads(bed.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    with tempfile.NamedTemporaryFile("w", prefix="kubeconfig-", delete=False) as file:
        json.dump(config, file)
    return file.name


class Builder:
    """One running builder, with what `configuration` makes of the settings."""

    def __init__(self, bed, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="builder-"))
        self.log_file = self.folder / "log"
        self.port = 0
        self.config = configuration(bed, **settings)
        self.start()

    def start(self):
        """Starts it, on the port that it had before if there was one."""
        self.config["http"]["port"] = self.port
        (self.folder / "config.yaml").write_text(json.dumps(self.config))  # JSON is YAML
        written = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "--config", self.folder / "config.yaml"], stderr=log)
        self.port = wait_for(lambda: self.listening_port(written), 20, "the builder listens")

    def listening_port(self, log_offset):
        assert self.process.poll() is None, self.log()[-4000:]
        for line in self.log()[log_offset:].splitlines():
            if '"listening for events"' in line:
                return int(json.loads(line)["port"])
        return None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def log(self):
        return self.log_file.read_text()

    def stats(self):
        with urllib.request.urlopen(self.url + "/async-jobs/stats", timeout=10) as answer:
            return json.load(answer)

    def terminate(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=60)


def example_event(event_id, tenant="0307ea43639b4616b044d190310a26bd"):
    """The documented job.start event as structured JSON."""
    parser = "0197ad6c10b973b2b854a0e652155b7e"
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": "network.notifi.kaniko-jobs",
            "subject": parser,
            "type": "network.notifi.lambda.job.start",
            "time": "2024-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "third_party_id": tenant,
                "parser_id": parser,
                "correlation_id": f"correlation-of-{event_id}",
                "job_name": f"kaniko-job-{tenant}-{parser}",
                "parameters": {
                    "priority": 1,
                    "build_type": "container",
                    "runtime": "nodejs18",
                    "source_url": f"https://github.com/notifi/parsers/{parser}",
                    "build_timeout": 1800,
                    "environment": {"NODE_ENV": "production", "BUILD_MODE": "optimized"},
                },
                "priority": 1,
            },
        }
    )


def jobs_by_event(bed, namespace=BUILDS):
    """The names of the Jobs that exist, by the id of their event."""
    shown = bed.kubectl("get", "jobs", "-n", namespace, "-o", "json", seconds=120)
    found = {}
    for job in json.loads(shown)["items"]:
        event_id = job["metadata"]["annotations"]["lambda.notifi.network/event-id"]
        found.setdefault(event_id, []).append(job["metadata"]["name"])
    return found
