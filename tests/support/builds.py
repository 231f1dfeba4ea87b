"""Builds of tests: events for them, their Jobs as the API server has them, and what is told of them."""

import calendar
import concurrent.futures
import contextlib
import json
import threading
import time
from dataclasses import dataclass

import requests
from support.builder import BUILDS, Builder, example_event
from support.operator_process import Operator
from support.waiting import wait_for
from support.watch import Watch

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
OURS = "lambda.notifi.network/"
POD = "testbed.local/"  # annotations by which a pod of kwok's says how it ends: hack/testbed_parts/kwok.py
STARTED, COMPLETE, FAILED, TIMEOUT = (
    f"network.notifi.lambda.build.{word}" for word in ("started", "complete", "failed", "timeout")
)
SENDERS = 8

# --- the operator and the builder ---


def follow(bed, sink=None, **settings):
    """A leading operator that follows builds; `settings` are laid over its section `builds`."""
    builds = {
        "enabled": True,
        "namespace": BUILDS,
        "watchdog": "10s",
        "results": {"sink": sink.url if sink else "", "maxRetryDelay": "1s"},
    }
    for key, value in settings.items():
        builds[key] = {**builds.get(key, {}), **value} if isinstance(value, dict) else value
    operator = Operator(bed, builds=builds)
    wait_for(operator.leads, 30, "the operator leads")
    return operator


def restart(operator):
    """kill -9, and the next one leads once the Lease has run out."""
    operator.kill()
    operator.start()


def make_builder(bed, pods=None, sections=None, **build):
    """A builder whose Jobs the operator follows. `pods`: how kwok's pods of them end, e.g. {"runs-for": "5s"}."""
    annotations = {POD + name: value for name, value in (pods or {}).items()}
    settings = {"followedByOperator": True, **build}
    if annotations:
        settings["jobPatch"] = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    return Builder(bed, build=settings, **(sections or {}))


@contextlib.contextmanager
def ended(*processes):
    """Kills what a test leaves running."""
    try:
        yield processes[0] if len(processes) == 1 else processes
    finally:
        for process in processes:
            if process.process.poll() is None:
                process.kill()




# --- events ---


def event(event_id, tenant, parser=None, priority=1, **parameters):
    """A job.start event. Each has a parser of its own unless one is named."""
    found = json.loads(example_event(event_id, tenant))
    found["data"] |= {"parser_id": parser or f"parser-{event_id}", "priority": priority}
    found["data"]["parameters"] |= {"priority": priority, **parameters}
    return found


def events(tenant, count, **more):
    return [event(f"{tenant}-{number}", tenant, **more) for number in range(count)]


def send(builder, *events, each_second=None):
    """Returns the names of their Jobs. At most so many each second, where that is said."""
    began = time.monotonic()
    pause = threading.Event()
    session = threading.local()

    def send_one(number, body):
        if each_second:
            pause.wait(max(0.0, began + number / each_second - time.monotonic()))
        if not hasattr(session, "requests"):
            session.requests = requests.Session()
        answer = session.requests.post(builder.url, json=body, headers=STRUCTURED, timeout=60)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_name"]

    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(send_one, range(len(events)), events))


# --- Jobs ---


@dataclass(frozen=True)
class Job:
    """A build's Job, as the API server has it."""

    object: dict

    @property
    def name(self):
        return self.object["metadata"]["name"]

    @property
    def uid(self):
        return self.object["metadata"]["uid"]

    @property
    def tenant(self):
        return self.object["metadata"]["labels"][OURS + "third-party-id"]

    @property
    def outcome(self):
        """The operator's word, on a Job that it is done with."""
        return self.object["metadata"]["labels"].get(OURS + "outcome")

    @property
    def ttl(self):
        return self.object["spec"].get("ttlSecondsAfterFinished")

    @property
    def suspended(self):
        return self.object["spec"].get("suspend", False)

    @property
    def end(self):
        """Its last condition: (type, reason, seconds since 1970). None while it may go on."""
        for condition in self.object["status"].get("conditions", []):
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                return condition["type"], condition.get("reason", ""), seconds_of(condition["lastTransitionTime"])
        return None

    @property
    def started(self):
        started = self.object["status"].get("startTime")
        return seconds_of(started) if started else None

    @property
    def runs(self):
        """Released, and not over: it counts against the limits."""
        return not self.suspended and not self.end

    def annotation(self, name):
        return self.object["metadata"].get("annotations", {}).get(OURS + name)

    @property
    def result(self):
        """What the operator wrote of its end."""
        text = self.annotation("result")
        return json.loads(text) if text else None


