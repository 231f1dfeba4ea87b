"""RabbitMQ as those who publish events use it, and those who look after dead letters."""

import json
import queue
import subprocess
import threading

import pika
import pika.exceptions
from support.waiting import wait_for

TROUBLE = (pika.exceptions.AMQPError, OSError)
RECONNECT_SECONDS = 0.2


def connect(url):
    return pika.BlockingConnection(pika.URLParameters(url))


def declare(url, name, **arguments):
    """A durable queue; arguments with `_` for `-`, as x_overflow."""
    with connect(url) as connection:
        named = {key.replace("_", "-"): value for key, value in arguments.items()}
        connection.channel().queue_declare(name, durable=True, arguments=named)


def declare_dead_letters(url, exchange, name):
    """As the operations manual wants them: never dropped."""
    declare(url, name, x_queue_type="quorum", x_overflow="reject-publish")
    with connect(url) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange, "direct", durable=True)
        channel.queue_bind(name, exchange, routing_key=name)


def take_all(url, name):
    """Takes what is in the queue out of it: a list of (properties, body)."""
    taken = []
    with connect(url) as connection:
        channel = connection.channel()
        while (found := channel.basic_get(name, auto_ack=True))[0]:
            taken.append(found[1:])
    return taken


def control(bed, *words):
    """What rabbitmqctl prints."""
    return subprocess.run(
        ["rabbitmqctl", "--quiet", *words], env=bed.environment(),
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip


def unfinished(bed, name):
    """Messages of a classic queue that wait or are with a consumer, as it is now."""
    rows = control(bed, "list_queues", "--no-table-headers", "name", "messages").splitlines()
    return int(dict(row.split("\t") for row in rows)[name])


# --- events as messages ---


def binary(event):
    """Its attributes as the `ce-` headers that Knative's source reads."""
    headers = {f"ce-{name}": event[name] for name in event.keys() - {"data", "datacontenttype"}}
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, headers=headers)
    return properties, json.dumps(event["data"]).encode()


def structured(event):
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    return properties, json.dumps(event).encode()


class Publisher:
    """Publishes one message after the other, each until RabbitMQ has confirmed it, which may make it two."""

    def __init__(self, url, queue_name):
        self.url, self.queue_name = url, queue_name
        self.inbox = queue.Queue()
        self.left = 0
        self.lock = threading.Lock()
        self.connection = self.channel = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.ending.set()
        self.inbox.put(None)
        self.thread.join()

    def put(self, messages):
        for message in messages:
            with self.lock:
                self.left += 1
            self.inbox.put(message)

    def wait(self, seconds=120):
        """Until all is confirmed."""
        wait_for(lambda: self.left == 0, seconds, "RabbitMQ has confirmed all messages")

    def _run(self):
        while message := self.inbox.get():
            while not self._try_to_publish(*message):
                if self.ending.wait(RECONNECT_SECONDS):
                    return
            with self.lock:
                self.left -= 1
        self._disconnect()

    def _try_to_publish(self, properties, body):
        try:
            if self.channel is None:
                self.connection = connect(self.url)
                self.channel = self.connection.channel()
                self.channel.confirm_delivery()
            self.channel.basic_publish("", self.queue_name, body, properties, mandatory=True)
            return True
        except TROUBLE:
            self._disconnect()
            return False

    def _disconnect(self):
        connection, self.connection, self.channel = self.connection, None, None
        try:
            if connection:
                connection.close()
        except TROUBLE:
            pass
