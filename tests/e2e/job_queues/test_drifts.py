"""What goes wrong behind the operator's back, and what was written wrong: each is told by a condition with its reason,
and what can be repaired is."""

import json
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from support.job_queues import JOB_START, Told, child_objects, job_queue, things_in_broker
from support.knative import management, rabbitmq_request
from support.operator_process import NAMESPACE, RABBITMQ_NAMESPACE
from support.waiting import wait_for

REPAIR_SECONDS = 30  # fails only then; what it took is printed


@dataclass(frozen=True)
class Scene:
    bed: object
    rabbitmq: object
    name: str  # of the JobQueue, and of its queue

    def path(self, *names):
        return "/".join(["", *(urllib.parse.quote(name, safe="") for name in names)])

    def policy(self, suffix=""):
        name = f"knative-lambda.{self.name}{suffix}"
        return next(policy for policy in management(self.bed, "/policies") if policy["name"] == name)

    def put_policy(self, policy, **changes):
        rabbitmq_request(self.bed, "PUT", self.path("policies", "/", policy["name"]), policy | changes)

    def delete(self, kind, name):
        rabbitmq_request(self.bed, "DELETE", self.path(kind, "/", name))

    def find(self, kind, start):
        return next(thing["name"] for thing in management(self.bed, f"/{kind}") if thing["name"].startswith(start))

    def trigger_queue(self):
        return self.find("queues", f"{NAMESPACE}.{self.name}-trigger.")

    def trigger_policy(self):
        """Knative's, that names the exchange for what the trigger gives up on."""
        policies = management(self.bed, "/policies")
        pattern = f"{NAMESPACE}\\.{self.name}-trigger\\."
        return next(policy for policy in policies if pattern in policy["pattern"] and policy["name"].startswith("t."))

    def broker_exchange(self):
        queue = self.trigger_queue()
        bindings = management(self.bed, "/bindings")
        return next(b["source"] for b in bindings if b["destination"] == queue and b["source"])

    def unbind(self, queue, exchange, key, arguments=None):
        with self.rabbitmq.channel() as channel:
            channel.queue_unbind(queue, exchange, key, arguments)

    def child(self, kind, containing=""):
        """The resource and name of an object, for kubectl; where there are several, of one whose name has this."""
        selector = f"lambda.notifi.network/job-queue={self.name}"
        found = json.loads(self.bed.kubectl("get", kind, "-A", "-l", selector, "-o", "json"))["items"]
        names = [(item["metadata"]["name"], item["metadata"]["namespace"]) for item in found]
        name, namespace = next(place for place in names if containing in place[0])
        return kind, name, "-n", namespace

    def patch(self, child, spec=None, metadata=None):
        changes = {key: value for key, value in (("spec", spec), ("metadata", metadata)) if value}
        self.bed.kubectl("patch", *child, "--type=merge", "-p", json.dumps(changes))


@dataclass(frozen=True)
class Drift:
    does: Callable[[Scene], None]
    condition: str  # that tells it
    renames: bool = False  # its things in the broker are made of a uid, which is another one then

    @property
    def name(self):
        return self.does.__name__.replace("_", " ")


# --- in the broker ---


def queue_is_deleted(scene):
    scene.rabbitmq.delete(scene.name)


def dead_letter_queue_is_deleted(scene):
    scene.rabbitmq.delete(f"{scene.name}.dlq")


def binding_is_deleted(scene):
    scene.unbind(scene.name, f"{scene.name}.events", JOB_START)


def dead_letter_binding_is_deleted(scene):
    scene.unbind(f"{scene.name}.dlq", f"{scene.name}.dlx", f"{scene.name}.dlq")


def exchange_is_deleted(scene):
    scene.delete("exchanges", f"{scene.name}.events")


def dead_letter_exchange_is_deleted(scene):
    scene.delete("exchanges", f"{scene.name}.dlx")


def policy_is_deleted(scene):
    scene.delete("policies", f"knative-lambda.{scene.name}")


def dead_letter_policy_is_deleted(scene):
    scene.delete("policies", f"knative-lambda.{scene.name}.dlq")


def policy_is_edited(scene):
    policy = scene.policy()
    scene.put_policy(policy, definition=policy["definition"] | {"max-length": 5})


