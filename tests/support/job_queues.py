"""JobQueues and DeadLetterRedrives of tests, and what of them is in the cluster and in the broker."""

import json

import pika
from support.builder import example_event
from support.knative import management
from support.operator_process import MANIFESTS, NAMESPACE
from support.waiting import wait_for
from support.watch import Watch

EXCHANGE = "lambda.events"
JOB_START = "network.notifi.lambda.job.start"
DRIFT_SECONDS = 5

CHILD_KINDS = (
    "queues.rabbitmq.com,exchanges.rabbitmq.com,bindings.rabbitmq.com,policies.rabbitmq.com,"
    "triggers.eventing.knative.dev,brokers.eventing.knative.dev,rabbitmqsources.sources.knative.dev"
)


def sample(bed, name="jobqueue.yaml"):
    path = str(MANIFESTS / "samples" / name)
    return json.loads(bed.kubectl("create", "--dry-run=client", "-o", "json", "-f", path))


def job_queue(bed, name, **changes):
    """The documents' JobQueue with another name for all that it has, for a test of its own; `changes` are laid over
    the sections of its spec."""
    queue = sample(bed)
    queue["metadata"]["name"] = name
    spec = queue["spec"]
    spec["queue"]["name"] = name
    spec["deadLetter"] |= {"exchange": f"{name}.dlx", "routingKey": f"{name}.dlq", "queue": f"{name}.dlq"}
    spec["routing"] |= {"exchange": f"{name}.events"}
    spec["trigger"] |= {"name": f"{name}-trigger"}
    spec["trigger"]["broker"] |= {"name": name}
    spec["driftInterval"] = f"{DRIFT_SECONDS}s"
    for section, values in changes.items():
        spec[section] = {**spec[section], **values} if isinstance(values, dict) else values
    return queue


def redrive(name, queue, **spec):
    return {
        "apiVersion": "lambda.notifi.network/v1alpha1",
        "kind": "DeadLetterRedrive",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"queueRef": {"name": queue}, **spec},
    }


def publish_event(rabbitmq, exchange, event_id, source="network.notifi.kaniko-jobs"):
    """To an exchange, as a tenant's system does; returns when the broker has confirmed it and a queue has it."""
    event = json.loads(example_event(event_id))
    event["source"] = source
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    with rabbitmq.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish(exchange, JOB_START, json.dumps(event), properties, mandatory=True)


def remove(bed, *names):
    """JobQueues, with all that they have."""
    if not names:
        return
    force = "lambda.notifi.network/force-deletion=true"
    bed.kubectl("annotate", "jobqueue", *names, "-n", NAMESPACE, "--overwrite", force, check=False)
    bed.kubectl("delete", "jobqueue", *names, "-n", NAMESPACE, "--ignore-not-found", "--timeout=180s", seconds=200)


# --- what is there of it ---


def child_objects(bed, name):
    """Of a JobQueue: specs by kind and name."""
    shown = bed.kubectl(
        "get", CHILD_KINDS, "-A", "-l", f"lambda.notifi.network/job-queue={name}", "-o", "json"
    )
    return {(o["kind"], o["metadata"]["name"]): o["spec"] for o in json.loads(shown)["items"]}


def things_in_broker(bed, name):
    """What of a JobQueue is in the broker, without figures. Of Knative's things too, whose names may be hashes."""
    bindings = {(b["source"], b["destination"], b["routing_key"]) for b in management(bed, "/bindings") if b["source"]}
    bindings = {binding for binding in bindings if is_of(binding[1], name)}
    sources = {source for source, _destination, _key in bindings}
    exchanges = {exchange["name"]: exchange["type"] for exchange in management(bed, "/exchanges")}
    policies = management(bed, "/policies") + management(bed, "/operator-policies")
    return {
        "bindings": bindings,
        "exchanges": {key: kind for key, kind in exchanges.items() if key in sources or is_of(key, name)},
        "queues": {q["name"]: q["arguments"] for q in management(bed, "/queues") if is_of(q["name"], name)},
        "policies": {p["name"]: policy_without_name(p) for p in policies if is_policy_of(p, name)},
    }


def policy_without_name(policy):
    return policy["pattern"], policy["definition"], policy["apply-to"], policy["priority"]


def is_policy_of(policy, name):
    texts = [policy["name"], policy["pattern"].replace("\\", "").strip("^$"), *policy["definition"].values()]
    return any(isinstance(text, str) and is_of(text, name) for text in texts)


def is_of(thing, name):
    """Names of things have a JobQueue's whole name between points, or before the suffix of its trigger."""
    return any(word in (name, f"{name}-trigger") for word in thing.split("."))


# --- what is told of it ---


class Told(Watch):
    """Every condition that a JobQueue has from now on, however short it has it. Use it in a `with`."""

    def __init__(self, bed, name):
        self.name = name
        self.seen = []  # the conditions of each state: {type: (status, reason, message)}
        path = f"/apis/lambda.notifi.network/v1alpha1/namespaces/{NAMESPACE}/jobqueues"
        super().__init__(bed, f"{path}?watch=true&fieldSelector=metadata.name%3D{name}")

    def take(self, _kind, found):
        conditions = found.get("status", {}).get("conditions", [])
        self.seen.append({c["type"]: (c["status"], c["reason"], c.get("message", "")) for c in conditions})

    def wait_until_quiet(self):
        """Until all is well, and no repair is being told any more."""
        wait_for(lambda: self.seen and is_quiet(self.seen[-1]), 60, f"{self.name} is well: {self.seen[-1:]}")

    def wait(self, since, condition, reasons, seconds=30):
        """Until a state after the first `since` ones has it with one of these reasons."""

        try:
            wait_for(lambda: self.reasons(since, condition) & reasons, seconds, f"{condition} tells {reasons}")
        except AssertionError as late:
            raise AssertionError(f"{late}; it told {self.reasons(since, condition)}") from None

    def reasons(self, since, condition):
        """Those that it had after the first `since` states."""
        return {state[condition][1] for state in self.seen[since:] if condition in state}


def is_quiet(state):
    return state.get("Ready", ("",))[0] == "True" and all(seen[1] != "Repaired" for seen in state.values())
