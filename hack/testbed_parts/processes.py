"""Processes: started detached, found again, ended. Never by name.

Every process of a test bed carries two words in its environment: the test bed's folder and its
part. Children inherit them, so whatever a crash leaves behind can be found, and nothing else is
ever touched. A pid file says which of a part's processes is the main one; it counts only while a
process with that pid, that start time and those words lives.
"""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass

from .problem import Problem
from .waiting import wait_for

BED_MARK = "KNATIVE_LAMBDA_TESTBED"
PART_MARK = "KNATIVE_LAMBDA_TESTBED_PART"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Process:
    pid: int
    part: str


# --- starting ---


def start(bed, part, command, environment=None, inside=None):
    """Starts a part's main process. `inside` is the pid of the box it shall live in, if any."""
    if inside:
        command = enter_box(inside) + command
    try:
        process = _start_detached(bed, part, command, environment or {})
    except FileNotFoundError as error:
        raise Problem(f"{part}: {error.filename} is missing; run hack/deps testbed") from error
    bed.write(f"pids/{part}", f"{process.pid} {start_time(process.pid)}")
    # For a moment after its start the kernel shows no environment of a process yet.
    wait_for(
        lambda: part_of(bed, process.pid) or start_time(process.pid) is None, 30, f"{part} started"
    )


def _start_detached(bed, part, command, environment):
    with open(bed.log(part), "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=bed.subfolder("work", part),
            env=clean_environment(bed) | environment | marks(bed, part),
        )


def enter_box(pid):
    """The words before a command that let it run in the namespaces of that process."""
    enter = ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--"]
    # The program itself is nsenter's child; it shall not outlive it.
    return [*enter, "setpriv", "--pdeathsig", "KILL", "--"]


def clean_environment(bed):
    """Nothing of the caller's: no proxy, no ETCD_*, no RABBITMQ_* finds its way in."""
    return {"PATH": SYSTEM_PATH, "HOME": str(bed.subfolder("home")), "LANG": "C.UTF-8"}


def marks(bed, part):
    return {BED_MARK: str(bed.folder), PART_MARK: part}


# --- finding ---


def all_of(bed, part=None):
    """Every living process of the test bed, or of one of its parts."""
    found = [Process(pid, mark) for pid, mark in _marked(bed)]
    return [process for process in found if part is None or process.part == part]


def _marked(bed):
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            part = part_of(bed, int(entry))
            if part:
                yield int(entry), part


def part_of(bed, pid):
    """The part that a process belongs to; None for what is not this test bed's, or is dead."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return None
    if f"{BED_MARK}={bed.folder}".encode() not in words:
        return None
    prefix = f"{PART_MARK}=".encode()
    return next((word[len(prefix) :].decode() for word in words if word.startswith(prefix)), None)


def main_pid(bed, part):
    """The pid of the part's main process, or None when it is not running."""
    pid, _, started = (bed.read(f"pids/{part}") or "").partition(" ")
    if not pid or start_time(int(pid)) != started or part_of(bed, int(pid)) != part:
        return None
    return int(pid)


def program_pid(bed, part):
    """The part's program itself, where nsenter or unshare stands before it."""
    pid = main_pid(bed, part)
    if pid is None or _executable(pid) not in ("nsenter", "unshare"):
        return pid
    return only_child(pid)


def only_child(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def start_time(pid):
    """When a process started, in the kernel's ticks; None if it is dead or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _executable(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return None


# --- ending ---


def stop(bed, part, seconds=75, at_once=False):
    """Ends a part's main process, politely first, and waits until it is gone."""
    pid = program_pid(bed, part)
    if pid is None:
        return False
    # The API server takes up to a minute to leave when etcd left first.
    _signal(bed, pid, signal.SIGKILL if at_once else signal.SIGTERM)
    try:
        wait_for(lambda: main_pid(bed, part) is None, seconds, f"the end of {part}")
    except Problem:
        kill_leftovers(bed, part)
    return True


def kill_leftovers(bed, part):
    """Ends what a dead main process left running."""
    kill(bed, lambda: all_of(bed, part), part)


def kill_all(bed):
    kill(bed, lambda: all_of(bed), "all processes")


def kill(bed, find, what):
    killed = {}  # pid -> when it started

    def none_left():
        found = find()
        for process in found:
            killed.setdefault(process.pid, start_time(process.pid))
            _signal(bed, process.pid, signal.SIGKILL)
        # The box's first process loses its environment at once, but ends only after all others in
        # there; so it is not enough that none is found.
        return not found and not any(_still_ends(pid, started) for pid, started in killed.items())

    wait_for(none_left, 60, f"the end of {what}")


def _still_ends(pid, started):
    return started is not None and start_time(pid) == started


def _signal(bed, pid, number):
    """Signals a process through a handle that can't come to mean another one, if it is ours."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if part_of(bed, pid):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


# --- commands that are done at once ---


def run(command, what, seconds=30, **options):
    """Runs a short command; raises a Problem with its output if it fails or hangs."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            **options,
        )
    except FileNotFoundError as error:
        raise Problem(
            f"{what}: {error.filename} is not installed; run hack/deps testbed"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{what}: no end after {seconds} s: {' '.join(command)}") from error
    if done.returncode != 0:
        raise Problem(f"{what}: {' '.join(command)}\n{done.stdout.strip()}")
    return done.stdout
