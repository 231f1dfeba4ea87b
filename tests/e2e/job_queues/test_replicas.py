"""Several operators, and one that is killed again and again: one works, and the end is right."""

import contextlib
import datetime
import json
import os
import random
import signal
import threading

import pika
import pytest
from support.builder import example_event
from support.job_queues import child_objects, job_queue, redrive, things_in_broker
from support.operator_process import NAMESPACE, Operator, wait_for_condition
from support.waiting import wait_for

KILLS = int(os.environ.get("LAMBDA_OPERATOR_KILLS", "10"))
LETTERS = 300
# So that who is killed is soon replaced.
SHORT_LEASE = {"leaseDuration": "2s", "renewDeadline": "1500ms", "retryPeriod": "300ms"}


@pytest.fixture
def start(bed):
    started = []

    def start(**settings):
        started.append(Operator(bed, **settings))
        return started[-1]

    yield start
    for operator in started:
        if operator.process.poll() is None:
            operator.process.send_signal(signal.SIGCONT)
            operator.terminate()  # gives the lease back, which others would wait for


def test_of_two_one_leads_and_the_other_follows(bed, rabbitmq, start, apply):
    first, second = start(leaderElection=SHORT_LEASE), start(leaderElection=SHORT_LEASE)
    leader = wait_for(lambda: next((o for o in (first, second) if o.leads()), None), 30, "one leads")
    follower = second if leader is first else first
    name = apply(job_queue(bed, "replicated", path="amqp", management="direct"))
    assert not follower.leads()

    leader.kill()
    wait_for(follower.leads, 30, "the other leads")
    rabbitmq.delete(f"{name}.dlq")
    wait_for_condition(bed, name, "DeadLetterReady", "True", "Repaired")

    # One that goes in good order does not let the next one wait for the end of the lease.
    third = start(leaderElection={"leaseDuration": "1h", "renewDeadline": "50m", "retryPeriod": "300ms"})
    assert follower.terminate() == 0
    wait_for(third.leads, 30, "the lease was given back")


def test_a_leader_that_was_paused_past_its_lease_changes_nothing(bed, rabbitmq, start, apply):
    """Design: a leader does not start a write past its lease's deadline, neither to the API server nor to RabbitMQ."""
    paused = start(leaderElection=SHORT_LEASE)
    wait_for(paused.leads, 30, "it leads")
    name = apply(job_queue(bed, "paused", path="amqp", management="direct"))
    rabbitmq.publish(f"{name}.dlq", *letters())
    bed.apply(redrive("paused", name, rate=20))
    wait_for(lambda: moved(bed, "paused") > 0, 30, "letters are being moved")

    paused.process.send_signal(signal.SIGSTOP)
    with lease_taken_by_hand(bed):
        with rabbitmq.channel() as channel:
            channel.exchange_delete(f"{name}.events")
        as_it_was = things_in_broker(bed, name), resource_versions(bed), rabbitmq.depth(name)
        paused.process.send_signal(signal.SIGCONT)
        wait_for(lambda: not paused.leads(), 30, "it knows that it does not lead")
        # What it had in hand goes back to the dead-letter queue; some of it may be in both.
        wait_for(lambda: rabbitmq.depth(name) + rabbitmq.depth(f"{name}.dlq") >= LETTERS, 30, "all letters are ready")
        assert (things_in_broker(bed, name), resource_versions(bed), rabbitmq.depth(name)) == as_it_was
    wait_for_condition(bed, "paused", "Complete", "True", kind="deadletterredrive", seconds=60)
    assert rabbitmq.depth(name) >= LETTERS


@contextlib.contextmanager
def lease_taken_by_hand(bed):
    """As another leader does that has waited until it ended."""
    wait_for(lambda: has_ended(lease(bed)), 30, "the lease has ended")
    write_lease(bed, {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "renewTime": micro_time_now()})
    try:
        yield
    finally:
        write_lease(bed, {"holderIdentity": ""})  # given back


def write_lease(bed, spec):
    bed.kubectl("patch", "lease", "knative-lambda-operator", "-n", "knative-lambda", "--type=merge",
                "-p", json.dumps({"spec": spec}))  # fmt: skip


