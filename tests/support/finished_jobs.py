"""Finished Jobs by the thousand, without anything that runs them."""

import base64
import concurrent.futures
import copy
import json
import tempfile
import threading
import time

import requests

WRITERS = 8
KEPT = ("labels", "annotations", "namespace")
SELECTED = ("controller-uid", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "job-name")


def make_finished(bed, model, count):
    """Copies of a build's Job, each of another event and complete. No controller has them in its care."""
    writer = Writer(bed)
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda number: writer.write(copy_of(model.object, number)), range(count)))


def copy_of(job, number):
    """As it came from the builder, but for the name and the event's id."""
    found = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {key: copy.deepcopy(job["metadata"][key]) for key in KEPT},
        "spec": copy.deepcopy(job["spec"]),
    }
    found["metadata"]["name"] = f"finished-{number}"
    found["metadata"]["annotations"]["lambda.notifi.network/event-id"] = f"finished-{number}"
    found["spec"] |= {"managedBy": "testbed.local/nobody"}
    found["spec"].pop("selector", None)
    for labels in (found["metadata"]["labels"], found["spec"]["template"]["metadata"]["labels"]):
        for name in SELECTED:
            labels.pop(name, None)
    return found


def status_complete():
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        {"type": kind, "status": "True", "reason": "CompletionsReached", "lastTransitionTime": now}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}}


class Writer:
    """Straight to the API server: kubectl would take minutes."""

    def __init__(self, bed):
        config = json.loads(bed.kubectl("config", "view", "--raw", "-o", "json"))
        cluster = config["clusters"][0]["cluster"]
        with tempfile.NamedTemporaryFile(prefix="authority-", delete=False) as file:
            file.write(base64.b64decode(cluster["certificate-authority-data"]))
        self.server, self.authority = cluster["server"], file.name
        self.token = config["users"][0]["user"]["token"]
        self.local = threading.local()

    def write(self, job):
        path = f"/apis/batch/v1/namespaces/{job['metadata']['namespace']}/jobs"
        self.send("POST", path, job, "application/json")
        status = f"{path}/{job['metadata']['name']}/status"
        self.send("PATCH", status, status_complete(), "application/merge-patch+json")

    def send(self, method, path, body, content_type):
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.trust_env = False  # no proxy, no other authorities
            self.local.session.verify = self.authority
            self.local.session.headers["Authorization"] = f"Bearer {self.token}"
        answer = self.local.session.request(
            method, self.server + path, data=json.dumps(body), headers={"Content-Type": content_type}, timeout=60
        )
        assert answer.ok, answer.text
