"""What the CloudEvents SDKs and the CloudEvents project's own program send is understood, in each of their modes."""

import json

import pytest
from support import sdks
from support.builder import Builder, example_event, jobs_by_event

# The SDKs for Python and JavaScript, and the conformance program, send no batches.
MODES = [(sender, mode) for sender in ("python", "go", "javascript") for mode in ("binary", "structured")]
QUEUE_SIZE = 20


@pytest.fixture(scope="module")
def builder(control_plane):
    running = Builder(
        control_plane, asyncJobCreator={"maxQueueSize": QUEUE_SIZE, "maxQueuePerTenant": QUEUE_SIZE}
    )
    yield running
    assert running.terminate() == 0


def event(event_id, **changes):
    """The documented event, sent directly."""
    made = json.loads(example_event(event_id)) | {"source": "https://tenant.example/ci"} | changes
    del made["time"]
    return made


def assert_job_of(bed, *event_ids):
    jobs = jobs_by_event(bed)
    for event_id in event_ids:
        assert len(jobs.get(event_id, [])) == 1, f"{event_id} has no Job of its own"


@pytest.mark.parametrize("sender, mode", MODES)
def test_an_event_of_the_sdk_becomes_a_job(control_plane, builder, sender, mode):
    event_id = f"sdk-{sender}-{mode}"
    status, body = getattr(sdks, sender)(builder.url, mode, [event(event_id)])
    assert status == 202, body
    assert body["correlation_id"] == f"correlation-of-{event_id}"
    assert_job_of(control_plane, event_id)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_of_the_conformance_program_becomes_a_job(control_plane, builder, mode):
    event_id = f"conformance-{mode}"
    sdks.conformance(builder.url, mode, [event(event_id)])
    assert_job_of(control_plane, event_id)


def test_a_batch_becomes_a_job_for_each_event(control_plane, builder):
    ids = [f"batch-{number}" for number in range(QUEUE_SIZE)]
    status, body = sdks.go(builder.url, "batch", [event(event_id) for event_id in ids])
    assert status == 202, body
    assert [result["correlation_id"] for result in body["results"]] == [f"correlation-of-{id}" for id in ids]
    assert_job_of(control_plane, *ids)


def test_a_batch_again_is_a_batch_of_duplicates(control_plane, builder):
    events = [event(f"again-{number}") for number in range(3)]
    first, second = (sdks.go(builder.url, "batch", events) for _ in range(2))
    assert [result["duplicate"] for result in first[1]["results"]] == [False] * 3
    assert second[0] == 202
    assert [result["duplicate"] for result in second[1]["results"]] == [True] * 3


def test_a_batch_with_an_event_that_can_never_succeed_is_no_202(builder):
    bad = event("hopeless")
    bad["data"]["parameters"]["source_url"] = "https://elsewhere.example/a"
    status, body = sdks.go(builder.url, "batch", [event("fine"), bad])
    assert 400 <= status < 500, body
    assert len(body["results"]) == 2


def test_a_batch_is_503_as_a_whole_if_one_event_is_to_be_sent_again(control_plane, start_builder):
    builder = start_builder(asyncJobCreator={"maxRetries": 0}, http={"requestTimeout": "2s"})
    control_plane.run("stop", "apiserver")
    try:
        status, body = sdks.go(builder.url, "batch", [event("later-0"), event("later-1")])
    finally:
        control_plane.run("start", "apiserver")
    assert status == 503, body


def test_a_batch_that_is_larger_than_the_queue_is_413(control_plane, builder):
    ids = [f"many-{number}" for number in range(QUEUE_SIZE + 1)]
    status, body = sdks.go(builder.url, "batch", [event(event_id) for event_id in ids])
    assert status == 413, body
    assert not set(ids) & set(jobs_by_event(control_plane))
