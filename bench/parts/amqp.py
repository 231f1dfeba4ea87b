"""The load by AMQP: a queue that is filled before the builder consumes it, and a queue that is kept almost empty."""

import os
import re
import time

import pika
import requests

from . import events
from .builder import QUEUE
from .children import wait_until
from .plane import JOBS
from .problem import Problem

FASTEST_PER_SECOND = 3000  # nothing here creates Jobs faster; so many are published for each second
START_SECONDS = 30
EVENT_ID = re.compile(rb'"lambda\.notifi\.network/event-id":"bench-([0-9a-f]{32})"')
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PROPERTIES = pika.BasicProperties(
    content_type="application/cloudevents+json; charset=utf-8", delivery_mode=pika.DeliveryMode.Persistent
)


def enough_for(seconds):
    return FASTEST_PER_SECOND * max(1, seconds)


class Queue:
    """`with Queue(url) as queue`: a durable quorum queue of its own, gone after."""

    def __init__(self, url):
        parameters = pika.URLParameters(url)
        parameters.heartbeat = 0  # nobody reads this connection while a measurement lasts
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.published = 0
        self.removed = 0

    def __enter__(self):
        self.channel.queue_delete(QUEUE)  # a run that was killed may have left it
        self.channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        return self

    def __exit__(self, *_):
        if self.channel.is_open:
            self.channel.queue_delete(QUEUE)
        self.connection.close()

    def publish(self):
        """Returns the event's unique word."""
        unique = os.urandom(16).hex()
        self.channel.basic_publish("", QUEUE, events.event(unique), PROPERTIES)
        self.published += 1
        return unique

    def fill(self, count):
        for _ in range(count):
            self.publish()
        wait_until(lambda: self._ready() == count, 60, f"{count} events are in the queue")

    def _ready(self):
        return self.channel.queue_declare(QUEUE, passive=True).method.message_count

    def empty(self):
        """Takes away what the builder has not taken."""
        self.removed += self.channel.queue_purge(QUEUE).method.message_count

    def taken(self):
        """How many events are to have a Job."""
        return self.published - self.removed

    def require_rest(self):
        """Otherwise the builder was idle while its Jobs were counted."""
        if not self._ready():
            raise Problem("amqp: the queue ran empty")

    def require_empty(self):
        """Once the builder has gone: what it had not acknowledged would be back."""
        if self._ready():
            raise Problem(f"amqp: {self._ready()} events came back to the queue, though all had become Jobs")


# --- the drain of a full queue ---


def wait_for_jobs(builder):
    builder.wait_until(lambda: builder.created() > 0, START_SECONDS, "it creates Jobs from the queue")


def measure_drain(builder, seconds):
    """How many Jobs were created, and in how many seconds."""
    first, began = builder.created(), time.monotonic()
    time.sleep(seconds)
    last, ended = builder.created(), time.monotonic()
    time.sleep(0.1)
    if last == first or builder.created() == last:
        raise Problem(f"amqp: the builder was idle: {last - first} Jobs in {seconds} s, then none")
    return last - first, ended - began


# --- the time from publishing to the Job ---


def measure_times(plane, queue, under_way, seconds):
    """p50 and p99 in seconds, while so many events are under way: for each Job that a watch shows, the next event is
    published.
    """
    start = plane.get(JOBS, limit=1).json()["metadata"]["resourceVersion"]
    with requests.get(
        plane.url + JOBS,
        params={"watch": "1", "resourceVersion": start},
        headers={"Authorization": f"Bearer {plane.token}", "Accept": METADATA_ONLY},
        verify=plane.authority, timeout=START_SECONDS, stream=True,
    ) as watch:  # fmt: skip
        return _percentiles(_follow(watch, queue, under_way, seconds))


def _follow(watch, queue, under_way, seconds):
    published = {queue.publish(): time.monotonic() for _ in range(under_way)}
    end = time.monotonic() + seconds
    found = []
    for line in watch.iter_lines(chunk_size=None):
        seen = EVENT_ID.search(line)
        if not seen or seen[1].decode() not in published:
            continue
        now = time.monotonic()
        found.append(now - published.pop(seen[1].decode()))
        if now < end:
            published[queue.publish()] = time.monotonic()
        if not published:
            return found
    raise Problem("amqp: the watch of the Jobs ended early")


def _percentiles(found):
    found.sort()
    return found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]
