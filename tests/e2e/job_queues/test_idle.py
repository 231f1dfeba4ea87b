"""An operator with nothing to do: it writes nothing, and asks for little."""

import json
import os
import time

from support.job_queues import CHILD_KINDS, job_queue, remove
from support.operator_process import NAMESPACE
from support.waiting import wait_for

JOB_QUEUES = 100
LOOK_SECONDS = 30
IDLE_SECONDS = int(os.environ.get("LAMBDA_IDLE_SECONDS", "30"))


def job_queues(bed):
    """Most of them cheap for the test bed; some with everything."""
    for number in range(JOB_QUEUES):
        if number == 0:
            changes = {}
        elif number < 10:
            changes = {"path": "amqp"}
        else:
            changes = {"path": "amqp", "management": "direct"}
        yield job_queue(bed, f"idle-{number}", **changes, deletionPolicy="Delete", driftInterval=f"{LOOK_SECONDS}s")


def written(bed):
    """What our field manager has written, and when. Others write their own status now and then."""
    found = {}
    words = ["-A", "-o", "json", "--show-managed-fields"]
    for item in json.loads(bed.kubectl("get", "jobqueues," + CHILD_KINDS, *words, seconds=120))["items"]:
        ours = [f for f in item["metadata"].get("managedFields", []) if f["manager"] == "knative-lambda-operator"]
        place = (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        seen = (item["metadata"]["resourceVersion"], item.get("status")) if item["kind"] == "JobQueue" else None
        found[place] = (seen, [field["time"] for field in ours])
    return found


def wait_until_settled(bed):
    """Figures of queues that were just made settle within some looks. Returns what was written until then."""
    seen, since = written(bed), time.monotonic()

    def is_settled():
        nonlocal seen, since
        now = written(bed)
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > LOOK_SECONDS + 5

    wait_for(is_settled, 240, "nothing is written any more", poll_seconds=5)
    return seen


def difference(before, after):
    return [(key, before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)]


def test_idle_it_writes_nothing_and_asks_little(bed, rabbitmq, operator):
    """Design: resourceVersions don't move, and with 100 JobQueues it makes fewer than 1 request a second to the API
    server. 30 s, or as long as LAMBDA_IDLE_SECONDS says."""
    queues = list(job_queues(bed))
    names = [queue["metadata"]["name"] for queue in queues]
    bed.apply(*queues)
    try:
        wait_for(lambda: all_ready(bed), 240, "all are ready", poll_seconds=1)
        settled = wait_until_settled(bed)
        asked = operator.metric("operator_api_requests_total")
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > IDLE_SECONDS, IDLE_SECONDS + 10, "time passes", poll_seconds=1)
        requests = operator.metric("operator_api_requests_total") - asked
        rate = requests / (time.monotonic() - began)
        print(f"{requests:.0f} requests in {IDLE_SECONDS} s: {rate:.2f} a second")
        print(f"peak RSS {operator.peak_rss_mb():.0f} MB")
        assert difference(settled, written(bed)) == []
        assert rate < 1
    finally:
        remove(bed, *names)


def all_ready(bed):
    items = json.loads(bed.kubectl("get", "jobqueues", "-n", NAMESPACE, "-o", "json"))["items"]
    conditions = [condition for item in items for condition in item.get("status", {}).get("conditions", [])]
    ready = [condition["status"] for condition in conditions if condition["type"] == "Ready"]
    return len(ready) == len(items) >= JOB_QUEUES and set(ready) == {"True"}
