"""Clients that say exactly what they are told to, many at a time."""

import asyncio
import contextlib
import json
import resource

from support.builder import example_event

PATIENCE_SECONDS = 60  # who waits longer has been left hanging


def allow_many_connections():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def patiently(answer):
    # Not asyncio.wait_for, which forgets a cancel that comes just as the answer does (Python 3.11).
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await answer


async def exchange(port, *pieces):
    """Sends the pieces, which may be iterators without an end, and reads until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, pieces))
    answer = b""
    try:
        with contextlib.suppress(ConnectionError):
            while piece := await patiently(reader.read(65536)):
                answer += piece
    finally:
        sending.cancel()
        writer.close()
        await asyncio.gather(sending, return_exceptions=True)
    return answer


async def _send(writer, pieces):
    for piece in pieces:
        for part in [piece] if isinstance(piece, bytes) else piece:
            writer.write(part)
            await writer.drain()


def status_of(answer):
    """0 for a connection that was closed without a word."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def request(body, headers="Content-Type: application/cloudevents+json\r\n", target="/"):
    body = body if isinstance(body, bytes) else body.encode()
    return f"POST {target} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class KeptAlive:
    """One well-behaved client. `retry_after_seconds` is what the last answer said, or 0."""

    @classmethod
    async def connect(cls, port):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, sent):
        self.writer.write(sent)
        return await patiently(self._answer())

    async def _answer(self):
        header = await self.reader.readuntil(b"\r\n\r\n")
        await self.reader.readexactly(_number_in(header, b"content-length:"))
        self.retry_after_seconds = _number_in(header, b"retry-after:")
        return status_of(header)

    def close(self):
        self.writer.close()


def _number_in(header, name):
    _, found, after = header.lower().partition(b"\r\n" + name)
    return int(after.split(b"\r\n")[0]) if found else 0


async def good_client(builder, prefix, until):
    """Sends one event after the other and looks at the probes, until `until` is done; returns all the statuses."""
    sink = await KeptAlive.connect(builder.port)
    admin = await KeptAlive.connect(builder.config["http"]["adminPort"])
    statuses, probes = [], []
    while not until.done():
        statuses.append(await sink.ask(request(example_event(f"{prefix}-{len(statuses)}"))))
        for path in ("/healthz", "/readyz"):
            probes.append(await admin.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()))
        await asyncio.sleep(0.02)  # one client's pace, not a test's wait
    sink.close()
    admin.close()
    return statuses, probes


def with_value(path, value, event_id="hostile"):
    """The documented event, sent directly, with one of its values replaced."""
    event = json.loads(example_event(event_id)) | {"source": "https://tenant.example/ci"}
    place = event
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    place[last] = value
    return event
