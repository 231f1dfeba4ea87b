"""The load by HTTP: wrk, with a request of its own each time."""

import contextlib
import itertools
import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .problem import Problem
from .start import BENCH

UNIQUE = "@unique@"  # where wrk/unique.lua writes 32 hex digits
UNIQUE_BYTES = 32
ANSWER_SECONDS = 120  # wrk would count slower answers as errors; JobSink as shipped takes that long

FOREVER_SECONDS = 3600
END_SECONDS = 60

_runs = itertools.count(1)


@dataclass(frozen=True)
class Load:
    """What wrk saw. The times are of the requests that were answered."""

    requests: int
    seconds: float
    p50: float
    p99: float
    max: float
    refused: int  # answers from 400 on
    broken: int
    timeouts: int

    def require_success(self, what):
        if self.requests == 0 or self.refused or self.broken or self.timeouts:
            raise Problem(
                f"{what}: {self.requests} answers, of which {self.refused} were refusals;"
                f" {self.broken} broken connections, {self.timeouts} timeouts"
            )


def http_request(target, headers, body):
    """The bytes of a POST, with the length that it will have."""
    length = len(body.replace(UNIQUE.encode(), b"0" * UNIQUE_BYTES))
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode() + body


def send(url, request_file, connections, seconds, threads=2, core=None):
    """Sends as fast as the answers come, on that many connections for that long."""
    with Stream(url, request_file, connections, seconds, threads, core) as stream:
        return stream.wait(seconds + END_SECONDS)


class Stream:
    """`with Stream(…) as stream`: sends as fast as the answers come, until it is stopped or its seconds are over."""

    def __init__(self, url, request_file, connections, seconds=FOREVER_SECONDS, threads=2, core=None):
        pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
        command = [
            *pinned, "setpriv", "--pdeathsig", "KILL", "--",
            "wrk", "--threads", min(threads, connections), "--connections", connections,
            "--duration", f"{seconds}s", "--timeout", f"{ANSWER_SECONDS}s",
            "--script", BENCH / "wrk" / "unique.lua", url, "--", request_file, next(_runs),
        ]  # fmt: skip
        try:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        except FileNotFoundError as error:
            raise Problem(f"{error.filename} is missing; run: hack/deps bench") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """Only one of wrk's threads can end it, and another may get the signal: so it is repeated."""
        for _ in range(END_SECONDS):
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._result(1)
        raise Problem("wrk does not end")

    def wait(self, at_most_seconds):
        try:
            return self._result(at_most_seconds)
        except subprocess.TimeoutExpired as late:
            raise Problem(f"wrk did not end within {at_most_seconds} s") from late

    def _result(self, within_seconds):
        output, _ = self.process.communicate(timeout=within_seconds)
        return _read_result(output)


def _read_result(output):
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise Problem(f"wrk failed: {output.strip()[-1000:]}")
    return Load(**json.loads(lines[0]))


def write_request(folder, name, target, headers, body):
    path = Path(folder) / f"{name}.request"
    path.write_bytes(http_request(target, headers, body))
    return path
