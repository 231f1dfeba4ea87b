"""Finished Jobs cost little: 2000, or as many as LAMBDA_FINISHED_JOBS says.

    LAMBDA_FINISHED_JOBS=20000 .venv/bin/python3 -m pytest -s tests/e2e/builds/test_scale.py
"""

import os
import time

from support.builds import cpu_seconds, ended, event, follow, jobs, make_builder, metric, send
from support.finished_jobs import make_finished
from support.waiting import wait_for

EXTRAS = ""
COUNT = int(os.environ.get("LAMBDA_FINISHED_JOBS", "2000"))
RSS_MAX_MB = 60
IDLE_SECONDS = 10


def settled(operator, before=0):
    return metric(operator, "operator_builds_total") - before


def is_synced(operator):
    return metric(operator, "operator_synced", kind="Job") == 1


def test_finished_jobs_cost_little(bed, sink):
    """First all are to be told and settled; then they are, and the operator starts anew."""
    with ended(make_builder(bed)) as builder:
        (name,) = send(builder, event("model", "tenant-model"))
    make_finished(bed, jobs(bed)[name], COUNT)

    began = time.monotonic()
    with ended(follow(bed, sink)) as operator:
        wait_for(lambda: settled(operator) >= COUNT, 120 + COUNT / 20, "all are settled", poll_seconds=1)
        seconds, peak = time.monotonic() - began, operator.peak_rss_mb()
        cpu = cpu_seconds(operator)
        print(f"{COUNT} finished Jobs settled in {seconds:.1f} s, {cpu:.1f} s of CPU, peak {peak:.1f} MB")
        assert len({event.id for event in sink.events()}) >= COUNT
        assert peak <= RSS_MAX_MB
        assert operator.terminate() == 0

    began = time.monotonic()
    with ended(follow(bed, sink)) as operator:
        wait_for(lambda: is_synced(operator), 60, "it has seen all Jobs")
        seconds = time.monotonic() - began
        began, before = time.monotonic(), cpu_seconds(operator)
        wait_for(lambda: time.monotonic() - began > IDLE_SECONDS, IDLE_SECONDS + 10, "an idle time", poll_seconds=1)
        idle = (cpu_seconds(operator) - before) / (time.monotonic() - began)
        peak = operator.peak_rss_mb()
        print(f"{COUNT} settled Jobs: synced after {seconds:.1f} s, peak {peak:.1f} MB, idle {idle:.2%} of a core")
        assert settled(operator) == 0, "what is settled is not told again"
        assert peak <= RSS_MAX_MB
