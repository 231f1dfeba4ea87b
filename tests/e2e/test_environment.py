"""Promise 6, environment is not poison: rights taken away, a quota exhausted, an admission webhook down, each
under load. Nothing is dead-lettered, nothing lost, and it goes on by itself. A policy against one tenant is
nobody else's trouble.

Each trouble lasts until some events have met it, or as long as LAMBDA_TROUBLE_SECONDS says:

    LAMBDA_TROUBLE_SECONDS=60 .venv/bin/python3 -m pytest -s tests/e2e/test_environment.py
"""

import contextlib
import json
import os
import time

import pytest
import requests
from support.builder import (
    example_event,
    jobs_by_event,
    make_build_namespace,
    rabbitmq_settings,
)
from support.knative import free_port
from support.ledger import Ledger, events
from support.load import Client, Load
from support.program import kubeconfig_of_service_account
from support.publisher import Publisher, binary
from support.waiting import wait_for

TROUBLE_SECONDS = float(os.environ.get("LAMBDA_TROUBLE_SECONDS", "0"))
REFUSALS = 30  # that a trouble lasts for at least
CLIENTS = 20
PREFETCH = 50
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


# --- the troubles: what is wrong as long as each lasts, and what the API server then says ---


@contextlib.contextmanager
def rights_taken_away(bed, namespace):
    bed.kubectl("delete", "rolebinding", "knative-lambda-builder", "-n", namespace)
    yield "cannot create resource"
    make_build_namespace(bed, namespace)


@contextlib.contextmanager
def quota_exhausted(bed, namespace):
    there = len(jobs_by_event(bed, namespace))
    bed.kubectl("create", "quota", "few", f"--hard=count/jobs.batch={there + 10}", "-n", namespace)
    yield "exceeded quota"
    bed.kubectl("delete", "quota", "few", "-n", namespace)


@contextlib.contextmanager
def webhook_down(bed, namespace):
    """Nobody listens where it is."""
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
    webhook = {
        "name": "down.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{free_port()}/"},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [webhook],
    }
    bed.apply(configuration)
    yield "failed calling webhook"
    bed.kubectl("delete", "validatingwebhookconfiguration", namespace)


TROUBLES = {"rights": rights_taken_away, "quota": quota_exhausted, "webhook": webhook_down}


# --- the loads: both go on while there is trouble, and both know what they have sent ---


class HttpLoad:
    """Senders that send again what was answered 503, as a dispatcher does."""

    def __init__(self, _uri, builder, name):
        self.load = Load(builder.port, CLIENTS, name, until_accepted=True)

    def keep_up(self):
        pass

    def accepted(self):
        return len(self.load.accepted())

    def finish(self):
        """Returns the ids of all that were sent."""
        self.load.finish()
        assert self.load.trouble == []
        statuses = {status for answers in self.load.answers.values() for status in answers}
        assert statuses == {202, 503}, "200 would be a dead letter, 4xx the end of an event for a dispatcher"
        return set(self.load.answers)


class AmqpLoad:
    """A queue that never runs empty while there is trouble."""

    AHEAD = 200

    def __init__(self, uri, builder, name):
        self.builder = builder
        self.ids = set()
        self.events = events(name, 1_000_000, poison_every=0)
        self.publisher = Publisher(uri, name).__enter__()
        self.keep_up()

    def keep_up(self):
        while len(self.ids) < self.accepted() + self.AHEAD:
            event, _ = next(self.events)
            self.ids.add(event["id"])
            self.publisher.put([binary(event)])

    def accepted(self):
        return self.builder.stats()["amqp"]["acknowledged"]

    def finish(self):
        self.publisher.wait()
        self.publisher.__exit__()
        wait_for(lambda: self.accepted() >= len(self.ids), 120, "the queue has been worked off")
        return self.ids


LOADS = {"http": HttpLoad, "amqp": AmqpLoad}


def grown(load, by):
    """A condition: so many more events than now have been accepted."""
    goal = load.accepted() + by

    def has_grown():
        load.keep_up()
        return load.accepted() >= goal

    return has_grown


def endure(builder, load):
    """Until enough events have met the trouble, and for as long as is asked for. Returns how many have."""
    before = builder.stats()["unavailable"]
    end = time.monotonic() + TROUBLE_SECONDS

    def has_lasted():
        load.keep_up()
        return builder.stats()["unavailable"] >= before + REFUSALS and time.monotonic() >= end

    wait_for(has_lasted, 120 + TROUBLE_SECONDS, "events meet the trouble")
    return builder.stats()["unavailable"] - before


def start(start_builder, broker, name, by_amqp, **amqp):
    """A builder with rights, queues and a namespace of that name."""
    make_build_namespace(broker.bed, name)
    broker.declare(name, {"x-queue-type": "quorum"})
    broker.declare(f"{name}-dead", {"x-queue-type": "quorum"}, exchange="dlx", routing_key=f"{name}-dead")
    return start_builder(
        http={"requestTimeout": "2s"},  # so that events meet the trouble more often than every 25 s
        kubernetes={"kubeconfig": kubeconfig_of_service_account(broker.bed, "knative-lambda-builder")},
        intake={"amqp": {"enabled": by_amqp, "prefetch": PREFETCH, **amqp}},
        rabbitmq=rabbitmq_settings(broker.uri, name, f"{name}-dead"),
        build={"namespace": name, "admission": "operator"},
    )


