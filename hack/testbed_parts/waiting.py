"""Waiting for a condition. Nothing in the test bed sleeps and hopes."""

import time

from .problem import Problem

POLL_SECONDS = 0.05


def wait_for(condition, seconds, what):
    """Returns the condition's first true value, or raises a Problem that names what never came."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Problem(f"{what}: not so after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
