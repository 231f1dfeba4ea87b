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


def queues():
    """One quota for all. A tenant has a queue of its own, and the one that used least of late comes next."""
    resources = [{"name": "pods", "nominalQuota": QUOTA}]
    spec = {
        "namespaceSelector": {},
        "resourceGroups": [{"coveredResources": ["pods"], "flavors": [{"name": "default", "resources": resources}]}],
        "admissionScope": {"admissionMode": "UsageBasedAdmissionFairSharing"},
    }
    yield named("ResourceFlavor", "default", {})
    yield named("ClusterQueue", "builds", spec)
    for tenant in TENANTS:
        yield named("LocalQueue", f"builds-{tenant}", {"clusterQueue": "builds"}, namespace=BUILDS)


def test_kueue_releases_fifty_builds_of_five_tenants_by_a_quota(bed, sink):
    bed.apply(*queues())
    settings = {"admission": "kueue", "kueue": {"queueName": "builds-{third_party_id}"}}
    with Watched(bed) as watched, ended(follow(bed, sink), make_builder(bed, {"runs-for": "3s"}, **settings)) as (
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
    assert min(shares.values()) >= 3, shares
    check_events(sink, found)
