"""The test bed with Knative: its objects become Ready, events go all the way, `down` leaves nothing."""

import json
import os
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.knative import (
    DataPlane,
    make_jobsink,
    management,
    publish_to_queue,
    queue_consumers,
    queue_depth,
    start_jobsink,
)
from support.knative import post as post_event
from support.knative_objects import (
    READY_SECONDS,
    broker,
    source,
    topology_queue,
    trigger,
    wait_until_ready,
)
from support.machine import footprint
from support.testbed import TestBed
from support.waiting import wait_for

OURS = f"t{os.getpid()}-"
SPACE = "apps"
CONTROLLERS = {
    "kwok",
    "topology-operator",
    "knative-broker-controller",
    "knative-source-controller",
}


@pytest.fixture(scope="module")
def bed():
    before = footprint(OURS)
    bed = TestBed(OURS + "knative")
    began = time.monotonic()
    print(bed.up("knative").stdout)
    print(f"up with knative: {time.monotonic() - began:.1f} s")
    try:
        bed.kubectl("create", "namespace", SPACE)
        yield bed
    finally:
        bed.down()
    after = footprint(OURS)
    for what, was in before.items():
        assert after[what] == was, what


@pytest.fixture
def plane(bed):
    with DataPlane(bed) as running:
        yield running


@pytest.fixture
def receiver():
    """A subscriber that keeps what it gets, as (headers with small letters, body)."""
    received = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.received = received
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# --- objects ---


def event(event_id, event_type):
    return {"specversion": "1.0", "id": event_id, "source": "/test", "type": event_type}


def trigger_queue(bed, name):
    """The one that the broker controller made for a trigger."""
    names = [found["name"] for found in management(bed, "/queues") or []]
    return next(found for found in names if found.startswith(f"{SPACE}.{name}."))


# --- the tests ---


def test_status_names_the_parts(bed):
    assert bed.pids().keys() >= CONTROLLERS
    assert "all parts run" in bed.run("status").stdout


def test_event_goes_through_source_broker_and_trigger(bed, plane, receiver):
    bed.apply(
        *broker(SPACE, "whole"),
        trigger(SPACE, "whole", "whole", "test.whole", receiver.url),
        topology_queue(SPACE, "whole-jobs"),
        source(SPACE, "whole", "whole", "whole-jobs"),
    )
    wait_until_ready(
        bed, SPACE, "queue.rabbitmq.com/whole-jobs", "broker/whole", "trigger/whole", "rabbitmqsource/whole"
    )

    status = plane.publish(SPACE, "whole", event("by-http", "test.whole"), b'{"a": 1}')
    assert status == 202
    headers, body = receiver.received.get(timeout=60)
    assert (headers["ce-id"], json.loads(body)) == ("by-http", {"a": 1})

    publish_to_queue(bed, "whole-jobs", event("by-queue", "test.whole"), b'{"b": 2}')
    headers, body = receiver.received.get(timeout=60)
    assert (headers["ce-id"], json.loads(body)) == ("by-queue", {"b": 2})


def test_killed_dispatcher_comes_back_and_loses_nothing(bed, plane, receiver):
    bed.apply(*broker(SPACE, "killed"), trigger(SPACE, "killed", "killed", "test.killed", receiver.url))
    wait_until_ready(bed, SPACE, "trigger/killed")
    killed_queue = trigger_queue(bed, "killed")
    wait_for(lambda: queue_consumers(bed, killed_queue) == 1, 60, "the dispatcher consumes")
    before = plane.process(SPACE, "killed-dispatcher")

    plane.kill(SPACE, "killed-dispatcher")
    assert plane.publish(SPACE, "killed", event("after", "test.killed"), b"{}") == 202

    headers, _body = receiver.received.get(timeout=60)
    assert headers["ce-id"] == "after"
    assert plane.process(SPACE, "killed-dispatcher") not in (None, before)
    assert plane.restarts(SPACE, "killed-dispatcher") == 1
    wait_for(lambda: queue_depth(bed, killed_queue) == 0, 30, "the event is acknowledged")


def test_process_ends_with_its_objects(bed, plane, receiver):
    bed.apply(*broker(SPACE, "gone"), trigger(SPACE, "gone", "gone", "test.gone", receiver.url))
    wait_for(lambda: plane.process(SPACE, "gone-dispatcher"), READY_SECONDS, "a dispatcher runs")
    bed.kubectl("delete", "trigger", "gone", f"--namespace={SPACE}")
    wait_for(lambda: not plane.process(SPACE, "gone-dispatcher"), READY_SECONDS, "it ended")


def test_stopped_controllers_take_up_their_work_again(bed):
    parts = sorted(CONTROLLERS)
    bed.run("stop", *parts, "--hard")
    assert not bed.pids().keys() & CONTROLLERS
    assert bed.run("status", check=False).returncode == 1
    bed.apply(*broker(SPACE, "late"), trigger(SPACE, "late", "late", "test.late", "http://127.0.0.1:9"))
    bed.run("start", *parts)
    wait_until_ready(bed, SPACE, "broker/late", "trigger/late")


def test_jobsink_makes_a_job_of_an_event(bed):
    container = {"name": "main", "image": "any", "command": ["true"]}
    job = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    make_jobsink(bed, SPACE, "jobs", job)
    sink = start_jobsink(bed, qps=200, burst=400)
    try:
        headers = {f"Ce-{name}": value for name, value in event("one", "test.job").items()}
        headers |= {"Content-Type": "application/json", "Host": sink.host_header}
        url = sink.url(SPACE, "jobs")
        # Until its informer has seen the JobSink, it is a bad request.
        wait_for(lambda: post_event(url, headers, b"{}") == 202, 30, "JobSink takes the event")
        jobs = json.loads(bed.kubectl("get", "jobs", f"--namespace={SPACE}", "-o", "json"))["items"]
        assert [found["metadata"]["labels"]["sinks.knative.dev/job-sink-name"] for found in jobs] == ["jobs"]
    finally:
        sink.stop()


def test_node_beside_knative_is_refused(bed):
    refused = bed.run("up", "--with", "node", check=False)
    assert refused.returncode == 1
    assert "knative and node exclude each other" in refused.stderr
