"""Builds start fairly: a tenant's hundred stand before nobody else's five, also when the operator dies meanwhile."""

import re

from support.builds import (
    Watched,
    ended,
    events,
    follow,
    make_builder,
    metric,
    most_at_once,
    restart,
    send,
    wait_for_outcomes,
)
from support.waiting import wait_for

EXTRAS = "kwok"
MANY, FEW = 100, 5
POSITION = re.compile(r"Queued: position \d+, ")
CAPS = {"maxRunning": 4, "maxRunningPerTenant": 3}


def test_a_hundred_builds_of_one_tenant_stand_before_no_others(bed, sink):
    """Promise 5. Never more run than the caps allow, by each write to each Job, over two deaths of the operator."""
    with Watched(bed) as watched, ended(make_builder(bed, {"runs-for": "2s"}, admission="operator")) as builder:
        of_many = send(builder, *events("tenant-many", MANY))
        of_few = send(builder, *events("tenant-few", FEW))
        watched.wait(lambda jobs: len(jobs) == MANY + FEW, 30, "all Jobs are there")
        assert all(job.suspended for job in watched.jobs()), "nothing runs before the operator releases it"

        with ended(follow(bed, sink, admission=CAPS)) as operator:
            waiting = watched.wait(where_those_stand_that_wait, 60, "they are told their positions")
            assert all(POSITION.match(job.annotation("waiting")) for job in waiting), "why and where it waits"
            wait_for(lambda: metric(operator, "operator_builds_waiting") > 0, 30, "the metrics tell that builds wait")
            assert metric(operator, "operator_builds_running") <= CAPS["maxRunning"]

            wait_for(lambda: len(watched.ends()) >= 3, 60, "some end")
            restart(operator)
            watched.wait(lambda jobs: all(job.end for job in jobs if job.name in of_few), 120, "the few are done")
            left = [job for job in watched.jobs("tenant-many") if job.suspended]
            assert len(left) > MANY / 2, "the few waited for most of the many"
            restart(operator)
            found = wait_for_outcomes(bed, of_many + of_few, 300)

    assert {job.outcome for job in found.values()} == {"complete"}
    assert watched.most_running == CAPS["maxRunning"], "never more, and no slot was left empty for good"
    assert most_at_once(found.values()) <= CAPS["maxRunning"]
    mine = [job for job in found.values() if job.tenant == "tenant-many"]
    assert most_at_once(mine) <= CAPS["maxRunningPerTenant"]


def where_those_stand_that_wait(jobs):
    """All that wait, once each says so."""
    waiting = [job for job in jobs if job.suspended]
    return waiting if all(job.annotation("waiting") for job in waiting) else None


def test_priority_orders_the_builds_of_a_tenant(bed, sink):
    caps = {"maxRunning": 1, "maxRunningPerTenant": 1, "priorityStep": "1h"}
    with Watched(bed) as watched, ended(make_builder(bed, admission="operator")) as builder:
        for priority in (0, 5, 10):
            send(builder, *events(f"ordered-{priority}", 1, priority=priority))
            event_of = events(f"same-{priority}", 2, priority=priority)
            for event in event_of:
                event["data"]["third_party_id"] = "tenant-ordered"
            send(builder, *event_of)
        watched.wait(lambda jobs: sum(job.tenant == "tenant-ordered" for job in jobs) == 6, 30, "all Jobs are there")
        with ended(follow(bed, sink, admission=caps)):
            ends = wait_for(lambda: ends_of(watched, "tenant-ordered", 6), 120, "all builds are over")
    assert [int(job.annotation("priority")) for job in ends] == [10, 10, 5, 5, 0, 0]


def ends_of(watched, tenant, count):
    """Once there are as many."""
    ends = [job for job in watched.ends() if job.tenant == tenant]
    return ends if len(ends) == count else None
