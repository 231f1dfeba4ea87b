"""Senders that mean harm: each gets its 4xx or a closed connection, and nobody else notices."""

import asyncio
import itertools
import json
import socket

import pytest
from support import raw_http
from support.builder import Builder, example_event
from support.imposter import Imposter
from support.raw_http import exchange, good_client, request, status_of, with_value

MOST_MEMORY_MB = 100
SLOW_CLIENTS = 1000
STRUCTURED = "Content-Type: application/cloudevents+json\r\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def builder(control_plane):
    """One for all: what an attack leaves behind is there for the next."""
    raw_http.allow_many_connections()
    running = Builder(control_plane, http={"adminPort": free_port()})
    yield running
    assert_well(running)
    assert running.terminate() == 0


def peak_megabytes(builder):
    with open(f"/proc/{builder.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def assert_well(builder):
    assert builder.process.poll() is None, builder.log()[-2000:]
    assert peak_megabytes(builder) < MOST_MEMORY_MB
    lines = builder.log_file.read_bytes().split(b"\n")[:-1]
    for line in lines:
        json.loads(line)
        assert not any(byte < 32 or byte == 127 for byte in line), line


def attacked(builder, prefix, *attackers):
    """Runs the attackers beside a good client, who gets a 202 for every event, as the probes get their 200."""

    async def run():
        attack = asyncio.gather(*attackers)
        answers, (statuses, probes) = await asyncio.gather(attack, good_client(builder, prefix, attack))
        assert set(statuses) == {202}
        assert set(probes) == {200}
        return [status_of(answer) for answer in answers], len(statuses)

    found = asyncio.run(run())
    assert_well(builder)
    return found


# --- too much, too slow ---


def drip(interval_seconds=0.5):
    """A header that never ends, byte by byte."""

    async def send(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nX-Slow: ")
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b"x")
            await asyncio.wait([answer], timeout=interval_seconds)
        writer.close()
        return answer.result()

    return send


def test_1000_slowloris_connections(builder):
    statuses, served = attacked(builder, "slowloris", *(drip()(builder.port) for _ in range(SLOW_CLIENTS)))
    assert set(statuses) == {408}
    assert served >= 10


def test_1000_bodies_that_stall_are_held_up_to_a_bound(builder):
    """Beyond it a large request is told to come back; a small one is served."""
    stall = f"POST / HTTP/1.1\r\nHost: h\r\n{STRUCTURED}Content-Length: 1000000\r\n\r\n".encode()
    attackers = (exchange(builder.port, stall, b"x" * 900_000) for _ in range(SLOW_CLIENTS))
    statuses, served = attacked(builder, "stall", *attackers)
    assert set(statuses) <= {408, 503, 0}, "0: it sent more than is read on after an answer"
    assert statuses.count(408) >= 40, "48 MiB are held"
    assert statuses.count(503) >= 100
    assert served >= 10


def test_lengths_and_headers_without_measure(builder):
    """Each client sends on without an end. The reset that this brings may overtake the answer: 0."""
    post = f"POST / HTTP/1.1\r\nHost: h\r\n{STRUCTURED}".encode()
    mega = b"x" * 1_000_000
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    attacks = {
        "10 GB declared": [413, post + b"Content-Length: 10737418240\r\n\r\n", mega],
        "one header of 10 GB": [431, post + b"X: ", mega],
        "headers without an end": [431, post, b"X: y\r\n" * 10_000],
        "chunks without an end": [413, post + b"Transfer-Encoding: chunked\r\n\r\n", chunk],
        "a chunk's extension without an end": [400, post + b"Transfer-Encoding: chunked\r\n\r\n1;", mega],
    }
    attackers = (exchange(builder.port, begin, itertools.repeat(more, 10_000)) for _, begin, more in attacks.values())
    statuses, _ = attacked(builder, "endless", *attackers)
    for status, (name, (expected, *_)) in zip(statuses, attacks.items(), strict=True):
        assert status in (expected, 0), name


def test_what_is_too_large_is_told_so(builder):
    post = f"POST / HTTP/1.1\r\nHost: h\r\n{STRUCTURED}".encode()
    statuses, _ = attacked(
        builder,
        "large",
        exchange(builder.port, post + b"Content-Length: 10737418240\r\n\r\n"),
        exchange(builder.port, post + b"X: ", b"x" * 100_000),
        exchange(builder.port, post, b"X: y\r\n" * 2_000, b"\r\n"),
        exchange(builder.port, post, b"X: y\r\n" * 200, b"\r\n"),
        exchange(builder.port, post + b"Transfer-Encoding: chunked\r\n\r\n", (b"2710\r\n" + b"x" * 10_000 + b"\r\n") * 105),
        exchange(builder.port, post + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 100_000),
    )
    assert statuses == [413, 431, 431, 431, 413, 400]


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_json_nested_100_000_deep(builder, opening, closing):
    nested = opening * 100_000 + "1" + closing * 100_000
    event = json.dumps(with_value("data.parameters.environment", "NESTED")).replace('"NESTED"', nested)
    for body in (nested, event):
        answer = asyncio.run(exchange(builder.port, request(body, STRUCTURED + "Connection: close\r\n")))
        assert status_of(answer) == 400, answer
    assert_well(builder)


def test_a_new_client_after_each_answer_costs_nothing(builder):
    """Opened and left at once, 5 000 times."""

    async def come_and_go():
        for _ in range(50):
            for _, writer in await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", builder.port) for _ in range(100))
            ):
                writer.write(b"POST / HTTP/1.1\r\nContent-Le")
                writer.close()
        return b""

    attacked(builder, "leave", come_and_go())


