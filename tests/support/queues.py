"""The test bed's RabbitMQ: queues with what belongs to them, messages in and out."""

import contextlib
import subprocess

import pika
from support.waiting import wait_for

PERSISTENT = 2
PREFETCH = 500
SILENCE_SECONDS = 5  # then there is no more, whatever was counted


class Broker:
    """A connection for each call, so that a restart of the broker in between is nobody's concern."""

    def __init__(self, bed):
        self.bed = bed
        self.uri = bed.environment()["AMQP_URL"]

    @contextlib.contextmanager
    def channel(self):
        connection = pika.BlockingConnection(pika.URLParameters(self.uri))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def declare(self, queue, arguments=None, exchange=None, routing_key=None):
        """A durable queue; with `exchange`, that direct exchange too, bound by `routing_key`."""
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True, arguments=arguments or {})
            if exchange is not None:
                channel.exchange_declare(exchange, durable=True)
                channel.queue_bind(queue, exchange, routing_key)

    def delete(self, *queues):
        with self.channel() as channel:
            for queue in queues:
                channel.queue_delete(queue)

    def publish(self, queue, *messages):
        """Each a pair of body and pika.BasicProperties; returns when the broker has confirmed them all."""
        with self.channel() as channel:
            channel.confirm_delivery()
            for body, properties in messages:
                properties.delivery_mode = PERSISTENT
                channel.basic_publish("", queue, body, properties, mandatory=True)

    def depth(self, queue):
        """Messages that are ready: not those which a consumer has."""
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.message_count

    def take_all(self, queue):
        """Takes what is ready out of the queue; each a pair of properties and body."""
        taken = []
        with self.channel() as channel:
            count = channel.queue_declare(queue, passive=True).method.message_count
            channel.basic_qos(prefetch_count=PREFETCH)
            while len(taken) < count:
                method, properties, body = next(channel.consume(queue, inactivity_timeout=SILENCE_SECONDS))
                if method is None:
                    break
                channel.basic_ack(method.delivery_tag)
                taken.append((properties, body))
            channel.cancel()
        return taken

    def take(self, queue, count):
        """Waits for so many messages and takes them out; each a pair of properties and body."""
        taken = []
        with self.channel() as channel:

            def take_next():
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is not None:
                    taken.append((properties, body))
                return len(taken) == count

            wait_for(take_next, 30, f"{count} messages in {queue}")
        return taken

    # --- as an administrator ---

    def control(self, *words):
        """What rabbitmqctl prints."""
        return subprocess.run(
            ["rabbitmqctl", "--quiet", *words], env=self.bed.environment(),
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip

    def unfinished(self, queue):
        """Messages of a classic queue that wait or are with a consumer, as it is now."""
        rows = self.control("list_queues", "--no-table-headers", "name", "messages").splitlines()
        return int(dict(row.split("\t") for row in rows)[queue])
