"""A JobQueue becomes a chain that carries events, on each path, and lets none fall out."""

import os
import time

import pytest
from support.builder import BUILDS, Builder, jobs_by_event, make_build_namespace, rabbitmq_settings
from support.job_queues import EXCHANGE, child_objects, job_queue, publish_event
from support.knative import DataPlane, connection_secret, queue_depth
from support.operator_process import (
    MANIFESTS,
    NAMESPACE,
    RABBITMQ_NAMESPACE,
    Operator,
    conditions,
    install,
    wait_for_condition,
)
from support.queues import Broker
from support.testbed import TestBed
from support.waiting import wait_for

NOBODY = "http://127.0.0.1:9"  # refuses every connection
GIVEN_UP = 12


@pytest.fixture(scope="module")
def plane(bed):
    with DataPlane(bed) as running:
        make_build_namespace(bed, BUILDS)
        yield running


def wait_for_job(bed, event_id):
    wait_for(lambda: len(jobs_by_event(bed).get(event_id, [])) == 1, 60, f"{event_id} became a Job", poll_seconds=0.5)


def test_the_sample_becomes_a_chain_that_carries_events(bed, rabbitmq, operator, plane):
    """Design: a JobQueue is queue, dead letters, source and trigger in one."""
    settings = rabbitmq_settings(bed.environment()["AMQP_URL"], "kaniko-jobs", "kaniko-jobs.dlq")
    builder = Builder(bed, rabbitmq=settings)
    try:
        plane.route(NAMESPACE, "knative-lambda-builder", builder.url)
        began = time.monotonic()
        bed.kubectl("apply", "-f", str(MANIFESTS / "samples" / "jobqueue.yaml"))
        wait_for_condition(bed, "kaniko-jobs", "Ready", "True", seconds=60)
        print(f"Ready after {time.monotonic() - began:.1f} s")
        assert "kaniko-jobs" in bed.kubectl("get", "queue.rabbitmq.com", "kaniko-jobs", "-n", RABBITMQ_NAMESPACE)
        assert "kaniko-jobs-trigger" in bed.kubectl("get", "trigger", "kaniko-jobs-trigger", "-n", NAMESPACE)
        reasons = {reason for _status, reason, _message in conditions(bed, "kaniko-jobs").values()}
        assert "Repaired" not in reasons, "what was just made was never otherwise"

        publish_event(rabbitmq, EXCHANGE, "by-the-chain")
        wait_for_job(bed, "by-the-chain")

        publish_event(rabbitmq, EXCHANGE, "of-another-source", source="somebody.else")
        wait_for(lambda: queue_depth(bed, "kaniko-jobs.unrouted") == 1, 60, "what matches no trigger is kept")
        assert queue_depth(bed, "kaniko-jobs.dlq") == 0
    finally:
        builder.kill()
        bed.kubectl("delete", "jobqueue", "kaniko-jobs", "-n", NAMESPACE, "--timeout=60s", seconds=90)


def test_what_the_trigger_gives_up_on_is_in_the_dead_letter_queue(bed, rabbitmq, operator, plane, apply):
    """Design: the chain has no hole. Subscriber and dead-letter sink are down for longer than all retries."""
    retries = {"retry": 1, "backoffPolicy": "linear", "backoffDelay": "PT0.1S", "timeout": "PT30S"}
    queue = job_queue(bed, "given-up")
    queue["spec"]["trigger"] |= {
        "subscriber": {"uri": NOBODY},
        "delivery": retries | {"deadLetterSink": {"uri": NOBODY}},
    }
    name = apply(queue)
    for number in range(GIVEN_UP):
        publish_event(rabbitmq, f"{name}.events", f"given-up-{number}")
    wait_for(lambda: rabbitmq.depth(f"{name}.dlq") >= GIVEN_UP, 120, "all of them are dead letters")
    letters = rabbitmq.take_all(f"{name}.dlq")
    ids = sorted(properties.headers["id"] for properties, _body in letters)
    assert ids == sorted(f"given-up-{number}" for number in range(GIVEN_UP))


@pytest.mark.parametrize("management_mode", ["topology", "direct"])
def test_path_amqp(bed, rabbitmq, operator, plane, apply, management_mode):
    """The builder consumes the queue itself; with `direct` nothing of the topology operator is used."""
    name = apply(job_queue(bed, f"amqp-{management_mode}", path="amqp", management=management_mode))
    kinds = {kind for kind, _name in child_objects(bed, name)}
    assert kinds == ({"Queue", "Binding", "Policy"} if management_mode == "topology" else set())
    carry_by_amqp(bed, rabbitmq, name)


def carry_by_amqp(bed, rabbitmq, name):
    settings = rabbitmq_settings(bed.environment()["AMQP_URL"], name, f"{name}.dlq")
    builder = Builder(bed, rabbitmq=settings, intake={"amqp": {"enabled": True}})
    try:
        publish_event(rabbitmq, f"{name}.events", f"by-{name}")
        wait_for_job(bed, f"by-{name}")
    finally:
        builder.kill()


@pytest.mark.parametrize(
    ("path", "management_mode"), [("source", "topology"), ("source", "direct"), ("trigger", "direct")]
)
def test_other_paths_by_knative(bed, rabbitmq, operator, plane, apply, path, management_mode):
    """RabbitmqSource straight to the builder; and what the sample does, with the broker's things made by the operator
    itself."""
    builder = Builder(bed)
    try:
        plane.route(NAMESPACE, "knative-lambda-builder", builder.url)
        name = apply(job_queue(bed, f"by-{path}-{management_mode}", path=path, management=management_mode))
        publish_event(rabbitmq, f"{name}.events", f"event-{name}")
        wait_for_job(bed, f"event-{name}")
    finally:
        builder.kill()


def test_direct_management_without_topology_operator_and_knative(apply_nowhere):
    """On a cluster that has neither; and what needs them says so."""
    bed, rabbitmq, apply = apply_nowhere
    name = apply(job_queue(bed, "alone", path="amqp", management="direct"))
    carry_by_amqp(bed, rabbitmq, name)
    for name, changes, condition in (
        ("needs-topology", {"path": "amqp"}, "QueueReady"),
        ("needs-knative", {"management": "direct"}, "TriggerReady"),
        ("needs-sources", {"management": "direct", "path": "source"}, "SourceReady"),
    ):
        bed.apply(job_queue(bed, name, **changes))
        message = wait_for_condition(bed, name, condition, "False", "CrdMissing")
        assert "install" in message
        bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--timeout=60s", seconds=90)


@pytest.fixture
def apply_nowhere():
    """A bed with nothing but RabbitMQ, an operator on it, and a function that applies a JobQueue."""
    bed = TestBed(f"t{os.getpid()}-alone")
    bed.up("rabbitmq")
    try:
        install(bed)
        make_build_namespace(bed, BUILDS)
        bed.apply(connection_secret(bed))
        operator = Operator(bed)
        try:

            def apply(queue):
                bed.apply(queue)
                wait_for_condition(bed, queue["metadata"]["name"], "Ready", "True", seconds=60)
                return queue["metadata"]["name"]

            yield bed, Broker(bed), apply
        finally:
            operator.kill()
    finally:
        bed.down()