def lease(bed):
    shown = bed.kubectl("get", "lease", "knative-lambda-operator", "-n", "knative-lambda", "-o", "json")
    return json.loads(shown)["spec"]


def has_ended(spec):
    renewed = datetime.datetime.fromisoformat(spec["renewTime"])
    return datetime.datetime.now(datetime.UTC) - renewed > datetime.timedelta(seconds=spec["leaseDurationSeconds"])


def micro_time_now():
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def resource_versions(bed):
    """Of all that an operator writes for a JobQueue without topology objects, but for its lease."""
    kinds = "jobqueues,deadletterredrives"
    items = json.loads(bed.kubectl("get", kinds, "-A", "-o", "json"))["items"]
    return {(item["kind"], item["metadata"]["name"]): item["metadata"]["resourceVersion"] for item in items}


def letters():
    return [
        (example_event(f"dead-{number}").encode(), pika.BasicProperties(content_type="application/cloudevents+json"))
        for number in range(LETTERS)
    ]


def moved(bed, name):
    shown = bed.kubectl("get", "dlr", name, "-n", NAMESPACE, "-o", "jsonpath={.status.moved}")
    return int(shown or 0)


# --- killed at random moments ---


class Killer:
    """Kills an operator with -9 at random moments, and starts it again at once."""

    def __init__(self, start, seed):
        self.operator = start(leaderElection=SHORT_LEASE)
        self.random = random.Random(seed)
        self.kills = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.ending.set()
        self.thread.join()

    def _run(self):
        while self.kills < KILLS and not self.ending.is_set():
            # In the first moments of a term most is done; some get time to bring something to its end.
            if not self._leads_soon():
                continue
            self.ending.wait(self.random.choice([0.1, 0.5, 3.0]) * self.random.random())
            self.operator.kill()
            self.operator.start()
            self.kills += 1

    def _leads_soon(self):
        with contextlib.suppress(AssertionError, OSError):
            return wait_for(lambda: self.ending.is_set() or self.operator.leads(), 30, "it leads", poll_seconds=0.02)
        return False


def live_a_life(bed, rabbitmq, number):
    """Create, update, redrive, delete; each waits for its end state, whoever is killed meanwhile."""
    path, mode = [("amqp", "direct"), ("amqp", "topology"), ("trigger", "topology")][number % 3]
    name = f"life-{number}"
    queue = job_queue(bed, name, path=path, management=mode, deletionPolicy="Delete")
    queue["spec"]["source"]["enabled"] = False  # what is moved stays where it can be counted
    bed.apply(queue)
    wait_for_condition(bed, name, "Ready", "True", seconds=120)

    queue["spec"]["queue"] |= {"maxLength": 5000 + number}
    bed.apply(queue)
    wait_for(lambda: max_length(bed, name) == 5000 + number, 120, "the edit took effect")

    rabbitmq.publish(f"{name}.dlq", *letters())
    bed.apply(redrive(name, name, rate=200))
    wait_for_condition(bed, name, "Complete", "True", kind="deadletterredrive", seconds=120)
    assert rabbitmq.depth(f"{name}.dlq") == 0
    ids = {properties.headers["ce-id"] for properties, _body in rabbitmq.take_all(name)}
    assert ids == {f"dead-{n}" for n in range(LETTERS)}, "no letter is lost"

    bed.kubectl("delete", "dlr", name, "-n", NAMESPACE)
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--timeout=120s", seconds=150)
    assert child_objects(bed, name) == {}
    left = things_in_broker(bed, name)
    assert not any(left.values()), left


def max_length(bed, name):
    policies = things_in_broker(bed, name)["policies"]
    return policies.get(f"knative-lambda.{name}", ("", {}))[1].get("max-length")


def test_killed_at_random_moments_it_comes_to_the_right_end(bed, rabbitmq, start):
    """Design: create, update, delete and redrive survive kill -9; nothing is lost or left over. 10 kills, or as many as
    LAMBDA_OPERATOR_KILLS says."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    lives = 0
    with Killer(start, seed) as killer:
        while killer.kills < KILLS:
            live_a_life(bed, rabbitmq, lives)
            lives += 1
    print(f"{killer.kills} kills in {lives} lives of a JobQueue")
    assert killer.kills == KILLS