def policy_gets_another_pattern(scene):
    scene.put_policy(scene.policy(), pattern="^nothing$")


def policy_gets_a_lower_priority(scene):
    scene.put_policy(scene.policy(), priority=0)


def dead_letter_policy_is_edited(scene):
    scene.put_policy(scene.policy(".dlq"), definition={"message-ttl": 1})


IN_BROKER = [
    Drift(queue_is_deleted, "QueueReady"),
    Drift(dead_letter_queue_is_deleted, "DeadLetterReady"),
    Drift(binding_is_deleted, "RoutingReady"),
    Drift(dead_letter_binding_is_deleted, "DeadLetterReady"),
    Drift(exchange_is_deleted, "RoutingReady"),
    Drift(dead_letter_exchange_is_deleted, "DeadLetterReady"),
    Drift(policy_is_deleted, "QueueReady"),
    Drift(dead_letter_policy_is_deleted, "DeadLetterReady"),
    Drift(policy_is_edited, "QueueReady"),
    Drift(policy_gets_another_pattern, "QueueReady"),
    Drift(policy_gets_a_lower_priority, "QueueReady"),
    Drift(dead_letter_policy_is_edited, "DeadLetterReady"),
]


# --- in the broker, of what Knative makes there ---


def unrouted_queue_is_deleted(scene):
    scene.rabbitmq.delete(f"{scene.name}.unrouted")


def unrouted_exchange_is_deleted(scene):
    scene.delete("exchanges", f"unrouted.{NAMESPACE}.{scene.name}")


def alternate_exchange_is_taken_away(scene):
    scene.delete("policies", f"knative-lambda.{scene.broker_exchange()}")


def trigger_queue_is_deleted(scene):
    scene.rabbitmq.delete(scene.trigger_queue())


def trigger_queue_loses_its_bounds(scene):
    scene.delete("operator-policies", f"knative-lambda.{scene.trigger_queue()}")


def dead_letters_of_the_trigger_are_unbound(scene):
    exchange = scene.trigger_policy()["definition"]["dead-letter-exchange"]
    scene.unbind(f"{scene.name}.dlq", exchange, "", {"x-match": "all"})


def broker_exchange_is_deleted(scene):
    scene.delete("exchanges", scene.broker_exchange())


def trigger_policy_is_deleted(scene):
    scene.delete("policies", scene.trigger_policy()["name"])


OF_KNATIVE = [
    Drift(unrouted_queue_is_deleted, "RoutingReady"),
    Drift(unrouted_exchange_is_deleted, "RoutingReady"),
    Drift(alternate_exchange_is_taken_away, "RoutingReady"),
    Drift(trigger_queue_is_deleted, "RoutingReady"),
    Drift(trigger_queue_loses_its_bounds, "TriggerReady"),
    Drift(dead_letters_of_the_trigger_are_unbound, "DeadLetterReady"),
    Drift(broker_exchange_is_deleted, "RoutingReady"),
    Drift(trigger_policy_is_deleted, "RoutingReady"),
]


# --- in Kubernetes ---


def queue_object_is_deleted(scene):
    scene.bed.kubectl("delete", "queues.rabbitmq.com", scene.name, "-n", RABBITMQ_NAMESPACE, "--wait=false")


def binding_object_is_deleted(scene):
    scene.bed.kubectl("delete", *scene.child("bindings.rabbitmq.com", "unrouted"), "--wait=false")


def policy_object_is_edited(scene):
    child = "policies.rabbitmq.com", f"knative-lambda.{scene.name}", "-n", RABBITMQ_NAMESPACE
    scene.patch(child, spec={"definition": {"max-length": 7}})


def policy_object_is_deleted(scene):
    child = scene.child("policies.rabbitmq.com", f"knative-lambda.{scene.name}.dlq")
    scene.bed.kubectl("delete", *child, "--wait=false")


TRIGGER = "triggers.eventing.knative.dev"
SOURCE = "rabbitmqsources.sources.knative.dev"


def trigger_is_edited(scene):
    scene.patch(scene.child(TRIGGER), spec={"filter": {"attributes": {"type": "other"}}})


def trigger_loses_its_label(scene):
    scene.patch(scene.child(TRIGGER), metadata={"labels": {"lambda.notifi.network/job-queue": None}})


