"""The custom resources on a real API server: what each rule accepts and refuses, defaults, samples."""

import copy
import json
import re
import subprocess

import pytest
from support.testbed import REPOSITORY
from support.waiting import wait_for

CRDS = REPOSITORY / "manifests" / "crds"
SAMPLES = REPOSITORY / "manifests" / "samples"
SPACE = "crds"
GROUP = "lambda.notifi.network"


@pytest.fixture(scope="module")
def plane(control_plane):
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    for plural in ("jobqueues", "deadletterredrives"):
        control_plane.wait(f"crd/{plural}.{GROUP}", "condition=Established")
    control_plane.kubectl("create", "namespace", SPACE)
    # Known to discovery and OpenAPI a moment later.
    for kind in ("jobqueue", "deadletterredrive"):
        wait_for(
            lambda kind=kind: "FIELD" in control_plane.kubectl("explain", f"{kind}.spec", check=False),
            30, f"kubectl explains {kind}",
        )  # fmt: skip
    yield control_plane
    control_plane.kubectl("delete", "namespace", SPACE, "--wait=false")
    control_plane.kubectl("delete", "-f", str(CRDS), "--wait=false")


class Api:
    """Dry runs: the whole of the validation, and nothing is stored."""

    def __init__(self, plane):
        self.plane = plane
        self.environment = plane.environment()

    def _kubectl(self, *words, value):
        return subprocess.run(
            ["kubectl", *words, "-f", "-"], env=self.environment, input=json.dumps(value),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def problems_of(self, value):
        """What the API server says to its creation; empty if it takes it."""
        done = self._kubectl("create", "--dry-run=server", "--validate=ignore", "-o", "name", value=value)
        return done.stderr if done.returncode else ""

    def problems_of_change(self, before, after):
        """The same of an update of an object that exists for so long."""
        made = self._kubectl("create", value=before)
        assert made.returncode == 0, made.stderr
        try:
            words = ("replace", "--dry-run=server", "--validate=ignore", "-o", "name")
            done = self._kubectl(*words, value=after)
            return done.stderr if done.returncode else ""
        finally:
            name = f"{before['kind'].lower()}/{before['metadata']['name']}"
            self.plane.kubectl("delete", name, f"--namespace={SPACE}")


@pytest.fixture(scope="module")
def api(plane):
    return Api(plane)


def job_queue(name="kaniko-jobs", **spec):
    spec = {"rabbitmq": {"connectionSecret": {"name": "rabbitmq-connection"}}} | spec
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "JobQueue",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": spec,
    }


def redrive(**spec):
    spec = {"queueRef": {"name": "kaniko-jobs"}} | spec
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "DeadLetterRedrive",
        "metadata": {"name": "again", "namespace": SPACE},
        "spec": spec,
    }


SECRET = {"connectionSecret": {"name": "rabbitmq-connection"}}
CLUSTER = {"clusterReference": {"name": "rabbitmq-cluster", "namespace": "rabbitmq-dev"}}
KEY = "network.notifi.lambda.job.start"
SERVICE = {"ref": {"name": "builder"}}

