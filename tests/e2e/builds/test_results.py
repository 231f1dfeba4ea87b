"""What a build's end brings: events to who asked for them, another attempt, and last the end of its Job."""

import json
import time

import jsonschema
import pytest
from support.builder import BUILDS, rabbitmq_settings
from support.builds import (
    COMPLETE,
    FAILED,
    STARTED,
    check_events,
    data_of,
    ended,
    event,
    follow,
    job,
    jobs,
    make_builder,
    metric,
    send,
    wait_for_outcome,
)
from support.job_queues import job_queue, redrive, remove
from support.knative import DataPlane
from support.knative_objects import broker, trigger, wait_until_ready
from support.operator_process import NAMESPACE, wait_for_condition
from support.queues import Broker
from support.result_sink import ResultSink
from support.testbed import REPOSITORY
from support.waiting import wait_for

EXTRAS = "knative"
DIGEST = "sha256:" + "5" * 64
SCHEMA = REPOSITORY / "docs" / "schemas" / "build-result.json"


@pytest.fixture(scope="module")
def valid():
    """Checks an event's data by the schema that the documentation has."""
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    return lambda received: validator.validate(data_of(received))


def parser_events(tenant, *ids):
    """All of the same parser, so that a newer one may take an older one's place."""
    return [event(event_id, tenant, parser="parser-0") for event_id in ids]


# --- who asked for them ---


def test_a_trigger_on_the_broker_gets_the_results_of_one_tenant(bed, valid):
    """Through Knative's own broker, whose trigger filters by type and by the tenant's id."""
    with ResultSink() as sink, DataPlane(bed) as plane:
        mine = trigger(NAMESPACE, "results", "results", COMPLETE, sink.url)
        mine["spec"]["filter"]["attributes"]["thirdpartyid"] = "tenant-mine"
        bed.apply(*broker(NAMESPACE, "results"), mine)
        wait_until_ready(bed, NAMESPACE, "broker/results", "trigger/results")
        ingress = ResultUrl(plane.ingress_url(NAMESPACE, "results"))
        pods = {"runs-for": "1s", "says": DIGEST}
        with ended(follow(bed, ingress), make_builder(bed, pods)) as (_operator, builder):
            names = send(builder, event("mine", "tenant-mine"), event("theirs", "tenant-theirs"))
            for name in names:
                wait_for_outcome(bed, name)
            sink.wait_for(len, 60, "the trigger brings it")
        received = sink.events()
        assert {(one.type, one.attribute("subject")) for one in received} == {(COMPLETE, names[0])}
        assert {one.attribute("thirdpartyid") for one in received} == {"tenant-mine"}
        valid(received[0])


class ResultUrl:
    """In place of a sink of ours."""

    def __init__(self, url):
        self.url = url


def test_each_kind_of_result_is_as_the_schema_says(bed, sink, valid):
    with ended(
        follow(bed, sink),
        make_builder(bed, {"runs-for": "1s", "says": DIGEST}),
        make_builder(bed, {"fails-with": "Error"}),
        make_builder(bed, {"runs-for": "1h"}),
    ) as (_operator, good, bad, slow):
        names = send(good, event("good", "tenant-schema")) + send(bad, event("bad", "tenant-schema"))
        names += send(slow, event("slow", "tenant-schema", build_timeout=5))
        found = {name: wait_for_outcome(bed, name) for name in names}
        assert [found[name].outcome for name in names] == ["complete", "failed", "timeout"]
        sink.wait_for(lambda events: len(events) >= 6, 30, "all are told")
    for received in sink.events():
        valid(received)
    check_events(sink, found)
    (complete,) = {one.data for one in sink.events(COMPLETE)}
    told = json.loads(complete)
    assert told["correlation_id"] == "correlation-of-good"
    assert told["third_party_id"] == "tenant-schema"
    assert told["digest"] == DIGEST


def test_a_job_stays_until_its_result_is_delivered(bed, sink):
    """Also for longer than it is to be kept."""
    kept_seconds = 5
    sink.answers(503)
    with ended(follow(bed, sink), make_builder(bed, {"says": DIGEST})) as (operator, builder):
        (name,) = send(builder, event("stays", "tenant-stays"))
        setting = f"lambda.notifi.network/ttl-after-finished={kept_seconds}"
        bed.kubectl("annotate", "job", name, "-n", BUILDS, "--overwrite", setting)
        end = wait_for(lambda: job(bed, name).end, 60, "the build is over")[2]
        wait_for(lambda: time.time() > end + 2 * kept_seconds, 60, "its time would be over")
        sink.wait_for_refusals(1)
        sink.down()
        assert job(bed, name).ttl is None, "its result is told to nobody yet"
        assert job(bed, name).outcome is None
        assert metric(operator, "operator_build_results_total", outcome="failed") > 0
        sink.up()
        sink.answers(202)
        sink.wait_for(lambda events: any(one.type == COMPLETE for one in events), 90, "it is delivered")
        wait_for(lambda: job(bed, name) is None, 60, "the Job goes")