def trigger_is_deleted(scene):
    scene.bed.kubectl("delete", *scene.child(TRIGGER))


def source_is_edited(scene):
    scene.patch(scene.child(SOURCE), spec={"rabbitmqResourcesConfig": {"parallelism": 1}})


def source_is_deleted(scene):
    scene.bed.kubectl("delete", *scene.child(SOURCE))


IN_KUBERNETES = [
    Drift(queue_object_is_deleted, "QueueReady"),
    Drift(binding_object_is_deleted, "RoutingReady"),
    Drift(policy_object_is_edited, "QueueReady"),
    Drift(policy_object_is_deleted, "DeadLetterReady"),
    Drift(trigger_is_edited, "TriggerReady"),
    Drift(trigger_loses_its_label, "TriggerReady"),
    Drift(trigger_is_deleted, "TriggerReady", renames=True),
    Drift(source_is_edited, "SourceReady"),
    Drift(source_is_deleted, "SourceReady"),
]


def as_it_is(scene, drift):
    in_broker = None if drift.renames else things_in_broker(scene.bed, scene.name)
    return in_broker, child_objects(scene.bed, scene.name)


def check_repaired(scene, drifts, others_repair):
    """Each is told and repaired; where others repair too, they may be faster than our next look. Returns the names of
    those that we told."""
    took, told_of = {}, set()
    with Told(scene.bed, scene.name) as told:
        for drift in drifts:
            told.wait_until_quiet()
            as_it_was = as_it_is(scene, drift)
            since = len(told.seen)
            began = time.monotonic()
            drift.does(scene)
            try:
                if not others_repair:
                    told.wait(since, drift.condition, {"Repaired"}, REPAIR_SECONDS)
                wait_until_it_is(scene, drift, as_it_was)
            except AssertionError as late:
                raise AssertionError(f"{scene.name}, {drift.name}: {late}") from None
            took[drift.name] = time.monotonic() - began
            if told.reasons(since, drift.condition) & TELLING:
                told_of.add(drift.name)
        told.wait_until_quiet()
    slowest = max(took, key=took.get)
    print(f"{scene.name}: {len(took)} drifts repaired within {took[slowest]:.1f} s, the slowest: {slowest}")
    return told_of


# Of a drift: repaired by us, or on its way by other controllers.
TELLING = {"Repaired", "ObjectNotReady", "Progressing"}


def wait_until_it_is(scene, drift, as_it_was):
    wait_for(lambda: as_it_is(scene, drift) == as_it_was, REPAIR_SECONDS, "it is as it was")


SUITES = {
    # JobQueue: (what is other than in the sample, the drifts, whether other controllers repair some of them too)
    "drift-direct": ({"path": "amqp", "management": "direct"}, IN_BROKER, False),
    "drift-topology": ({"path": "amqp"}, IN_BROKER, True),
    "drift-knative": ({}, OF_KNATIVE, True),
    "drift-objects": ({}, IN_KUBERNETES, True),
}


def test_what_is_changed_behind_its_back_is_told_and_repaired(bed, rabbitmq, operator, apply):
    """Design: the truth comes from the broker; within driftInterval + 5 s what can be repaired is. All JobQueues at
    once, one drift after another in each."""
    counted = operator.metric("operator_drifts_repaired_total")
    for name, (changes, _drifts, _others) in SUITES.items():
        apply(job_queue(bed, name, **changes))
    with ThreadPoolExecutor(len(SUITES)) as threads:
        running = [
            threads.submit(check_repaired, Scene(bed, rabbitmq, name), drifts, others_repair)
            for name, (_changes, drifts, others_repair) in SUITES.items()
        ]
    told = [suite.result() for suite in running]
    for (name, (_changes, drifts, _others)), told_of in zip(SUITES.items(), told, strict=True):
        assert len(told_of) > len(drifts) / 2, f"{name}: only {told_of} were told"
    assert operator.metric("operator_drifts_repaired_total") - counted >= len(IN_BROKER)
    for name in SUITES:
        shown = bed.kubectl("get", "events.events.k8s.io", "-n", NAMESPACE, "-o",
                            f"jsonpath={{.items[?(@.regarding.name=='{name}')].reason}}")  # fmt: skip
        assert "Repaired" in shown, f"{name}: an Event tells it too"