@pytest.mark.parametrize("way", LOADS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_of_our_own_loses_no_event_and_dead_letters_none(broker, start_builder, trouble, way):
    bed, name = broker.bed, f"{trouble}-{way}"
    builder = start(start_builder, broker, name, by_amqp=way == "amqp")
    load = LOADS[way](broker.uri, builder, name)
    wait_for(grown(load, by=100), 60, "the load runs")
    with TROUBLES[trouble](bed, name) as what_is_said:
        refusals = endure(builder, load)
        assert what_is_said in builder.log(), builder.stats()["last_error"]
    over = time.monotonic()
    wait_for(grown(load, by=100), 120, "it goes on by itself")
    seconds = time.monotonic() - over
    sent = load.finish()

    found = Ledger(broker, name, f"{name}-dead", dict.fromkeys(sent)).check()
    assert builder.stats()["dead_letters"]["sent"] == 0
    print(f"\n{name}: {found}, refusals {refusals}, went on after {seconds:.1f} s")


def test_what_is_held_goes_on_as_soon_as_the_api_server_takes_jobs(broker, start_builder):
    """Nothing new is consumed before all that is held has ended, and a delivery may be held for a minute."""
    builder = start(start_builder, broker, "held", by_amqp=True)
    builder.kill()
    fill(broker, "held", PREFETCH)
    with rights_taken_away(broker.bed, "held"):
        builder.start()
        wait_for(lambda: builder.stats()["amqp"]["state"] == "paused", 60, "the builder has found out")
    sender = Client(builder.port)
    wait_for(lambda: sender.send("by-http")[0] == 202, 60, "the API server takes Jobs again")
    # The tenants take turns, so each of these lets some of the others pass.
    statuses = {sender.send(f"by-http-{number}")[0] for number in range(PREFETCH)}
    assert statuses == {202}
    assert builder.stats()["amqp"]["in_hand"] == 0, "they wait, though the API server takes Jobs"


def fill(broker, queue, count):
    broker.publish(queue, *(binary(event)[::-1] for event, _ in events(queue, count, poison_every=0)))


REFUSED = "tenant-refused"


@contextlib.contextmanager
def policy_against_one_tenant(bed, namespace):
    api, label = "admissionregistration.k8s.io/v1", "lambda.notifi.network/third-party-id"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
    namespaces = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    expression = f"!('{label}' in object.metadata.labels) || object.metadata.labels['{label}'] != '{REFUSED}'"
    policy = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": expression, "message": "not this tenant"}],
        },
    }
    binding = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": namespaces},
        },
    }
    bed.apply(policy, binding)
    yield
    bed.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", namespace)


def events_of(tenant, count):
    return [json.loads(example_event(f"{tenant}-{number}", tenant)) for number in range(count)]


def is_refused(builder):
    """Of an event of the tenant; what is not refused yet becomes a Job and is sent anew."""
    event = json.loads(example_event(f"probe-{time.monotonic()}", REFUSED))
    return requests.post(builder.url, json=event, headers=STRUCTURED, timeout=40).status_code == 503


def test_a_policy_against_one_tenant_stops_no_other_by_amqp(broker, start_builder):
    """Also when that tenant's events are several times the prefetch, and all before those of the others."""
    bed, name = broker.bed, "one-tenant"
    builder = start(start_builder, broker, name, by_amqp=True)
    refused, others = events_of(REFUSED, 6 * PREFETCH), events_of("tenant-other", 2 * PREFETCH)
    ids_of_others = {event["id"] for event in others}
    with policy_against_one_tenant(bed, name):
        wait_for(lambda: is_refused(builder), 60, "the policy holds")
        probes = jobs_by_event(bed, name).keys()
        broker.publish(name, *(binary(event)[::-1] for event in refused + others))
        wait_for(lambda: jobs_by_event(bed, name).keys() >= ids_of_others, 60, "the others' events become Jobs")
        assert jobs_by_event(bed, name).keys() == probes | ids_of_others
        # One of them may just be tried again.
        wait_for(lambda: builder.stats()["amqp"]["held"] == len(refused), 30, "all that are refused are held")
        assert builder.stats()["amqp"]["in_hand"] == len(refused)
    wait_for(lambda: builder.stats()["amqp"]["in_hand"] == 0, 120, "what was held becomes Jobs")
    found = jobs_by_event(bed, name)
    assert found.keys() >= {event["id"] for event in refused}
    assert all(len(names) == 1 for names in found.values())
    assert builder.stats()["amqp"]["received"] == len(refused) + len(others), "a delivery was given back"
    assert broker.depth(f"{name}-dead") == 0


@pytest.mark.parametrize(
    ("name", "settings", "padding", "most"),
    [("held-count", {"maxHeld": 10}, 0, 10), ("held-bytes", {}, 900_000, 16 * 2**20 // 900_000)],
)
def test_what_is_held_beyond_the_prefetch_is_bounded(broker, start_builder, name, settings, padding, most):
    builder = start(start_builder, broker, name, by_amqp=True, **settings)
    refused = events_of(REFUSED, PREFETCH + 2 * most)
    for event in refused:
        event["data"]["padding"] = "x" * padding
    with policy_against_one_tenant(broker.bed, name):
        wait_for(lambda: is_refused(builder), 60, "the policy holds")
        # Some are tried again, and find no more room than before.
        before = builder.stats()["unavailable"]
        broker.publish(name, *(binary(event)[::-1] for event in refused))
        tries = len(refused)
        wait_for(lambda: builder.stats()["unavailable"] >= before + tries, 120, "they are tried again")
        amqp = builder.stats()["amqp"]
        assert amqp["held"] == most, amqp
        assert amqp["in_hand"] <= PREFETCH + most, amqp
    wait_for(lambda: builder.stats()["amqp"]["acknowledged"] == len(refused), 120, "what was held becomes Jobs")
    assert jobs_by_event(broker.bed, name).keys() >= {event["id"] for event in refused}
    assert broker.depth(f"{name}-dead") == 0
