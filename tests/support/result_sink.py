"""A sink for result events on a real socket, that can be told to fail in each way a sink fails."""

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.waiting import wait_for

HANG_SECONDS = 600  # longer than any sender waits; ends with the sink


@dataclass(frozen=True)
class Received:
    """One CloudEvent in binary mode."""

    id: str
    type: str
    data: bytes
    headers: dict = field(repr=False)  # with small letters
    seconds: float = field(repr=False)  # on the monotonic clock

    def attribute(self, name):
        return self.headers.get(f"ce-{name}")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256  # a connection that is refused in a burst would be the test's fault


class ResultSink:
    """Keeps what it answered 202. Use it in a `with`; its `url` stays the same while it is down."""

    def __init__(self, address="127.0.0.1"):
        self.address, self.port = address, 0
        self.lock = threading.Lock()
        self.received = []
        self.refused = 0  # answered with an error, or not at all
        self.unexpected = []  # what is no event in binary mode
        self.status = 202
        self.hanging = False
        self.closing = threading.Event()
        self.server = None

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_exception):
        self.closing.set()
        self.down()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}/results"

    # --- how it is ---

    def up(self):
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                sink.serve(self)

            def log_message(self, *_words):
                pass

        self.server = Server((self.address, self.port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def down(self):
        """Nobody listens, until it is up again. Connections that were open end with their next request."""
        server, self.server = self.server, None
        if server:
            server.shutdown()
            server.server_close()
            self.thread.join()

    def answers(self, status):
        self.status, self.hanging = status, False

    def hangs(self):
        """It takes requests and answers none."""
        self.hanging = True

    # --- what it got ---

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self.hanging:
            self.count_refused()
            self.closing.wait(HANG_SECONDS)
            request.close_connection = True
            return
        status = self.status if self.server else None
        if status is None or status >= 300:
            self.count_refused()
        else:
            self.keep(headers, body)
        request.close_connection = status is None
        if status is not None:
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()

    def count_refused(self):
        with self.lock:
            self.refused += 1

    def keep(self, headers, body):
        with self.lock:
            if headers.get("ce-specversion") != "1.0" or "ce-id" not in headers:
                self.unexpected.append((headers, body))
                return
            event = Received(headers["ce-id"], headers.get("ce-type", ""), body, headers, time.monotonic())
            self.received.append(event)

    def events(self, event_type=None):
        """As they came; some may have come more than once."""
        with self.lock:
            return [event for event in self.received if event_type in (None, event.type)]

    def by_subject(self):
        """The events of each build: {name of the Job: {type: set of ids}}."""
        found = {}
        for event in self.events():
            found.setdefault(event.attribute("subject"), {}).setdefault(event.type, set()).add(event.id)
        return found

    def wait_for(self, condition, seconds, what):
        """Until the condition, which is given the events so far, is true; returns its value."""
        return wait_for(lambda: condition(self.events()), seconds, what)

    def wait_for_refusals(self, count, seconds=60):
        """Until so many more requests than now went unanswered or were answered with an error."""
        goal = self.refused + count
        wait_for(lambda: self.refused >= goal, seconds, f"{count} requests meet the trouble of the sink")