# What is accepted, what is refused, and words of the refusal.
PAIRS = {
    "one reference": (
        job_queue(rabbitmq=CLUSTER),
        job_queue(rabbitmq=SECRET | CLUSTER),
        "exactly one of clusterReference and connectionSecret",
    ),
    "a reference": (
        job_queue(rabbitmq=SECRET),
        job_queue(rabbitmq={"vhost": "/"}),
        "exactly one of clusterReference and connectionSecret",
    ),
    "length of the name": (job_queue("n" * 55), job_queue("n" * 56), "at most 55 characters"),
    "path": (job_queue(path="amqp"), job_queue(path="smtp"), "Unsupported value"),
    "management": (job_queue(management="direct"), job_queue(management="manual"), "Unsupported value"),
    "reserved queue name": (
        job_queue(queue={"name": "amqp.jobs"}),
        job_queue(queue={"name": "amq.jobs"}),
        "the broker's own",
    ),
    "characters of the queue name": (
        job_queue(queue={"name": "Jobs_1.a:b/c@d-e"}),
        job_queue(queue={"name": "jobs #1"}),
        "spec.queue.name",
    ),
    "length of the queue name": (
        job_queue(queue={"name": "q" * 240}),
        job_queue(queue={"name": "q" * 241}),
        "spec.queue.name",
    ),
    "queue type": (
        job_queue(queue={"type": "classic"}),
        job_queue(queue={"type": "stream"}),
        "Unsupported value",
    ),
    "TTL": (
        job_queue(queue={"messageTtl": "1h30m"}),
        job_queue(queue={"messageTtl": "1 day"}),
        "spec.queue.messageTtl",
    ),
    "range of the TTL": (
        job_queue(queue={"messageTtl": "1000h"}),
        job_queue(queue={"messageTtl": "1001h"}),
        "at most 1000h",
    ),
    "max length": (
        job_queue(queue={"maxLength": 0}),
        job_queue(queue={"maxLength": -1}),
        "spec.queue.maxLength",
    ),
    "delivery limit": (
        job_queue(queue={"deliveryLimit": 0}),
        job_queue(queue={"deliveryLimit": -1}),
        "spec.queue.deliveryLimit",
    ),
    "reject-publish-dlx": (
        job_queue(queue={"type": "classic", "overflow": "reject-publish-dlx"}),
        job_queue(queue={"overflow": "reject-publish-dlx"}),
        "acts as drop-head; use reject-publish",
    ),
    "at-least-once and drop-head": (
        job_queue(queue={"overflow": "reject-publish"}, deadLetter={"strategy": "at-least-once"}),
        job_queue(queue={"overflow": "drop-head"}, deadLetter={"strategy": "at-least-once"}),
        "silently falls back to at-most-once",
    ),
    "at-least-once and classic": (
        job_queue(queue={"type": "classic"}, deadLetter={"strategy": "at-most-once"}),
        job_queue(
            queue={"type": "classic", "overflow": "reject-publish"}, deadLetter={"strategy": "at-least-once"}
        ),
        "at-least-once needs queue.type quorum",
    ),
    "dead letters of dead letters": (
        job_queue(queue={"name": "jobs"}, deadLetter={"queue": "kaniko-jobs"}),
        job_queue(deadLetter={"queue": "kaniko-jobs"}),
        "is the queue itself",
    ),
    "dead letters of a named queue": (
        job_queue(queue={"name": "jobs"}, deadLetter={"queue": "jobs.dead"}),
        job_queue(queue={"name": "jobs"}, deadLetter={"queue": "jobs"}),
        "is the queue itself",
    ),
    "dead letters among unrouted events": (
        job_queue(deadLetter={"queue": "other.unrouted"}),
        job_queue(deadLetter={"queue": "kaniko-jobs.unrouted"}),
        "match no trigger",
    ),
    "one exchange, two types": (
        job_queue(deadLetter={"exchange": "lambda.events", "exchangeType": "topic"}),
        job_queue(deadLetter={"exchange": "lambda.events", "exchangeType": "direct"}),
        "with another type",
    ),
    "one exchange, one key": (
        job_queue(deadLetter={"exchange": "lambda.events", "exchangeType": "topic", "routingKey": "dead"}),
        job_queue(deadLetter={"exchange": "lambda.events", "exchangeType": "topic", "routingKey": KEY}),
        "bring dead letters back",
    ),
    "one exchange, the key by default": (
        job_queue(deadLetter={"exchange": "lambda.events", "exchangeType": "topic"}),
        job_queue(
            deadLetter={"exchange": "lambda.events", "exchangeType": "topic"},
            routing={"keys": ["kaniko-jobs.dlq"]},
        ),
        "bring dead letters back",
    ),
    "one exchange, a pattern": (
        job_queue(routing={"keys": ["#"]}),
        job_queue(
            deadLetter={"exchange": "lambda.events", "exchangeType": "topic"}, routing={"keys": ["jobs.*"]}
        ),
        "bring dead letters back",
    ),
    "one exchange, a fanout": (
        job_queue(routing={"exchange": "all", "exchangeType": "fanout"}),
        job_queue(
            routing={"exchange": "all", "exchangeType": "fanout"},
            deadLetter={"exchange": "all", "exchangeType": "fanout"},
        ),
        "bring dead letters back",
    ),
    "reserved exchange name": (
        job_queue(routing={"exchange": "events"}),
        job_queue(routing={"exchange": "amq.topic"}),
        "the broker's own",
    ),
    "reserved dead-letter exchange": (
        job_queue(deadLetter={"exchange": "dead"}),
        job_queue(deadLetter={"exchange": "amq.direct"}),
        "the broker's own",
    ),
    "reserved dead-letter queue": (
        job_queue(deadLetter={"queue": "dead"}),
        job_queue(deadLetter={"queue": "amq.dead"}),
        "the broker's own",
    ),
    "dead-letter TTL": (
        job_queue(deadLetter={"messageTtl": "0s"}),
        job_queue(deadLetter={"messageTtl": "9999h"}),
        "at most 1000h",
    ),
    "bytes of the dead-letter key": (
        job_queue(deadLetter={"routingKey": "ä" * 127}),
        job_queue(deadLetter={"routingKey": "ä" * 128}),
        "at most 255 bytes",
    ),
    "keys": (job_queue(routing={"keys": ["a"]}), job_queue(routing={"keys": []}), "spec.routing.keys"),
    "keys once": (
        job_queue(routing={"keys": ["a", "b"]}),
        job_queue(routing={"keys": ["a", "a"]}),
        "Duplicate value",
    ),
    "bytes of a key": (
        job_queue(routing={"keys": ["ä" * 127]}),
        job_queue(routing={"keys": ["ä" * 128]}),
        "at most 255 bytes",
    ),
    "retry": (
        job_queue(trigger={"delivery": {"retry": 1}}),
        job_queue(trigger={"delivery": {"retry": 0}}),
        "without a retry",
    ),
    "retry of the source": (
        job_queue(source={"delivery": {"retry": 1}}),
        job_queue(source={"delivery": {"retry": 0}}),
        "without a retry",
    ),
    "backoff": (
        job_queue(trigger={"delivery": {"backoffDelay": "PT1M"}}),
        job_queue(trigger={"delivery": {"backoffDelay": "1m"}}),
        "backoffDelay",
    ),
    "range of the backoff": (
        job_queue(trigger={"delivery": {"backoffDelay": "PT1H"}}),
        job_queue(trigger={"delivery": {"backoffDelay": "PT1H1S"}}),
        "at most PT1H",
    ),
    "backoff without a number": (
        job_queue(source={"delivery": {"backoffDelay": "PT0.2S"}}),
        job_queue(source={"delivery": {"backoffDelay": "PT"}}),
        "at most PT1H",
    ),
    "timeout": (
        job_queue(trigger={"delivery": {"timeout": "PT1S"}}),
        job_queue(trigger={"delivery": {"timeout": "PT0S"}}),
        "without a timeout",
    ),
    "range of the timeout": (
        job_queue(trigger={"delivery": {"timeout": "PT60M"}}),
        job_queue(trigger={"delivery": {"timeout": "PT61M"}}),
        "at most PT1H",
    ),
    "parallelism": (
        job_queue(trigger={"parallelism": 1000}),
        job_queue(trigger={"parallelism": 1001}),
        "spec.trigger.parallelism",
    ),
    "parallelism of the source": (
        job_queue(source={"parallelism": 1}),
        job_queue(source={"parallelism": 0}),
        "spec.source.parallelism",
    ),
    "one subscriber": (
        job_queue(trigger={"subscriber": {"uri": "http://builder"}}),
        job_queue(trigger={"subscriber": {"uri": "http://builder"} | SERVICE}),
        "exactly one of ref and uri",
    ),
    "a subscriber": (
        job_queue(trigger={"subscriber": SERVICE}),
        job_queue(trigger={"subscriber": {}}),
        "exactly one of ref and uri",
    ),
    "one dead-letter sink": (
        job_queue(trigger={"delivery": {"deadLetterSink": SERVICE}}),
        job_queue(trigger={"delivery": {"deadLetterSink": {}}}),
        "exactly one of ref and uri",
    ),
    "URI": (
        job_queue(trigger={"subscriber": {"uri": "https://builder/events"}}),
        job_queue(trigger={"subscriber": {"uri": "builder"}}),
        "spec.trigger.subscriber.uri",
    ),
    "attributes": (
        job_queue(trigger={"filter": {"subject": "a"}}),
        job_queue(trigger={"filter": {"Content-Type": "a"}}),
        "lower-case letters and digits",
    ),
    "trigger name": (
        job_queue(trigger={"name": "t"}),
        job_queue(trigger={"name": "T"}),
        "spec.trigger.name",
    ),
    "deletion policy": (
        job_queue(deletionPolicy="Delete"),
        job_queue(deletionPolicy="Keep"),
        "Unsupported value",
    ),
    "drift interval": (job_queue(driftInterval="5s"), job_queue(driftInterval="4s"), "5s to 1h"),
    "long drift interval": (job_queue(driftInterval="1h"), job_queue(driftInterval="61m"), "5s to 1h"),
    "redrive: which queue": (redrive(), redrive(queueRef={}), "spec.queueRef.name"),
    "redrive: from until": (
        redrive(filter={"after": "2026-01-01T00:00:00Z", "before": "2026-01-02T00:00:00Z"}),
        redrive(filter={"after": "2026-01-02T00:00:00Z", "before": "2026-01-01T00:00:00Z"}),
        "earlier than before",
    ),
    "redrive: a time": (
        redrive(filter={"after": "2026-01-01T00:00:00+01:00"}),
        redrive(filter={"after": "yesterday"}),
        "spec.filter.after",
    ),
    "redrive: limit": (redrive(limit=0), redrive(limit=-1), "spec.limit"),
    "redrive: rate": (redrive(rate=100), redrive(rate=-1), "spec.rate"),
    "redrive: one target": (
        redrive(target={"queue": "q"}),
        redrive(target={"queue": "q", "exchange": "x"}),
        "only one of queue and exchange",
    ),
    "redrive: key of an exchange": (
        redrive(target={"exchange": "x", "routingKey": "k"}),
        redrive(target={"routingKey": "k"}),
        "needs an exchange",
    ),
    "redrive: reserved queue": (
        redrive(target={"queue": "q"}),
        redrive(target={"queue": "amq.q"}),
        "the broker's own",
    ),
    "redrive: reserved exchange": (
        redrive(target={"exchange": "x"}),
        redrive(target={"exchange": "amq.topic"}),
        "the broker's own",
    ),
    "redrive: bytes of the key": (
        redrive(target={"exchange": "x", "routingKey": "ä" * 127}),
        redrive(target={"exchange": "x", "routingKey": "ä" * 128}),
        "at most 255 bytes",
    ),
    "redrive: time to stay": (
        redrive(ttlSecondsAfterFinished=0),
        redrive(ttlSecondsAfterFinished=-1),
        "spec.ttlSecondsAfterFinished",
    ),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_rule_accepts_and_refuses(api, pair):
    accepted, refused, words = pair
    assert not api.problems_of(accepted)
    assert words in api.problems_of(refused)


def changed(before, path, value):
    after = copy.deepcopy(before)
    *parents, last = path.split(".")
    place = after["spec"]
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return after


FULL = job_queue(
    rabbitmq=SECRET | {"vhost": "/"},
    queue={"name": "jobs"},
    deadLetter={"queue": "jobs.dead"},
    trigger={"name": "jobs", "broker": {"name": "default"}, "filter": {"type": "a"}},
)

# What can't be changed; None takes it away.
FIXED = {
    "rabbitmq.vhost": "other",
    "rabbitmq.connectionSecret.name": "other",
    "path": "amqp",
    "management": "direct",
    "queue.name": "other",
    "queue.type": "classic",
    "deadLetter.exchange": "other",
    "deadLetter.exchangeType": "topic",
    "deadLetter.queue": "other",
    "routing.exchange": "other",
    "routing.exchangeType": "direct",
    "trigger.name": "other",
    "trigger.broker.name": "other",
    "trigger.broker.create": True,
    "trigger.filter": {"type": "b"},
}


@pytest.mark.parametrize("path", FIXED)
def test_what_the_broker_cant_change_is_immutable(api, path):
    assert "immutable" in api.problems_of_change(FULL, changed(FULL, path, FIXED[path]))


@pytest.mark.parametrize("path", ["queue.name", "deadLetter.queue", "trigger.name"])
def test_a_name_that_is_left_to_its_default_stays_there(api, path):
    assert "immutable" in api.problems_of_change(job_queue(), changed(job_queue(), path, "other"))


CHANGEABLE = {
    "queue.messageTtl": "1h",
    "queue.maxLength": 5,
    "queue.overflow": "reject-publish",
    "queue.deliveryLimit": 7,
    "deadLetter.routingKey": "dead",
    "deadLetter.maxLength": 9,
    "routing.keys": ["a", "b.#"],
    "source.enabled": False,
    "source.parallelism": 3,
    "trigger.subscriber": SERVICE,
    "trigger.delivery.retry": 3,
    "trigger.parallelism": 5,
    "deletionPolicy": "Delete",
    "driftInterval": "1m",
}


def test_what_a_policy_or_a_new_object_can_change_is_not(api):
    after = FULL
    for path, value in CHANGEABLE.items():
        after = changed(after, path, value)
    assert not api.problems_of_change(FULL, after)


def test_a_redrive_can_be_slowed_down_and_no_more(api):
    before = redrive(limit=5)
    assert not api.problems_of_change(before, redrive(limit=5, rate=1, ttlSecondsAfterFinished=5))
    for other in (
        redrive(limit=6),
        redrive(limit=5, dryRun=True),
        redrive(limit=5, filter={"reason": "a"}),
        redrive(limit=5, target={"queue": "q"}),
        redrive(limit=5, queueRef={"name": "q"}),
    ):
        assert "only rate and ttlSecondsAfterFinished" in api.problems_of_change(before, other)


# As operator/api reads an object that no API server has filled in; names that depend on others are not here.
DEFAULTS = {
    "path": "trigger",
    "management": "topology",
    "rabbitmq": SECRET | {"vhost": "/"},
    "queue": {
        "type": "quorum",
        "messageTtl": "24h",
        "maxLength": 10000,
        "overflow": "drop-head",
        "deliveryLimit": 20,
    },
    "deadLetter": {"exchange": "dlx", "exchangeType": "direct", "strategy": "at-most-once"},
    "routing": {"exchange": "lambda.events", "exchangeType": "topic", "keys": [KEY]},
    "source": {
        "enabled": True,
        "parallelism": 10,
        "delivery": {"retry": 5, "backoffPolicy": "exponential", "backoffDelay": "PT0.5S"},
    },
    "trigger": {
        "broker": {"name": "default", "create": False},
        "filter": {"type": KEY, "source": "network.notifi.kaniko-jobs"},
        "subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "knative-lambda-builder"}},
        "delivery": {
            "retry": 5,
            "backoffPolicy": "exponential",
            "backoffDelay": "PT0.5S",
            "timeout": "PT30S",
        },
        "parallelism": 10,
    },
    "deletionPolicy": "Retain",
    "driftInterval": "30s",
}


def created(plane, value):
    words = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    return json.loads(plane.kubectl(*words, stdin=json.dumps(value)))


def test_defaults_are_those_of_the_document(plane):
    assert created(plane, job_queue())["spec"] == DEFAULTS
    assert created(plane, redrive())["spec"] == {
        "queueRef": {"name": "kaniko-jobs"},
        "filter": {},
        "limit": 0,
        "rate": 0,
        "dryRun": False,
        "target": {},
    }


@pytest.mark.parametrize("kind", ["jobqueue", "deadletterredrive"])
def test_explain_teaches_every_field(plane, kind):
    text = plane.kubectl("explain", f"{kind}.spec", "--recursive=false")
    assert "<no description>" not in text
    crd = json.loads(plane.kubectl("get", "crd", f"{kind}s.{GROUP}", "-o", "json"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def undescribed(node, path):
        for name, inner in node.get("properties", {}).items():
            if "description" not in inner and name != "metadata":
                yield f"{path}.{name}"
            yield from undescribed(inner, f"{path}.{name}")
            yield from undescribed(inner.get("items", {}), f"{path}.{name}[]")

    assert not list(undescribed(schema, kind))


def test_people_get_columns_and_short_names(plane):
    plane.apply(job_queue("shown"))
    status = {
        "queue": {"name": "shown", "messagesReady": 11},
        "triggerQueue": {"name": "t", "messagesReady": 12},
        "deadLetterQueue": {"name": "shown.dlq", "messagesReady": 13},
        "conditions": [{"type": "Ready", "status": "True", "reason": "AsSpecified"}],
    }
    plane.kubectl(
        "patch", "jq", "shown", f"--namespace={SPACE}", "--subresource=status", "--type=merge",
        "--patch", json.dumps({"status": status}),
    )  # fmt: skip
    header, line = plane.kubectl("get", "jq", "shown", f"--namespace={SPACE}").splitlines()
    assert re.split(r"\s{2,}", header) == ["NAME", "READY", "DEPTH", "TRIGGER DEPTH", "DLQ DEPTH", "AGE"]
    assert line.split()[:5] == ["shown", "True", "11", "12", "13"]
    assert "shown" in plane.kubectl("get", "knative-lambda", f"--namespace={SPACE}")
    plane.kubectl("delete", "jq", "shown", f"--namespace={SPACE}")


@pytest.mark.parametrize("sample", ["jobqueue", "jobqueue-amqp", "jobqueue-source", "deadletterredrive"])
def test_samples_are_accepted(plane, sample):
    plane.kubectl("create", "namespace", "knative-lambda-dev", check=False)
    words = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
    plane.kubectl(*words, "-f", str(SAMPLES / f"{sample}.yaml"))
