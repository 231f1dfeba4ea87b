"""Events through the real RabbitMQ, with the real Knative or without, while what the builder needs comes and
goes.

Each case publishes events, some of them poison, and meanwhile kills builders with -9 five times, restarts the
API server twice and RabbitMQ once. In the end every valid event has one Job, every poison one a dead letter,
and none is lost. 800 events a case, or as many as LAMBDA_CHAOS_EVENTS says:

    LAMBDA_CHAOS_EVENTS=5000 .venv/bin/python3 -m pytest -s tests/e2e/test_chaos.py
"""

import contextlib
import itertools
import os
import time

import pytest
from support.builder import Builder, rabbitmq_settings
from support.knative import DataPlane, management, queue_depth
from support.knative_objects import broker, source, topology_queue, trigger, wait_until_ready
from support.ledger import Ledger, events
from support.publisher import Publisher, binary, structured
from support.queues import Broker
from support.testbed import TestBed
from support.waiting import wait_for

EVENTS = int(os.environ.get("LAMBDA_CHAOS_EVENTS", "800"))
EVENT_TYPE = "network.notifi.lambda.job.start"
# Linear: 0.2 s, 0.4 s, ... that is six minutes in all.
RETRIES = {"retry": 60, "backoffPolicy": "linear", "backoffDelay": "PT0.2S"}


@pytest.fixture(scope="module")
def bed():
    bed = TestBed(f"t{os.getpid()}-chaos")
    bed.up("knative")
    yield bed
    bed.down()


class Scene:
    """One case: its queues, its builders, and what happens to them."""

    def __init__(self, bed, name):
        self.bed, self.name = bed, name
        self.broker = Broker(bed)
        self.queue, self.dead_letter_queue = f"{name}-jobs", f"{name}-dead"
        self.builders = []
        bed.kubectl("create", "namespace", name)
        dead = self.dead_letter_queue
        never_dropped = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
        self.broker.declare(dead, never_dropped, exchange="dlx", routing_key=dead)

    def start_builders(self, count, by_amqp):
        for _ in range(count):
            builder = Builder(
                self.bed,
                # Shorter than the API server is away: senders are told to come back.
                http={"requestTimeout": "3s"},
                # Few workers, so that events pile up, and each trouble finds some in flight.
                asyncJobCreator={"workerCount": 2},
                intake={"amqp": {"enabled": by_amqp, "prefetch": 50}},
                rabbitmq=rabbitmq_settings(self.broker.uri, self.queue, self.dead_letter_queue),
                # Suspended: pods, even of a node that pretends, would take most of the machine's time.
                build={"namespace": self.name, "admission": "operator"},
            )
            self.builders.append(builder)

    def make_knative_objects(self):
        """The queue, a source, a broker, and for each builder a trigger of its own: it gets all events."""
        triggers = [
            trigger(self.name, f"replica-{number}", "chaos", EVENT_TYPE, url, RETRIES, parallelism=100)
            for number, url in enumerate(builder.url for builder in self.builders)
        ]
        self.bed.apply(
            topology_queue(self.name, self.queue),
            *broker(self.name, "chaos"),
            *triggers,
            source(self.name, "chaos", "chaos", self.queue, RETRIES, parallelism=100),
        )
        names = [f"queue.rabbitmq.com/{self.queue}", "broker/chaos", "rabbitmqsource/chaos"]
        names += [f"trigger/{made['metadata']['name']}" for made in triggers]
        wait_until_ready(self.bed, self.name, *names)

    # --- what is seen of it ---

    def stats(self):
        return [builder.stats() for builder in self.builders]

    def wait_for_events_in_flight(self):
        wait_for(
            lambda: any(stats["queue_size"] + stats["active"] > 0 for stats in self.stats()),
            60, "events are in flight", poll_seconds=0.01,
        )  # fmt: skip

    def wait_until_nothing_is_left(self):
        """Of deliveries that come again, which might build again."""
        queues = [found["name"] for found in management(self.bed, "/queues")]
        ours = [name for name in queues if name == self.queue or name.startswith(f"{self.name}.")]
        assert ours
        wait_for(lambda: all(queue_depth(self.bed, name) == 0 for name in ours), 120, "the queues are empty")

    def outcomes(self, outcome):
        return sum(builder.log().count(f'"outcome":"{outcome}"') for builder in self.builders)

    # --- what happens ---

    @contextlib.contextmanager
    def killed(self, index):
        self.builders[index].kill()
        yield
        self.builders[index].start()

    @contextlib.contextmanager
    def api_server_away(self):
        self.bed.run("stop", "apiserver", "--hard")
        yield
        wait_for(
            lambda: any(stats["breaker"] != "closed" for stats in self.stats()), 60, "a builder has found out"
        )
        self.bed.run("start", "apiserver")

    @contextlib.contextmanager
    def api_server_away_and_killed(self, index):
        with self.api_server_away():
            yield
            with self.killed(index):
                pass

    @contextlib.contextmanager
    def rabbitmq_away(self):
        # What was declared in the last seconds would be forgotten by a broker that is killed.
        self.broker.control("eval", "mnesia:sync_log().")
        self.bed.run("stop", "rabbitmq", "--hard")
        yield
        self.bed.run("start", "rabbitmq")

    def take_the_source_through_a_restart_of_rabbitmq(self, publisher):
        """While RabbitMQ is away, the broker's ingress answers 500, for which Knative's source rejects a
        message, and it is gone. So its queue is empty when RabbitMQ goes, and the API server is away to keep
        the events behind it in flight."""
        publisher.wait()
        wait_for(lambda: self.broker.unfinished(self.queue) == 0, 60, "the source has passed all on")
        with self.rabbitmq_away():
            pass

    def end(self):
        for builder in self.builders:
            if builder.process.poll() is None:
                builder.kill()


