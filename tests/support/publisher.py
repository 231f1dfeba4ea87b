"""Events into a queue, whatever becomes of RabbitMQ meanwhile."""

import json
import queue
import threading

import pika
import pika.exceptions
from support.queues import PERSISTENT
from support.waiting import wait_for

TROUBLE = (pika.exceptions.AMQPError, OSError)
RECONNECT_SECONDS = 0.2

# --- events as messages ---


def binary(event):
    """Its attributes as the `ce-` headers that Knative's source reads."""
    headers = {f"ce-{name}": event[name] for name in event.keys() - {"data", "datacontenttype"}}
    return persistent("application/json", headers), json.dumps(event["data"]).encode()


def structured(event):
    return persistent("application/cloudevents+json"), json.dumps(event).encode()


def persistent(content_type, headers=None):
    return pika.BasicProperties(content_type=content_type, delivery_mode=PERSISTENT, headers=headers)


class Publisher:
    """Publishes one message after the other, each until RabbitMQ has confirmed it, which may make it two."""

    def __init__(self, uri, queue_name):
        self.uri, self.queue_name = uri, queue_name
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
                self.connection = pika.BlockingConnection(pika.URLParameters(self.uri))
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
