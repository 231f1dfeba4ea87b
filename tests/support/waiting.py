"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import time

POLL_SECONDS = 0.1


def wait_for(condition, deadline_seconds, what, poll_seconds=POLL_SECONDS):
    """Returns the condition's first true value; fails with `what` if there is none in time."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_seconds} s: {what}")
        time.sleep(poll_seconds)
