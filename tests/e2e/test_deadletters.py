"""What can never succeed and came by the queue is in the dead-letter queue before its sender is told so."""

import json

import pytest
import requests
from support.builder import BUILDS, example_event, jobs_by_event
from support.waiting import wait_for

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
QUEUE = "dead"
EXCHANGE = "dead-letters"
ROUTING_KEY = "dead.key"


@pytest.fixture
def letters(broker):
    broker.declare(QUEUE, exchange=EXCHANGE, routing_key=ROUTING_KEY)
    yield broker
    broker.delete(QUEUE)


@pytest.fixture
def builder(start_builder, letters):
    return start_builder(rabbitmq=rabbitmq(letters))


def rabbitmq(broker):
    return {
        "uri": broker.uri,
        "deadLetter": {"exchange": EXCHANGE, "routingKey": ROUTING_KEY, "queue": QUEUE},
    }


def poison(event_id):
    event = json.loads(example_event(event_id))
    event["data"]["parameters"]["source_url"] = "https://elsewhere.example/a/b"
    return event


def post(builder, event, headers=None):
    body = event if isinstance(event, bytes) else json.dumps(event)
    return requests.post(builder.url, data=body, headers=headers or STRUCTURED, timeout=40)


def test_an_event_that_can_never_succeed_is_dead_lettered_whole(builder, letters, control_plane):
    answer = post(builder, poison("poison"))
    assert answer.status_code == 200, answer.text
    properties, body = letters.take(QUEUE, 1)[0]
    assert json.loads(body) == poison("poison")["data"]
    headers = properties.headers
    assert headers["ce-id"] == "poison"
    assert headers["ce-source"] == "network.notifi.kaniko-jobs"
    assert headers["x-lambda-original"] == "event"
    assert headers["x-lambda-stage"] == "intake"
    assert headers["x-lambda-reason"] == "invalid"
    assert headers["x-lambda-field"] == "data.parameters.source_url"
    assert properties.delivery_mode == 2
    assert "poison" not in jobs_by_event(control_plane)
    metrics = requests.get(builder.url + "/metrics", timeout=10).text
    assert 'dead_letters_total{reason="invalid",stage="intake"} 1' in metrics
    assert builder.stats()["dead_letters"]["sent"] == 1


def test_what_is_no_event_is_dead_lettered_as_it_came(builder, letters):
    headers = {"Ce-Source": "network.notifi.kaniko-jobs", "Ce-Id": "1", "Ce-Type": "t", "Authorization": "Bearer x"}
    answer = post(builder, b"\xff\x00 not an event", headers)
    assert answer.status_code == 200, answer.text
    properties, body = letters.take(QUEUE, 1)[0]
    assert body == b"\xff\x00 not an event"
    assert properties.headers["x-lambda-original"] == "raw"
    raw = json.loads(properties.headers["x-lambda-raw-headers"])["headers"]
    names = {name.lower() for name, _ in raw}
    assert "ce-type" in names
    assert "authorization" not in names, "what proves who sent it is nobody else's business"


def test_an_event_of_a_flow_that_is_not_accepted_is_dead_lettered(start_builder, letters):
    builder = start_builder(rabbitmq=rabbitmq(letters), intake={"accept": ["direct"]})
    assert post(builder, json.loads(example_event("by-the-queue"))).status_code == 200
    properties, _ = letters.take(QUEUE, 1)[0]
    assert properties.headers["x-lambda-reason"] == "forbidden"
    assert properties.headers["ce-id"] == "by-the-queue"


def test_a_direct_sender_is_told_and_nothing_is_dead_lettered(builder, letters):
    answer = post(builder, {**poison("direct"), "source": "acme.example"})
    assert answer.status_code == 400
    assert letters.depth(QUEUE) == 0


def test_without_a_queue_for_it_the_sender_keeps_the_event(builder, letters):
    letters.delete(QUEUE)
    answer = post(builder, poison("kept"))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    letters.declare(QUEUE, exchange=EXCHANGE, routing_key=ROUTING_KEY)
    assert post(builder, poison("kept")).status_code == 200
    assert letters.take(QUEUE, 1)[0][0].headers["ce-id"] == "kept"


def test_while_the_broker_is_away_the_sender_keeps_the_event(start_builder):
    nobody = {"uri": "amqp://guest:guest@127.0.0.1:1/"}
    builder = start_builder(rabbitmq=nobody, http={"requestTimeout": "2s"})
    assert post(builder, poison("away")).status_code == 503
    assert post(builder, json.loads(example_event("valid-while-away"))).status_code == 202


# --- what was answered at once ---

AT_ONCE = {"acknowledge": "immediate"}


def post_at_once(builder, count, name):
    """Sends events that only the builder has from then on; returns their ids."""
    ids = {f"{name}-{number}" for number in range(count)}
    assert {post(builder, json.loads(example_event(event_id))).status_code for event_id in ids} == {202}
    return ids


@pytest.fixture
def without_api_server(control_plane):
    control_plane.run("stop", "apiserver")
    yield
    control_plane.run("start", "apiserver")


def test_answered_at_once_and_never_to_be_built_it_is_dead_lettered(start_builder, letters, control_plane):
    builder = start_builder(rabbitmq=rabbitmq(letters), asyncJobCreator=AT_ONCE)
    name = post(builder, json.loads(example_event("in-the-way"))).json()["job_name"]
    wait_for(lambda: "in-the-way" in jobs_by_event(control_plane), 30, "the Job is there")
    of_another = "lambda.notifi.network/event-id=another"
    control_plane.kubectl("annotate", "--overwrite", "job", "-n", BUILDS, name, of_another)
    assert post(builder, json.loads(example_event("in-the-way"))).status_code == 202
    headers = letters.take(QUEUE, 1)[0][0].headers
    assert headers["ce-id"] == "in-the-way"
    assert headers["x-lambda-stage"] == "create"
    assert headers["x-lambda-reason"] == "conflict"
    assert headers["x-lambda-job-name"] == name


def test_answered_at_once_and_without_a_job_at_sigterm_it_is_dead_lettered(start_builder, letters, without_api_server):
    builder = start_builder(rabbitmq=rabbitmq(letters), asyncJobCreator=AT_ONCE)
    ids = post_at_once(builder, 20, "left-over")
    assert builder.terminate() == 0
    found = [properties.headers for properties, _ in letters.take_all(QUEUE)]
    assert sorted(headers["ce-id"] for headers in found) == sorted(ids)
    assert {headers["x-lambda-stage"] for headers in found} == {"create"}
    assert {headers["x-lambda-reason"] for headers in found} <= {"unavailable", "timeout"}
    assert "lost" not in builder.log()


def test_without_rabbitmq_what_was_answered_at_once_and_has_no_job_at_sigterm_is_told(
    start_builder, without_api_server
):
    builder = start_builder(asyncJobCreator=AT_ONCE)
    ids = post_at_once(builder, 20, "lost")
    assert builder.terminate() == 0
    lines = map(json.loads, builder.log().splitlines())
    lost = [line["event_id"] for line in lines if line["msg"] == "an event that was answered at once is lost"]
    assert sorted(lost) == sorted(ids)
