"""Starting parts: side by side where they may, each one ready before the next that needs it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from . import box, processes
from .place import port_is_free
from .problem import Problem
from .waiting import wait_for

LOG_LINES_SHOWN = 15


class Cancelled(Problem):
    """Another part failed; there is no point in going on."""


def bring_up(bed, parts, say):
    """Starts what does not run. Raises the first Problem, once all else has come to rest."""
    ready = {part.name: threading.Event() for part in parts}
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        tasks = [pool.submit(_in_its_turn, bed, part, ready, stop, say) for part in parts]
        try:
            problems = [task.exception() for task in tasks]
        except BaseException:  # Ctrl-C: let the others see it too
            stop.set()
            raise
    for problem in problems:
        if problem and not isinstance(problem, Cancelled):
            raise problem


def _in_its_turn(bed, part, ready, stop, say):
    try:
        for name in part.after:
            if name in ready:
                _wait_for_turn(ready[name], stop)
        _bring_up_one(bed, part, stop, say)
        ready[part.name].set()
    except BaseException:
        stop.set()
        raise


def _wait_for_turn(event, stop):
    while not event.wait(0.05):
        if stop.is_set():
            raise Cancelled("not started")


def _bring_up_one(bed, part, stop, say):
    began = time.monotonic()
    if not _is_there(bed, part):
        _start(bed, part)
        _wait_until_ready(bed, part, stop)
        say(f"{part.name}: ready ({time.monotonic() - began:.1f} s)")
    else:
        _wait_until_ready(bed, part, stop)
        say(f"{part.name}: runs already")


def _is_there(bed, part):
    if part.command:
        return processes.main_pid(bed, part.name) is not None
    return part.ready(bed)


def _start(bed, part):
    for name in (part.name, *part.takes_along):
        processes.kill_leftovers(bed, name)
    for name in part.ports:
        if not port_is_free(bed.port(name)):
            raise Problem(f"{part.name}: port {bed.port(name)} is taken by another program")
    part.prepare(bed)
    if part.command:
        inside = box.pid(bed) if part.in_box else None
        processes.start(bed, part.name, part.command(bed), part.environment(bed), inside)


def _wait_until_ready(bed, part, stop):
    def ready():
        if stop.is_set():
            raise Cancelled(f"{part.name}: not waited for")
        if part.command and processes.main_pid(bed, part.name) is None:
            raise Problem(f"{part.name} ended by itself")
        return part.ready(bed)

    try:
        wait_for(ready, part.seconds, f"{part.name} ready")
    except Cancelled:
        raise
    except Problem as problem:
        raise Problem(f"{problem}\n{_end_of_log(bed, part)}") from problem


def _end_of_log(bed, part):
    log = bed.log(part.name)
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    return "\n".join([f"the end of {log}:", *(f"  {line}" for line in lines)])
