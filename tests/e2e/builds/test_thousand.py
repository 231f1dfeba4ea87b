"""Many builds through a node that pretends: 200, or as many as LAMBDA_BUILDS says.

    LAMBDA_BUILDS=1000 .venv/bin/python3 -m pytest -s tests/e2e/builds/test_thousand.py
"""

import os

from support.builds import (
    check_events,
    cpu_seconds,
    ended,
    event,
    follow,
    make_builder,
    metric,
    send,
    wait_for_outcomes,
)

EXTRAS = "kwok"
BUILDS_IN_ALL = int(os.environ.get("LAMBDA_BUILDS", "200"))
EACH_SECOND = 50
TENANTS = 10
DIGEST = "sha256:" + "5" * 64


def test_every_one_of_many_builds_is_told_to_its_end(bed, sink):
    pods = {"runs-for": "1s", "says": DIGEST}
    with ended(follow(bed, sink), make_builder(bed, pods)) as (operator, builder):
        idle = cpu_seconds(operator)
        all_events = [event(f"build-{number}", f"tenant-{number % TENANTS}") for number in range(BUILDS_IN_ALL)]
        names = send(builder, *all_events, each_second=EACH_SECOND)
        assert len(set(names)) == BUILDS_IN_ALL
        found = wait_for_outcomes(bed, names, 120 + BUILDS_IN_ALL / 5)
        milliseconds = (cpu_seconds(operator) - idle) * 1000 / BUILDS_IN_ALL
        print(f"{BUILDS_IN_ALL} builds: {milliseconds:.1f} ms of CPU each, peak {operator.peak_rss_mb():.1f} MB")

        assert len(found) == BUILDS_IN_ALL
        assert {job.outcome for job in found.values()} == {"complete"}
        assert all(job.ttl is not None for job in found.values()), "it would stay for ever"
        assert {job.result["digest"] for job in found.values()} == {DIGEST}
        check_events(sink, found)
        assert metric(operator, "operator_builds_total", outcome="complete") == BUILDS_IN_ALL
        assert metric(operator, "operator_build_results_total", outcome="delivered") >= BUILDS_IN_ALL
        assert metric(operator, "operator_build_results_total", outcome="given_up") == 0
