"""knative-lambda-builder as a process, against a test bed."""

import json
import os
import urllib.request

from support.program import Program
from support.testbed import REPOSITORY

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


class Builder(Program):
    """One running builder, with what `configuration` makes of the settings."""

    executable = PROGRAM
    listening = "listening for events"

    def __init__(self, bed, **settings):
        super().__init__("builder", configuration(bed, **settings))

    def stats(self):
        with urllib.request.urlopen(self.url + "/async-jobs/stats", timeout=10) as answer:
            return json.load(answer)


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
