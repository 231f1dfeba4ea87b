"""Programs that are started, looked at and ended. None outlives the bench, however that ends."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .problem import Problem

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
END_SECONDS = 40
POLL_SECONDS = 0.02
LOG_BYTES_SHOWN = 2000


class Child:
    """A program that runs until `stop`, or `with` it. Its output is in `log_file`."""

    def __init__(self, name, command, folder, environment=None, core=None):
        self.name = name
        self.log_file = Path(folder) / f"{name}.log"
        words = ["setpriv", "--pdeathsig", "KILL", "--"]
        if core is not None:
            words = ["taskset", "--cpu-list", str(core), *words]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*words, *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, start_new_session=True,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_until(self, condition, seconds, what):
        """The condition's first true value."""

        def value():
            self.require_running()
            return condition()

        return wait_until(value, seconds, f"{self.name}: {what}")

    def require_running(self):
        if self.process.poll() is not None:
            raise Problem(f"{self.name} ended by itself:\n{self.log()[-LOG_BYTES_SHOWN:]}")

    def stop(self):
        """A program that has ended before is a Problem of its own, whatever else there is."""
        try:
            self.require_running()
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_SECONDS)
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Problem(f"not within {seconds} s: {what}")
        time.sleep(POLL_SECONDS)


# --- frozen, so that it uses nothing ---


def freeze(pids):
    _signal(pids, signal.SIGSTOP)


def thaw(pids):
    _signal(pids, signal.SIGCONT)


def _signal(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def family(pid):
    """The process, its children, and theirs."""
    return [pid, *(relative for child in _children(pid) for relative in family(child))]


def _children(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [
            int(word)
            for thread in os.listdir(f"/proc/{pid}/task")
            for word in Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii").split()
        ]
    return []


# --- what a process has used ---


@dataclass(frozen=True)
class Usage:
    cpu_seconds: float  # user and system, of all its threads
    peak_rss_bytes: int
    rss_bytes: int


def usage_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        status = dict(line.split(":", 1) for line in file.read().splitlines())
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        ticks / TICKS_PER_SECOND, _kilobytes(status["VmHWM"]) * 1024, _kilobytes(status["VmRSS"]) * 1024
    )


def _kilobytes(text):
    return int(text.split()[0])
