"""Kueue in the operator's place: it releases builds by quota, and the operator follows them all the same."""

from support.builder import BUILDS
from support.builds import (
    Watched,
    check_events,
    ended,
    event,
    follow,
    make_builder,
    most_at_once,
    send,
    wait_for_outcomes,
)

EXTRAS = "kwok,kueue"
TENANTS = [f"tenant-{letter}" for letter in "abcde"]
BUILDS_OF_EACH = 10
QUOTA = 4
KUEUE = "kueue.x-k8s.io/v1beta1"


def named(kind, name, spec, **metadata):
    return {"apiVersion": KUEUE, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def quota(pods):
    resources = [{"name": "pods", "nominalQuota": pods}]
    return [{"coveredResources": ["pods"], "flavors": [{"name": "default", "resources": resources}]}]


def queues():
    """A quota that the tenants share, and for each a queue that has nothing of its own."""
    yield named("ResourceFlavor", "default", {})
    yield named("Cohort", "builds", {"resourceGroups": quota(QUOTA)})
    for tenant in TENANTS:
        spec = {"cohort": "builds", "namespaceSelector": {}, "resourceGroups": quota(0)}
        yield named("ClusterQueue", tenant, spec)
        yield named("LocalQueue", f"builds-{tenant}", {"clusterQueue": tenant}, namespace=BUILDS)


def events_in_turns():
    """Between tenants of whom none runs more than the others, Kueue goes by age, which it knows in seconds."""
    return [event(f"{tenant}-{number}", tenant) for number in range(BUILDS_OF_EACH) for tenant in TENANTS]


def test_kueue_releases_fifty_builds_of_five_tenants_by_a_quota(bed, sink):
    bed.apply(*queues())
    settings = {"admission": "kueue", "kueue": {"queueName": "builds-{third_party_id}"}}
    with Watched(bed) as watched, ended(follow(bed, sink), make_builder(bed, {"runs-for": "2s"}, **settings)) as (
        _operator,
        builder,
    ):
        # The first tenant's all come before the others'.
        names = send(builder, *(event(f"{tenant}-{n}", tenant) for tenant in TENANTS for n in range(BUILDS_OF_EACH)))
        found = wait_for_outcomes(bed, names, 300)

    assert {job.outcome for job in found.values()} == {"complete"}
    assert watched.most_running <= QUOTA
    assert most_at_once(found.values()) <= QUOTA
    first_half = [job.tenant for job in watched.ends()[: len(names) // 2]]
    shares = {tenant: first_half.count(tenant) for tenant in TENANTS}
    print(f"of the first {len(first_half)} builds that ended: {shares}")
    assert min(shares.values()) >= 1, shares
    check_events(sink, found)
