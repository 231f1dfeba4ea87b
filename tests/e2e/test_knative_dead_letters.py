"""What Knative's trigger gives up on, and what matches no trigger: where it goes with the topology of
docs/decisions/0020, on the real controllers, dispatchers and RabbitMQ. Made by hand here, without the operator:
these are the facts that it is built on."""

import os
import re
import urllib.parse

import pytest
from support.knative import DataPlane, management, queue_depth, rabbitmq_request
from support.knative_objects import broker, trigger, wait_until_ready
from support.testbed import TestBed
from support.waiting import wait_for

SPACE = "letters"
NOBODY = "http://127.0.0.1:9"  # refuses every connection
EVENTS = 20
DELIVERY = {"retry": 1, "backoffPolicy": "exponential", "backoffDelay": "PT0.1S", "timeout": "PT5S"}
DEAD_SINKS = {"invalid": {"uri": "http://dead-letters.invalid"}, "down": {"uri": NOBODY}}


@pytest.fixture(scope="module")
def bed():
    bed = TestBed(f"t{os.getpid()}-letters")
    bed.up("knative")
    try:
        bed.kubectl("create", "namespace", SPACE)
        objects = broker(SPACE, "default")
        for name, sink in DEAD_SINKS.items():
            delivery = DELIVERY | {"deadLetterSink": sink}
            objects.append(trigger(SPACE, name, "default", f"test.{name}", NOBODY, delivery, 10))
        bed.apply(*objects)
        wait_until_ready(bed, SPACE, "broker/default", *(f"trigger/{name}" for name in DEAD_SINKS))
        yield bed
    finally:
        bed.down()


@pytest.fixture(scope="module")
def plane(bed):
    with DataPlane(bed) as running:
        yield running


def quoted(name):
    return urllib.parse.quote(name, safe="")


def declare_queue(bed, name):
    arguments = {"x-queue-type": "quorum"}
    rabbitmq_request(bed, "PUT", f"/queues/%2F/{quoted(name)}", {"durable": True, "arguments": arguments})


def bind(bed, exchange, queue, arguments):
    path = f"/bindings/%2F/e/{quoted(exchange)}/q/{quoted(queue)}"
    rabbitmq_request(bed, "POST", path, {"routing_key": "", "arguments": arguments})


def ids_in(bed, queue):
    """What is in it; nothing is left."""
    asked = {"count": 10 * EVENTS, "ackmode": "ack_requeue_false", "encoding": "auto"}
    found = rabbitmq_request(bed, "POST", f"/queues/%2F/{quoted(queue)}/get", asked)
    return sorted(message["properties"]["headers"]["id"] for message in found)


def publish(plane, event_type):
    ids = [f"{event_type}-{number:02}" for number in range(EVENTS)]
    for event_id in ids:
        event = {"specversion": "1.0", "id": event_id, "source": "/test", "type": event_type}
        assert plane.publish(SPACE, "default", event, b"{}") == 202
    return ids


def policy_of(bed, trigger_name):
    """Knative's, that names the exchange for what the trigger gives up on."""
    policies = management(bed, "/policies/%2F")
    pattern = re.compile(rf"\^{SPACE}\\\.{trigger_name}\\\.")
    return next(policy for policy in policies if pattern.match(policy["pattern"]))


@pytest.mark.parametrize("name", DEAD_SINKS)
def test_what_a_trigger_gives_up_on_is_kept(bed, plane, name):
    exchange = policy_of(bed, name)["definition"]["dead-letter-exchange"]
    letters = f"{name}.dlq"
    declare_queue(bed, letters)
    bind(bed, exchange, letters, {"x-match": "all"})
    copies = next(
        found["destination"]
        for found in management(bed, f"/exchanges/%2F/{quoted(exchange)}/bindings/source")
        if found["destination"] != letters
    )
    policy = {"pattern": f"^{re.escape(copies)}$", "definition": {"max-length": 0}, "apply-to": "queues"}
    rabbitmq_request(bed, "PUT", f"/operator-policies/%2F/{quoted(name)}", policy)

    ids = publish(plane, f"test.{name}")
    wait_for(lambda: queue_depth(bed, letters) == EVENTS, 120, f"{EVENTS} dead letters")
    assert ids_in(bed, letters) == ids
    wait_for(lambda: queue_depth(bed, copies) == 0, 120, "the copies are gone")


def test_what_matches_no_trigger_is_kept(bed, plane):
    exchange = next(
        found["name"]
        for found in management(bed, "/exchanges/%2F")
        if found["name"].startswith(f"b.{SPACE}.default.")
    )
    declare_queue(bed, "unrouted")
    rabbitmq_request(bed, "PUT", "/exchanges/%2F/unrouted", {"type": "fanout", "durable": True})
    bind(bed, "unrouted", "unrouted", {})
    policy = {"pattern": f"^{re.escape(exchange)}$", "definition": {"alternate-exchange": "unrouted"}}
    rabbitmq_request(bed, "PUT", "/policies/%2F/unrouted", policy | {"apply-to": "exchanges"})

    ids = publish(plane, "test.of.nobody")
    wait_for(lambda: queue_depth(bed, "unrouted") == EVENTS, 60, f"{EVENTS} unrouted events")
    assert ids_in(bed, "unrouted") == ids