# --- two readings of one request ---

SMUGGLED = request(example_event("smuggled"))
EVENT = example_event("carrier").encode()
LENGTH = len(EVENT)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (LENGTH, EVENT)
SHAPES = {
    "TE and CL": (f"Transfer-Encoding: chunked\r\nContent-Length: {LENGTH}\r\n", CHUNKS),
    "CL and TE": (f"Content-Length: {LENGTH}\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
    "two CL that differ": (f"Content-Length: {LENGTH}\r\nContent-Length: 0\r\n", EVENT),
    "two CL that agree": (f"Content-Length: {LENGTH}\r\n" * 2, EVENT),
    "CL with +": (f"Content-Length: +{LENGTH}\r\n", EVENT),
    "CL with -": (f"Content-Length: -{LENGTH}\r\n", EVENT),
    "CL with a space": (f"Content-Length: {LENGTH} 0\r\n", EVENT),
    "CL with a comma": (f"Content-Length: {LENGTH}, {LENGTH}\r\n", EVENT),
    "CL in hexadecimal": (f"Content-Length: {LENGTH:#x}\r\n", EVENT),
    "CL beyond 64 bits": (f"Content-Length: {2**64 + LENGTH}\r\n", EVENT),
    "TE: xchunked": ("Transfer-Encoding: xchunked\r\n", CHUNKS),
    "TE: chunked, identity": ("Transfer-Encoding: chunked, identity\r\n", CHUNKS),
    "TE: gzip, chunked": ("Transfer-Encoding: gzip, chunked\r\n", CHUNKS),
    "two TE": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", CHUNKS),
    "folded TE": ("Transfer-Encoding:\r\n chunked\r\n", CHUNKS),
    "folded line": (f"X: y\r\n z: 1\r\nContent-Length: {LENGTH}\r\n", EVENT),
    "bare LF": (f"X: y\nContent-Length: {LENGTH}\r\n", EVENT),
    "bare CR": (f"X: y\rContent-Length: {LENGTH}\r\n", EVENT),
    "space before the colon": (f"Content-Length : {LENGTH}\r\n", EVENT),
    "NUL in a header": (f"X: \0\r\nContent-Length: {LENGTH}\r\n", EVENT),
    "control character in a header": (f"ce-id: \x1b[31m\r\nContent-Length: {LENGTH}\r\n", EVENT),
    "two hosts": (f"Host: other\r\nContent-Length: {LENGTH}\r\n", EVENT),
    "chunk size beyond 64 bits": (
        "Transfer-Encoding: chunked\r\n",
        b"1%016x\r\n%s\r\n0\r\n\r\n" % (LENGTH, EVENT),
    ),
    "chunk size negative": ("Transfer-Encoding: chunked\r\n", b"-1\r\n" + CHUNKS),
    "chunk longer than its size": (
        "Transfer-Encoding: chunked\r\n",
        b"%x\r\n%s\r\n0\r\n\r\n" % (LENGTH - 1, EVENT),
    ),
}
FIRST_LINES = {
    "HTTP/0.9": b"POST /\r\n",
    "HTTP/1.1 with spaces": b"POST  / HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 3": b"POST / HTTP/3.0\r\nHost: h\r\n\r\n",
    "LF only": b"POST / HTTP/1.1\nHost: h\n\n",
    "no host": b"POST / HTTP/1.1\r\n\r\n",
    "TLS": bytes.fromhex("16030100c5010000c10303") + b"\r\n\r\n",
}


def assert_refused(builder, sent):
    answer = asyncio.run(exchange(builder.port, sent + SMUGGLED))
    assert status_of(answer) == 400, answer
    assert answer.count(b"HTTP/1.1 4") == 1
    assert b"HTTP/1.1 2" not in answer, "what followed was taken for a request"
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_request_that_two_readers_could_read_differently_is_refused(builder, shape):
    headers, body = SHAPES[shape]
    assert_refused(builder, f"POST / HTTP/1.1\r\nHost: h\r\n{STRUCTURED}{headers}\r\n".encode() + body)


@pytest.mark.parametrize("line", FIRST_LINES)
def test_what_is_not_http_1_is_refused(builder, line):
    assert_refused(builder, FIRST_LINES[line])


def test_the_absolute_form_is_served(builder):
    """RFC 9112, 3.2.2 asks for it."""
    sent = request(example_event("absolute"), STRUCTURED + "Connection: close\r\n", "http://builder.example/events")
    assert status_of(asyncio.run(exchange(builder.port, sent))) == 202


def test_pipelined_requests_are_answered_each(builder):
    last = request(example_event("pipelined-last"), STRUCTURED + "Connection: close\r\n")
    sent = b"".join(request(example_event(f"pipelined-{number}")) for number in range(20)) + last
    assert asyncio.run(exchange(builder.port, sent)).count(b"HTTP/1.1 202") == 21


# --- hostile values ---

FIELDS = (
    "id", "source", "subject", "type", "time", "datacontenttype",
    "data.third_party_id", "data.parser_id", "data.correlation_id", "data.job_name", "data.priority",
    "data.parameters.priority", "data.parameters.build_type", "data.parameters.runtime",
    "data.parameters.source_url", "data.parameters.build_timeout", "data.parameters.environment",
    "data.parameters.environment.NODE_ENV",
)  # fmt: skip
VALUES = (
    "line\nbreak", "carriage\rreturn", "n\0l", "\x1b[31mred", "\x7f", "\u202eright to left", "\ufeff",
    "$(id)", "'; rm -rf / #", "--destination=evil.example/x", "../../etc/passwd", "x" * 100_000, "",
    -1, 2**70, 1e300, None, True, [], {}, [[[]]], {"a\nb": "c"}, {"=": "x"},
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_hostile_values_in_every_field(builder, field):
    """A 4xx that says why, or, where any text is allowed, a Job that the API server took."""

    async def send_all():
        client = await raw_http.KeptAlive.connect(builder.port)
        bodies = [json.dumps(with_value(field, value, f"{field}-{i}")) for i, value in enumerate(VALUES)]
        return [(value, await client.ask(request(body))) for value, body in zip(VALUES, bodies, strict=True)]

    for value, status in asyncio.run(send_all()):
        assert status == 202 or 400 <= status < 500, f"{field}={value!r:.50}: {status}"
    assert_well(builder)


@pytest.mark.parametrize("field", FIELDS)
def test_invalid_utf_8_in_every_field(builder, field):
    async def send_all():
        client = await raw_http.KeptAlive.connect(builder.port)
        text = json.dumps(with_value(field, "HERE")).encode()
        bad = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x00", b"\n", b"\x1b")
        return [await client.ask(request(text.replace(b"HERE", b"a%sb" % bytes))) for bytes in bad]

    assert set(asyncio.run(send_all())) == {400}
    assert_well(builder)


# --- many tenants ---


def test_100_000_different_tenants_leave_nothing_behind():
    """Against an imposter: no real API server keeps 100 000 Jobs here. Nothing of a tenant outlives its events."""
    tenants, clients = 100_000, 50
    api = Imposter()
    running = Builder(api, asyncJobCreator={"workerCount": 16})
    template = request(example_event("TENANT-0000000", tenant="tenant-0000000"), STRUCTURED)

    async def send(first, last):
        client = await raw_http.KeptAlive.connect(running.port)
        for number in range(first, last):
            assert await client.ask(template.replace(b"0000000", b"%07d" % number)) == 202
        client.close()

    async def send_all(first, last):
        share = (last - first) // clients
        await asyncio.gather(*(send(first + i * share, first + (i + 1) * share) for i in range(clients)))

    try:
        asyncio.run(send_all(0, tenants // 10))
        early = peak_megabytes(running)
        asyncio.run(send_all(tenants // 10, tenants))
        assert running.stats()["queue_size"] == 0
        assert peak_megabytes(running) < min(early + 5, MOST_MEMORY_MB)
    finally:
        assert running.terminate() == 0
        running.log_file.unlink()  # 100 000 lines
        api.stop()