def messages(sent):
    """In both of the modes that are understood."""
    ways = itertools.cycle((binary, structured))
    return [way(event) for way, (event, _field) in zip(ways, sent, strict=False)]


def halves(items, pairs):
    """Cut into `pairs` pairs of equal lists."""
    bounds = [len(items) * index // (2 * pairs) for index in range(2 * pairs + 1)]
    parts = [items[first:last] for first, last in itertools.pairwise(bounds)]
    return zip(parts[::2], parts[1::2], strict=True)


def go_through(scene, publisher, troubles, sent):
    """Each trouble comes while events are in flight, and finds more of them coming."""
    for trouble, (before, during) in zip(troubles, halves(messages(sent), len(troubles)), strict=True):
        publisher.put(before)
        scene.wait_for_events_in_flight()
        with trouble:
            publisher.put(during)
    publisher.wait()


def report(scene, found, began):
    words = found | {
        "duplicates_answered": scene.outcomes("duplicate"),
        "told_to_come_back": scene.outcomes("unavailable"),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(f"\n{scene.name}: " + ", ".join(f"{name} {value}" for name, value in words.items()))


def survive(scene, make_troubles):
    began = time.monotonic()
    sent = list(events(scene.name, EVENTS))
    fields = {event["id"]: field for event, field in sent}
    ledger = Ledger(scene.broker, scene.name, scene.dead_letter_queue, fields)
    with Publisher(scene.broker.uri, scene.queue) as publisher:
        go_through(scene, publisher, make_troubles(publisher), sent)
    ledger.wait_until_all_is_somewhere(120 + EVENTS / 10)
    scene.wait_until_nothing_is_left()
    report(scene, ledger.check(), began)


@contextlib.contextmanager
def api_server_and_rabbitmq_away(scene, publisher):
    with scene.api_server_away():
        yield
        scene.take_the_source_through_a_restart_of_rabbitmq(publisher)


@pytest.fixture(scope="module")
def knative_scenes(bed):
    """By their number of replicas; all made before the first trouble: after an outage Knative's controllers
    take up to a minute until they make something new."""
    scenes = {replicas: Scene(bed, f"knative-{replicas}") for replicas in (1, 2)}
    try:
        with DataPlane(bed):
            for replicas, scene in scenes.items():
                scene.start_builders(replicas, by_amqp=False)
                scene.make_knative_objects()
            yield scenes
    finally:
        for scene in scenes.values():
            scene.end()


@pytest.mark.parametrize("replicas", [1, 2])
def test_knative_chaos_loses_none_and_builds_none_twice(knative_scenes, replicas):
    """With two replicas both get every event, each by a dispatcher of its own."""
    scene = knative_scenes[replicas]
    survive(
        scene,
        lambda publisher: [
            scene.killed(0),
            scene.api_server_away_and_killed(-1),
            scene.killed(-1),
            api_server_and_rabbitmq_away(scene, publisher),
            scene.killed(0),
            scene.killed(-1),
        ],
    )


@pytest.mark.parametrize("replicas", [1, 2])
def test_chaos_by_amqp_loses_none_and_builds_none_twice(bed, replicas):
    scene = Scene(bed, f"amqp-{replicas}")
    try:
        scene.broker.declare(scene.queue, {"x-queue-type": "quorum"})
        scene.start_builders(replicas, by_amqp=True)
        survive(
            scene,
            lambda _publisher: [
                scene.killed(0),
                scene.api_server_away(),
                scene.killed(-1),
                scene.rabbitmq_away(),
                scene.killed(0),
                scene.api_server_away_and_killed(-1),
                scene.killed(-1),
            ],
        )
    finally:
        scene.end()