def test_a_sink_that_hangs_holds_up_nobody_for_good(bed, sink):
    sink.hangs()
    with ended(follow(bed, sink, results={"timeout": "1s"}), make_builder(bed)) as (_operator, builder):
        (name,) = send(builder, event("hangs", "tenant-hangs"))
        sink.wait_for_refusals(2)
        sink.answers(202)
        check_events(sink, {name: wait_for_outcome(bed, name)}, missing_start={name})


def test_what_nobody_takes_is_given_up(bed, sink):
    sink.answers(503)
    with ended(follow(bed, sink, results={"giveUpAfter": "5s"}), make_builder(bed)) as (operator, builder):
        (name,) = send(builder, event("given-up", "tenant-given-up"))
        assert wait_for_outcome(bed, name).ttl is not None
        assert metric(operator, "operator_build_results_total", outcome="given_up") > 0


# --- another attempt ---


def test_a_failed_build_is_dead_lettered_and_redriven_as_another_job(bed, sink):
    """Stage `build`: from the event on the Job's annotation to the dead-letter queue, and back."""
    rabbitmq, name = Broker(bed), "again"
    letters = {"exchange": f"{name}.dlx", "routingKey": f"{name}.dlq", "queue": f"{name}.dlq"}
    settings = {"deadLetter": {"enabled": True, "uri": rabbitmq.uri, **letters}}
    consumes = {
        "intake": {"amqp": {"enabled": True}},
        "rabbitmq": rabbitmq_settings(rabbitmq.uri, name, f"{name}.dlq") | {"deadLetter": letters},
    }
    with ended(follow(bed, sink, **settings)) as operator:
        bed.apply(job_queue(bed, name, path="amqp"))
        wait_for_condition(bed, name, "Ready", "True", seconds=60)
        with ended(make_builder(bed, {"fails-with": "Error"}, sections=consumes)) as builder:
            (first,) = send(builder, event("again", "tenant-again"))
            assert wait_for_outcome(bed, first).outcome == "failed"
            wait_for(lambda: rabbitmq.depth(letters["queue"]) == 1, 60, "its event is a dead letter")
            assert metric(operator, "operator_build_dead_letters_total") >= 1
        with ended(make_builder(bed, {"says": DIGEST}, sections=consumes)):
            bed.apply(redrive("once-more", name))
            wait_for_condition(bed, "once-more", "Complete", "True", kind="deadletterredrive")
            wait_for(lambda: len(jobs(bed, "tenant-again")) == 2, 60, "there is another Job")
            (second,) = jobs(bed, "tenant-again").keys() - {first}
            assert wait_for_outcome(bed, second).outcome == "complete"
            assert job(bed, second).annotation("attempt") == "1"
        assert rabbitmq.depth(letters["queue"]) == 0
        remove(bed, name)


def test_a_build_that_ran_out_of_memory_is_tried_once_more_with_more(bed, sink):
    with ended(follow(bed, sink), make_builder(bed, {"fails-with": "OOMKilled"}, oomRetry={"memory": "8Gi"})) as (
        _operator,
        builder,
    ):
        (first,) = send(builder, event("oom", "tenant-oom"))
        assert wait_for_outcome(bed, first).result["class"] == "oom"
        wait_for(lambda: len(jobs(bed, "tenant-oom")) == 2, 60, "there is another Job")
        (second,) = jobs(bed, "tenant-oom").keys() - {first}
        found = wait_for_outcome(bed, second)
    container = found.object["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["memory"] == "8Gi"
    assert (found.annotation("attempt"), found.annotation("event-id")) == ("1", "oom")
    assert found.outcome == "failed"
    assert jobs(bed, "tenant-oom").keys() == {first, second}, "once, and not again"


def test_a_newer_build_takes_the_place_of_an_older_one(bed, sink):
    with ended(follow(bed, sink), make_builder(bed, {"runs-for": "1h"}, onNewer="cancel")) as (_operator, builder):
        older, newer = parser_events("tenant-newer", "older", "newer")
        (first,) = send(builder, older)
        sink.wait_for(lambda events: any(one.type == STARTED for one in events), 60, "the older runs")
        (second,) = send(builder, newer)
        found = wait_for_outcome(bed, first)
        assert found.outcome == "superseded"
        check_events(sink, {first: found})
        assert [data_of(one)["outcome"] for one in sink.events(FAILED)][:1] == ["superseded"]
        assert job(bed, second).runs, "the newer one goes on"
        bed.kubectl("delete", "job", second, "-n", BUILDS)
