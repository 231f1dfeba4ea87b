"""Clients that send many events at once and keep book of every answer."""

import http.client
import itertools
import json
import threading

from support.builder import example_event

ANSWER_SECONDS = 60  # a client that waits longer has been left hanging


class Client:
    """One sender with one kept-alive connection."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def send(self, event_id):
        """Returns the status; 0 where there was no connection; raises what nobody may meet (a cut answer, a hang)."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
            try:
                self.connection.connect()
            except ConnectionRefusedError:
                self.close()
                return 0, {}
        headers = {"Content-Type": "application/cloudevents+json"}
        self.connection.request("POST", "/", example_event(event_id), headers)
        answer = self.connection.getresponse()
        body = json.loads(answer.read())
        if answer.will_close:
            self.close()
        return answer.status, body

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Load:
    """`clients` senders at once. Each takes the next event id and sends it; what becomes of it is in `answers`: a list
    of statuses by event id. Where `until_accepted`, an event is sent until it gets its 2xx, and the load ends after
    `count` events; else a client ends at its first answer that is no 2xx, and the load is without end.
    """

    def __init__(self, port, clients, prefix, count=None, until_accepted=False):
        self.port = port
        self.prefix = prefix
        self.until_accepted = until_accepted
        self.numbers = itertools.count() if count is None else iter(range(count))
        self.lock = threading.Lock()
        self.answers = {}
        self.trouble = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        client = Client(self.port)
        while (event_id := self.next_id()) and not self.stopping.is_set():
            if not self.send(client, event_id):
                return

    def next_id(self):
        with self.lock:
            number = next(self.numbers, None)
        return None if number is None else f"{self.prefix}-{number}"

    def send(self, client, event_id):
        """Whether this client goes on."""
        while not self.stopping.is_set():
            status = self.try_to_send(client, event_id)
            with self.lock:
                self.answers.setdefault(event_id, []).append(status)
            if 200 <= status < 300:
                return True
            if not self.until_accepted:
                return False
            self.stopping.wait(0.05)  # a sender's back-off, not a test's wait
        return False

    def try_to_send(self, client, event_id):
        try:
            return client.send(event_id)[0]
        except (OSError, http.client.HTTPException) as problem:
            client.close()
            with self.lock:
                self.trouble.append(f"{event_id}: {problem!r}")
            return -1

    def accepted(self):
        with self.lock:
            return {event_id for event_id, statuses in self.answers.items() if 200 <= statuses[-1] < 300}

    def count(self, status):
        with self.lock:
            return sum(statuses.count(status) for statuses in self.answers.values())

    def finish(self):
        """No further events; returns when all that were begun are accepted."""
        with self.lock:
            self.numbers = iter(())
        self.join()

    def join(self, seconds=120):
        for thread in self.threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a client hangs"

    def stop(self):
        self.stopping.set()
        self.join()
