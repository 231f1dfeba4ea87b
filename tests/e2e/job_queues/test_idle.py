"""An operator with nothing to do: it writes nothing, and asks for little."""

import json
import os
import time

from support.job_queues import CHILD_KINDS, job_queue, remove
from support.operator import NAMESPACE
from support.waiting import wait_for

JOB_QUEUES = 100
IDLE_SECONDS = int(os.environ.get("LAMBDA_IDLE_SECONDS", "60"))


def job_queues(bed):
    """Most of them cheap for the test bed; some with everything."""
    for number in range(JOB_QUEUES):
        if number == 0:
            changes = {}
        elif number < 10:
            changes = {"path": "amqp"}
        else:
            changes = {"path": "amqp", "management": "direct"}
        yield job_queue(bed, f"idle-{number}", **changes, deletionPolicy="Delete", driftInterval="30s")


def generations(bed):
    """Who has written last, and what: by our field manager. Others write their own status now and then."""
    found = {}
    words = ["-A", "-o", "json", "--show-managed-fields"]
    for item in json.loads(bed.kubectl("get", "jobqueues," + CHILD_KINDS, *words, seconds=120))["items"]:
        ours = [f for f in item["metadata"].get("managedFields", []) if f["manager"] == "knative-lambda-operator"]
        place = (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        version = item["metadata"]["resourceVersion"] if item["kind"] == "JobQueue" else None
        found[place] = (version, [field["time"] for field in ours])
    return found


def test_idle_it_writes_nothing_and_asks_little(bed, rabbitmq, operator):
    """Design: resourceVersions don't move, and with 100 JobQueues it makes fewer than 1 request a second to the API
    server. 60 s, or as long as LAMBDA_IDLE_SECONDS says."""
    queues = list(job_queues(bed))
    names = [queue["metadata"]["name"] for queue in queues]
    bed.apply(*queues)
    try:
        wait_for(lambda: all_ready(bed), 240, "all are ready", poll_seconds=1)
        # Figures of queues that were just made settle within a drift interval.
        settled = generations(bed)

        def is_settled():
            nonlocal settled
            before, settled = settled, generations(bed)
            return before == settled

        wait_for(is_settled, 120, "nothing is written any more", poll_seconds=10)
        asked = operator.metric("operator_api_requests_total")
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > IDLE_SECONDS, IDLE_SECONDS + 10, "time passes", poll_seconds=1)
        requests = operator.metric("operator_api_requests_total") - asked
        rate = requests / (time.monotonic() - began)
        print(f"{requests:.0f} requests in {IDLE_SECONDS} s: {rate:.2f} a second")
        print(f"peak RSS {operator.peak_rss_mb():.0f} MB")
        assert generations(bed) == settled
        assert rate < 1
    finally:
        remove(bed, *names)


def all_ready(bed):
    items = json.loads(bed.kubectl("get", "jobqueues", "-n", NAMESPACE, "-o", "json"))["items"]
    conditions = [condition for item in items for condition in item.get("status", {}).get("conditions", [])]
    ready = [condition["status"] for condition in conditions if condition["type"] == "Ready"]
    return len(ready) == len(items) >= JOB_QUEUES and set(ready) == {"True"}
