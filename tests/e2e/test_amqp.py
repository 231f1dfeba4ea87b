"""Intake from the queue itself, without Knative: what is acknowledged there is a Job or a dead letter."""

import json

import pika
import pytest
from support.builder import example_event, jobs_by_event
from support.waiting import wait_for

QUEUE = "jobs"
DEAD = "jobs.dead"
DELIVERY_LIMIT = 2


@pytest.fixture
def queue(broker):
    broker.declare(DEAD, exchange=DEAD, routing_key=DEAD)
    broker.declare(QUEUE, {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT})
    yield broker
    broker.delete(QUEUE, DEAD)


@pytest.fixture
def consume(start_builder, queue):
    """Starts a builder that consumes the queue."""

    def start(**settings):
        rabbitmq = {
            "uri": queue.uri,
            "queues": {"kanikoJobs": {"name": QUEUE}},
            "deadLetter": {"exchange": DEAD, "routingKey": DEAD, "queue": DEAD},
        }
        return start_builder(rabbitmq=rabbitmq, intake={"amqp": {"enabled": True}}, **settings)

    return start


def attributes(event_id):
    event = json.loads(example_event(event_id))
    return json.dumps(event.pop("data")).encode(), event


def with_headers(prefix):
    """Binary mode, with attributes as headers of that prefix; the content type as a property."""

    def message(event_id):
        data, event = attributes(event_id)
        event.pop("datacontenttype")
        headers = {prefix + name: value for name, value in event.items()}
        return data, pika.BasicProperties(content_type="application/json", headers=headers)

    return message


def as_knative_publishes(event_id):
    data, event = attributes(event_id)
    headers = {"content-type": event.pop("datacontenttype"), **event}
    return data, pika.BasicProperties(content_type="application/json", headers=headers)


def structured(event_id):
    return example_event(event_id).encode(), pika.BasicProperties(content_type="application/cloudevents+json")


def poison(event_id):
    event = json.loads(example_event(event_id))
    del event["data"]["third_party_id"]
    return json.dumps(event).encode(), pika.BasicProperties(content_type="application/cloudevents+json")


FORMS = {
    "binary": with_headers("cloudEvents:"),
    "ce-": with_headers("ce-"),
    "Knative": as_knative_publishes,
    "structured": structured,
}


def acknowledged(builder):
    return builder.stats()["amqp"]["acknowledged"]


@pytest.mark.parametrize("form", FORMS)
def test_an_event_of_the_queue_becomes_a_job_and_is_acknowledged(consume, queue, control_plane, form):
    queue.publish(QUEUE, FORMS[form](f"amqp-{form}"))
    builder = consume()
    wait_for(lambda: acknowledged(builder) == 1, 30, "the event is acknowledged")
    assert f"amqp-{form}" in jobs_by_event(control_plane)
    assert builder.terminate() == 0
    assert queue.depth(QUEUE) == 0


def test_what_can_never_succeed_is_dead_lettered_and_acknowledged(consume, queue):
    builder = consume()
    queue.publish(QUEUE, poison("amqp-poison"), (b"no event", pika.BasicProperties(message_id="7")))
    letters = queue.take(DEAD, 2)
    wait_for(lambda: acknowledged(builder) == 2, 30, "both are acknowledged")
    by_original = {properties.headers["x-lambda-original"]: (properties, body) for properties, body in letters}
    properties, _ = by_original["event"]
    assert properties.headers["ce-id"] == "amqp-poison"
    assert properties.headers["x-lambda-field"] == "data.third_party_id"
    properties, body = by_original["raw"]
    assert body == b"no event"
    assert ["message-id", "7"] in json.loads(properties.headers["x-lambda-raw-headers"])["headers"]


def test_a_message_that_is_too_large_is_dead_lettered_whole(consume, queue):
    builder = consume()
    large = b"x" * 20_000_000  # more than all dead letters together may take while they wait
    queue.publish(QUEUE, (large, pika.BasicProperties(content_type="application/json")))
    properties, body = queue.take(DEAD, 1)[0]
    assert properties.headers["x-lambda-reason"] == "too_large"
    assert body == large
    wait_for(lambda: acknowledged(builder) == 1, 30, "it is acknowledged")


def test_the_same_event_twice_is_one_job_and_both_are_acknowledged(consume, queue, control_plane):
    queue.publish(QUEUE, structured("amqp-twice"), structured("amqp-twice"))
    builder = consume()
    wait_for(lambda: acknowledged(builder) == 2, 30, "both are acknowledged")
    assert len(jobs_by_event(control_plane)["amqp-twice"]) == 1


def test_while_the_api_server_is_away_the_queue_keeps_its_events(consume, queue, control_plane):
    """Also for longer than the queue's delivery limit would last, if each try gave the message back."""
    builder = consume(asyncJobCreator={"maxRetries": 0})
    wait_for(lambda: builder.stats()["amqp"]["state"] == "consuming", 30, "it consumes")
    control_plane.run("stop", "apiserver")
    try:
        ids = [f"amqp-away-{i}" for i in range(20)]
        queue.publish(QUEUE, *map(structured, ids))
        wait_for(lambda: builder.stats()["amqp"]["state"] == "paused", 60, "it consumes no more")
        queue.publish(QUEUE, structured("amqp-away-later"))
        # Two are in hand at the least, so this is more than the limit for one of them.
        wait_for(lambda: builder.stats()["unavailable"] > 2 * DELIVERY_LIMIT, 60, "they are tried on")
        received = builder.stats()["amqp"]["received"]
        assert queue.depth(QUEUE) == len(ids) + 1 - received > 0, "what came later waits in the queue"
    finally:
        control_plane.run("start", "apiserver")
    ids.append("amqp-away-later")
    wait_for(lambda: acknowledged(builder) == len(ids), 90, "all are acknowledged")
    assert set(ids) <= jobs_by_event(control_plane).keys()
    assert builder.stats()["amqp"]["received"] == len(ids), "none was given back and delivered again"
    assert queue.depth(DEAD) == 0


def test_sigterm_gives_back_what_is_not_a_job_yet(consume, queue, control_plane):
    ids = [f"amqp-term-{i}" for i in range(400)]
    queue.publish(QUEUE, *map(structured, ids))
    first = consume()
    wait_for(lambda: acknowledged(first) > 50, 30, "it works on the queue")
    assert first.terminate() == 0
    left = queue.depth(QUEUE)
    assert left > 0, "it was ended in the middle"
    second = consume()
    wait_for(lambda: acknowledged(second) >= left, 60, "the next one does the rest")
    jobs = jobs_by_event(control_plane)
    assert all(len(jobs[event_id]) == 1 for event_id in ids)


def test_killed_in_the_middle_it_loses_nothing(consume, queue, control_plane):
    ids = [f"amqp-killed-{i}" for i in range(400)]
    queue.publish(QUEUE, *map(structured, ids))
    first, second = consume(), consume()
    wait_for(lambda: acknowledged(first) > 50, 30, "it works on the queue")
    first.kill()
    wait_for(lambda: set(ids) <= jobs_by_event(control_plane).keys(), 60, "the other one does the rest")
    wait_for(lambda: queue.depth(QUEUE) == 0 and second.stats()["amqp"]["in_hand"] == 0, 30, "the queue is empty")
    jobs = jobs_by_event(control_plane)
    assert all(len(jobs[event_id]) == 1 for event_id in ids)
    assert queue.depth(DEAD) == 0