def seconds_of(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def jobs(bed, tenant=None):
    """By name; of one tenant, or of all."""
    selector = [f"--selector={OURS}third-party-id={tenant}"] if tenant else []
    shown = bed.kubectl("get", "jobs", "-n", BUILDS, "-o", "json", *selector, seconds=120)
    return {item["metadata"]["name"]: Job(item) for item in json.loads(shown)["items"]}


def job(bed, name):
    """None if it is gone."""
    shown = bed.kubectl("get", "job", name, "-n", BUILDS, "-o", "json", "--ignore-not-found")
    return Job(json.loads(shown)) if shown.strip() else None


def wait_for_outcome(bed, name, seconds=60):
    """Waits until the operator is done with a Job; returns it."""

    def told():
        found = job(bed, name)
        return found if found and found.outcome else None

    return wait_for(told, seconds, f"{name} has an outcome")


def wait_for_outcomes(bed, names, seconds, what="all builds have outcomes"):
    """Until the operator is done with these Jobs; returns them by name."""

    def told():
        found = jobs(bed)
        missing = [name for name in names if name not in found or not found[name].outcome]
        return found if not missing else None

    return wait_for(told, seconds, what, poll_seconds=1)


class Watched(Watch):
    """Every state of every Job of the builds' namespace from now on, in the order of their writes. In a `with`."""

    def __init__(self, bed):
        self.latest = {}  # name -> Job
        self.most_running = 0
        self.ended = []  # Jobs, in the order of their ends
        super().__init__(bed, f"/apis/batch/v1/namespaces/{BUILDS}/jobs?watch=true")

    def take(self, kind, found):
        job = Job(found)
        before = self.latest.get(job.name)
        if job.end and not (before and before.end):
            self.ended.append(job)
        self.latest[job.name] = job
        if kind == "DELETED":
            del self.latest[job.name]
        self.most_running = max(self.most_running, sum(job.runs for job in self.latest.values()))

    def jobs(self, tenant=None):
        with self.lock:
            return [job for job in self.latest.values() if tenant in (None, job.tenant)]

    def ends(self):
        """So far."""
        with self.lock:
            return list(self.ended)

    def wait(self, condition, seconds, what):
        """Until the condition holds of the Jobs as they are."""
        assert self.process.poll() is None, "the watch has ended"
        return wait_for(lambda: condition(self.jobs()), seconds, what)


def most_at_once(jobs):
    """How many of them ran at the same time, by their own start and end."""
    changes = sorted(
        change
        for job in jobs
        if job.started is not None
        for change in ((job.started, 1), (job.end[2] if job.end else float("inf"), -1))
    )  # at the same second, an end comes before a start
    running = most = 0
    for _second, change in changes:
        running += change
        most = max(most, running)
    return most


# --- what the operator says of itself ---


def metric(operator, name, **labels):
    """The sum over all lines with these labels."""
    wanted = {f'{key}="{value}"' for key, value in labels.items()}
    total = 0.0
    for line in operator.metrics().splitlines():
        if line.startswith((name + " ", name + "{")):
            inside = line.partition("{")[2].partition("}")[0]
            if wanted <= set(inside.split(",")):
                total += float(line.rsplit(" ", 1)[1])
    return total


def cpu_seconds(operator):
    """User and system, since its start."""
    with open(f"/proc/{operator.process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# --- what sinks get ---


def data_of(event):
    return json.loads(event.data)


def check_events(sink, jobs_by_name, missing_start=()):
    """Of each build its start and its end came, each at least once, always by one id, and nothing else."""
    assert sink.unexpected == []
    told = sink.by_subject()
    types = {"complete": COMPLETE, "failed": FAILED, "superseded": FAILED, "timeout": TIMEOUT}
    for name, job in jobs_by_name.items():
        kind = types[job.outcome]
        wanted = {kind: {f"{job.uid}.{kind.rpartition('.')[2]}"}}
        seen = dict(told.get(name, {}))
        start = seen.pop(STARTED, None)
        assert start in ({f"{job.uid}.started"}, None), (name, start)
        assert start is not None or name in missing_start, f"{name}: its start was not told"
        assert seen == wanted, name
