"""The operator against the real topology operator, Knative's controllers and RabbitMQ: a JobQueue becomes a chain
that carries events, stays what it says, and goes without loss."""

import json
import os
import time
import urllib.parse
import urllib.request

import pika
import pytest
from support.builder import BUILDS, Builder, example_event, make_build_namespace, rabbitmq_settings
from support.knative import DataPlane, management
from support.operator import (
    MANIFESTS,
    NAMESPACE,
    RABBITMQ_NAMESPACE,
    Operator,
    conditions,
    install,
    wait_for_condition,
)
from support.queues import Broker
from support.testbed import TestBed
from support.waiting import wait_for

OURS = f"t{os.getpid()}-"
EXCHANGE = "lambda.events"
JOB_START = "network.notifi.lambda.job.start"
DRIFT_SECONDS = 5


@pytest.fixture(scope="module")
def bed():
    bed = TestBed(OURS + "operator")
    bed.up("knative")
    try:
        install(bed)
        bed.kubectl("apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "knative-lambda-builder", "namespace": NAMESPACE},
            "spec": {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": "builder"}}}))  # fmt: skip
        yield bed
    finally:
        bed.down()


@pytest.fixture(scope="module")
def rabbitmq(bed):
    return Broker(bed)


@pytest.fixture(scope="module")
def operator(bed):
    operator = Operator(bed)
    wait_for(operator.leads, 20, "the operator leads")
    yield operator
    operator.kill()


def sample(bed, name="jobqueue.yaml"):
    path = str(MANIFESTS / "samples" / name)
    return json.loads(bed.kubectl("create", "--dry-run=client", "-o", "json", "-f", path))


def job_queue(bed, name, **changes):
    """The documents' JobQueue with another name for all that it has, for a test of its own; `changes` are laid over
    the sections of its spec."""
    queue = sample(bed)
    queue["metadata"]["name"] = name
    spec = queue["spec"]
    spec["queue"]["name"] = name
    spec["deadLetter"] |= {"exchange": f"{name}.dlx", "routingKey": f"{name}.dlq", "queue": f"{name}.dlq"}
    spec["routing"] |= {"exchange": f"{name}.events"}
    spec["trigger"] |= {"name": f"{name}-trigger"}
    spec["trigger"]["broker"] |= {"name": name}
    spec["driftInterval"] = f"{DRIFT_SECONDS}s"
    for section, values in changes.items():
        spec[section] = {**spec[section], **values} if isinstance(values, dict) else values
    return queue


def publish(rabbitmq, exchange, event_id, source="network.notifi.kaniko-jobs"):
    event = json.loads(example_event(event_id))
    event["source"] = source
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    with rabbitmq.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish(exchange, JOB_START, json.dumps(event), properties, mandatory=True)


def broker_api(bed, method, path, body=None):
    """Changes something behind the operator's back."""
    environment = bed.environment()
    amqp = urllib.parse.urlsplit(environment["AMQP_URL"])
    url = environment["RABBITMQ_MANAGEMENT_URL"] + "/api" + path
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, urllib.parse.unquote(amqp.username), urllib.parse.unquote(amqp.password))
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json"})  # fmt: skip
    with opener.open(request, timeout=10) as answer:
        return answer.status


def jobs_of(bed, event_id):
    jobs = json.loads(bed.kubectl("get", "jobs", "-n", BUILDS, "-o", "json"))["items"]
    wanted = [job for job in jobs if job["metadata"]["annotations"]["lambda.notifi.network/event-id"] == event_id]
    return [job["metadata"]["name"] for job in wanted]


def test_the_sample_becomes_a_chain_that_carries_events(bed, rabbitmq, operator):
    """Design: a JobQueue is queue, dead letters, source and trigger in one."""
    make_build_namespace(bed, BUILDS)
    with DataPlane(bed) as plane:
        builder = Builder(bed, rabbitmq=rabbitmq_settings(bed.environment()["AMQP_URL"], "kaniko-jobs", "kaniko-jobs.dlq"))
        try:
            plane.route(NAMESPACE, "knative-lambda-builder", builder.url)
            began = time.monotonic()
            bed.kubectl("apply", "-f", str(MANIFESTS / "samples" / "jobqueue.yaml"))
            wait_for_condition(bed, "kaniko-jobs", "Ready", "True", seconds=60)
            print(f"Ready after {time.monotonic() - began:.1f} s")
            assert "kaniko-jobs" in bed.kubectl("get", "queue.rabbitmq.com", "kaniko-jobs", "-n", RABBITMQ_NAMESPACE)
            assert "kaniko-jobs-trigger" in bed.kubectl("get", "trigger", "kaniko-jobs-trigger", "-n", NAMESPACE)

            publish(rabbitmq, EXCHANGE, "by-the-chain")
            wait_for(lambda: len(jobs_of(bed, "by-the-chain")) == 1, 60, "the event became a Job")
        finally:
            builder.kill()


# --- the other paths ---


@pytest.fixture
def apply(bed):
    """Applies JobQueues of this test; they go with it, whatever they hold."""
    applied = []

    def apply(queue, ready=True):
        bed.apply(queue)
        name = queue["metadata"]["name"]
        if name not in applied:
            applied.append(name)
        if ready:
            wait_for_condition(bed, name, "Ready", "True", seconds=60)
        return name

    yield apply
    for name in applied:
        bed.kubectl("annotate", "jobqueue", name, "-n", NAMESPACE, "--overwrite",
                    "lambda.notifi.network/force-deletion=true", check=False)  # fmt: skip
        bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s", seconds=90)


def vhost_path(*names):
    return "/".join(["", *(urllib.parse.quote(name, safe="") for name in names)])


def queue_names(bed):
    return {queue["name"] for queue in management(bed, "/queues")}


@pytest.mark.parametrize("management_mode", ["topology", "direct"])
def test_path_amqp(bed, rabbitmq, operator, apply, management_mode):
    """The builder consumes the queue itself; with `direct` nothing of the topology operator is needed."""
    make_build_namespace(bed, BUILDS)
    name = apply(job_queue(bed, f"amqp-{management_mode}", path="amqp", management=management_mode))
    objects = bed.kubectl("get", "queue.rabbitmq.com", "-n", RABBITMQ_NAMESPACE, "-o", "name")
    assert (f"/{name}" in objects) == (management_mode == "topology")
    settings = rabbitmq_settings(bed.environment()["AMQP_URL"], name, f"{name}.dlq")
    builder = Builder(bed, rabbitmq=settings, intake={"amqp": {"enabled": True}})
    try:
        publish(rabbitmq, f"{name}.events", f"by-{name}")
        wait_for(lambda: len(jobs_of(bed, f"by-{name}")) == 1, 60, "the event became a Job")
    finally:
        builder.kill()


def test_path_source(bed, rabbitmq, operator, apply):
    """RabbitmqSource straight to the builder."""
    make_build_namespace(bed, BUILDS)
    builder = Builder(bed)
    with DataPlane(bed) as plane:
        try:
            plane.route(NAMESPACE, "knative-lambda-builder", builder.url)
            name = apply(job_queue(bed, "by-source", path="source"))
            publish(rabbitmq, f"{name}.events", "by-the-source")
            wait_for(lambda: len(jobs_of(bed, "by-the-source")) == 1, 60, "the event became a Job")
        finally:
            builder.kill()


# --- what is changed behind its back ---


def delete_queue(bed, rabbitmq, name):
    rabbitmq.delete(name)


def delete_dead_letter_queue(bed, rabbitmq, name):
    rabbitmq.delete(f"{name}.dlq")


def delete_binding(bed, rabbitmq, name):
    with rabbitmq.channel() as channel:
        channel.queue_unbind(name, f"{name}.events", JOB_START)


def delete_dead_letter_binding(bed, rabbitmq, name):
    with rabbitmq.channel() as channel:
        channel.queue_unbind(f"{name}.dlq", f"{name}.dlx", f"{name}.dlq")


def delete_exchange(bed, rabbitmq, name):
    with rabbitmq.channel() as channel:
        channel.exchange_delete(f"{name}.events")


def delete_dead_letter_exchange(bed, rabbitmq, name):
    with rabbitmq.channel() as channel:
        channel.exchange_delete(f"{name}.dlx")


def policy_of(bed, name):
    path = next(policy for policy in management(bed, "/policies") if policy["name"] == f"knative-lambda.{name}")
    return path


def delete_policy(bed, rabbitmq, name):
    broker_api(bed, "DELETE", vhost_path("policies", "/", f"knative-lambda.{name}"))


def edit_policy(bed, rabbitmq, name):
    policy = policy_of(bed, name)
    policy["definition"]["max-length"] = 5
    broker_api(bed, "PUT", vhost_path("policies", "/", policy["name"]), policy)


def edit_policy_pattern(bed, rabbitmq, name):
    policy = policy_of(bed, name)
    broker_api(bed, "PUT", vhost_path("policies", "/", policy["name"]), policy | {"pattern": "^nothing$"})


def edit_dead_letter_policy(bed, rabbitmq, name):
    policy = policy_of(bed, f"{name}.dlq")
    broker_api(bed, "PUT", vhost_path("policies", "/", policy["name"]), policy | {"definition": {"message-ttl": 1}})


IN_BROKER = [delete_queue, delete_dead_letter_queue, delete_binding, delete_dead_letter_binding, delete_exchange,
             delete_dead_letter_exchange, delete_policy, edit_policy, edit_policy_pattern,
             edit_dead_letter_policy]  # fmt: skip


def thing_in_broker(bed, name):
    """What of a JobQueue is in the broker, without figures."""
    bindings = {(b["source"], b["destination"], b["routing_key"]) for b in management(bed, "/bindings") if b["source"]}
    policies = {p["name"]: (p["pattern"], p["definition"], p["apply-to"]) for p in management(bed, "/policies")}
    exchanges = {e["name"]: e["type"] for e in management(bed, "/exchanges")}
    return {
        "bindings": {b for b in bindings if b[1] in (name, f"{name}.dlq")},
        "policies": {key: value for key, value in policies.items() if name in key},
        "exchanges": {key: value for key, value in exchanges.items() if key.startswith(name)},
        "queues": {q["name"]: q["arguments"] for q in management(bed, "/queues") if q["name"].startswith(name)},
    }


@pytest.mark.parametrize("management_mode", ["topology", "direct"])
def test_what_is_changed_in_the_broker_is_repaired(bed, rabbitmq, operator, apply, management_mode):
    """Design: the truth comes from the broker; within driftInterval + 5 s what can be repaired is."""
    name = apply(job_queue(bed, f"drift-{management_mode}", path="amqp", management=management_mode))
    as_it_was = thing_in_broker(bed, name)
    slowest = 0.0
    for drift in IN_BROKER:
        repaired = operator.metric("operator_drifts_repaired_total")
        drift(bed, rabbitmq, name)
        began = time.monotonic()
        assert thing_in_broker(bed, name) != as_it_was, drift.__name__
        wait_for(lambda: thing_in_broker(bed, name) == as_it_was, 30, f"{drift.__name__} is repaired")
        slowest = max(slowest, time.monotonic() - began)
        wait_for(lambda r=repaired: operator.metric("operator_drifts_repaired_total") > r, 10, "it is counted")
    print(f"{management_mode}: {len(IN_BROKER)} drifts repaired, the slowest in {slowest:.1f} s")
    wait_for_condition(bed, name, "Ready", "True")


def test_a_repair_is_told(bed, rabbitmq, operator, apply):
    name = apply(job_queue(bed, "told", path="amqp", management="direct"))
    rabbitmq.delete(f"{name}.dlq")
    message = wait_for_condition(bed, name, "DeadLetterReady", "True", "Repaired")
    assert f'queue "{name}.dlq" is missing' in message
    shown = wait_for(
        lambda: bed.kubectl("get", "events.events.k8s.io", "-n", NAMESPACE, "-o",
                            f"jsonpath={{.items[?(@.regarding.name=='{name}')].reason}}"),
        20, "an Event")  # fmt: skip
    assert "Repaired" in wait_for(lambda: shown, 5, "an Event tells it")


# --- what is changed in Kubernetes ---


def child_objects(bed, name):
    kinds = ("queues.rabbitmq.com,exchanges.rabbitmq.com,bindings.rabbitmq.com,policies.rabbitmq.com,"
             "triggers.eventing.knative.dev,brokers.eventing.knative.dev,rabbitmqsources.sources.knative.dev")  # fmt: skip
    shown = bed.kubectl("get", kinds, "-A", "-l", f"lambda.notifi.network/job-queue={name}", "-o", "json")
    return {(o["kind"], o["metadata"]["name"]): o["spec"] for o in json.loads(shown)["items"]}


def test_objects_that_are_deleted_or_edited_come_back(bed, rabbitmq, operator, apply):
    name = apply(job_queue(bed, "edited"))
    before = child_objects(bed, name)
    assert {kind for kind, _name in before} >= {"Queue", "Binding", "Policy", "Trigger", "RabbitmqSource"}

    policy = next(key for (kind, key), spec in before.items() if kind == "Policy" and spec["name"] == f"knative-lambda.{name}")
    patch = json.dumps({"spec": {"definition": {"max-length": 7}}})
    bed.kubectl("patch", "policy.rabbitmq.com", policy, "-n", RABBITMQ_NAMESPACE, "--type=merge", "-p", patch)
    wait_for(lambda: child_objects(bed, name) == before, 30, "the edited Policy is as it was")

    bed.kubectl("delete", "trigger", f"{name}-trigger", "-n", NAMESPACE)
    wait_for(lambda: child_objects(bed, name) == before, 30, "the deleted Trigger is there again")
    wait_for_condition(bed, name, "Ready", "True", seconds=60)


def test_an_edited_job_queue_takes_effect_without_a_new_queue(bed, rabbitmq, operator, apply):
    queue = job_queue(bed, "retuned", path="amqp")
    name = apply(queue)
    settings = bed.environment()
    assert settings
    rabbitmq.publish(name, (b"x", pika.BasicProperties()))
    queue["spec"]["queue"] |= {"maxLength": 77, "messageTtl": "1h"}
    queue["spec"]["routing"]["keys"] = ["a.b", "c.d"]
    apply(queue)

    def effect():
        found = next(q for q in management(bed, "/queues") if q["name"] == name)
        definition = found.get("effective_policy_definition") or {}
        return definition if definition.get("max-length") == 77 and definition["message-ttl"] == 3600000 else None

    wait_for(effect, 30, "the policy has taken effect")
    keys = {b["routing_key"] for b in management(bed, "/bindings") if b["source"] == f"{name}.events"}
    assert keys == {"a.b", "c.d"}
    assert rabbitmq.depth(name) == 1


# --- what it can't repair ---


def test_a_queue_with_other_arguments_is_told_and_left(bed, rabbitmq, operator, apply):
    rabbitmq.declare("otherwise")  # a classic one
    rabbitmq.publish("otherwise", (b"precious", pika.BasicProperties()))
    name = apply(job_queue(bed, "otherwise", path="amqp", management="direct"), ready=False)
    message = wait_for_condition(bed, name, "QueueReady", "False", "Different")
    assert "classic" in message
    assert "quorum" in message
    assert rabbitmq.depth("otherwise") == 1


def test_the_documents_arguments_are_adopted(bed, rabbitmq, operator, apply):
    rabbitmq.declare("adopted", {"x-queue-type": "quorum", "x-message-ttl": 86400000, "x-max-length": 10000,
                                 "x-overflow": "drop-head", "x-dead-letter-exchange": "adopted.dlx",
                                 "x-dead-letter-routing-key": "adopted.dlq"})  # fmt: skip
    name = apply(job_queue(bed, "adopted", path="amqp"))
    message = wait_for_condition(bed, name, "QueueReady", "True", "Adopted")
    assert "x-message-ttl=86400000" in message


def test_two_job_queues_for_one_queue(bed, operator, apply):
    older = apply(job_queue(bed, "claimed", path="amqp", management="direct"))
    other = job_queue(bed, "claimed", path="amqp", management="direct")
    other["metadata"]["name"] = "claimed-too"
    younger = apply(other, ready=False)
    message = wait_for_condition(bed, younger, "Ready", "False", "ClaimedByOther")
    assert f"{NAMESPACE}/{older}" in message
    wait_for_condition(bed, older, "Ready", "True")


def test_without_its_secret_it_says_what_is_missing_and_goes_on_with_it(bed, operator, apply):
    queue = job_queue(bed, "secretless", path="amqp", management="direct")
    queue["spec"]["rabbitmq"]["connectionSecret"]["name"] = "rabbitmq-cluster-default-user"
    name = apply(queue, ready=False)
    assert "rabbitmq-dev/rabbitmq-cluster-default-user" in wait_for_condition(bed, name, "Ready", "Unknown", "SecretMissing")
    secret = json.loads(bed.kubectl("get", "secret", "rabbitmq-connection", "-n", RABBITMQ_NAMESPACE, "-o", "json"))
    secret["metadata"] = {"name": "rabbitmq-cluster-default-user", "namespace": RABBITMQ_NAMESPACE,
                          "annotations": secret["metadata"]["annotations"]}  # fmt: skip
    wrong = {**secret, "data": {**secret["data"], "password": "d3Jvbmc="}}
    bed.apply(wrong)
    wait_for_condition(bed, name, "Ready", "Unknown", "RabbitmqUnauthorized")
    bed.apply(secret)
    wait_for_condition(bed, name, "Ready", "True", seconds=30)


def test_a_missing_vhost_is_told_and_found_when_it_comes(bed, rabbitmq, operator, apply):
    queue = job_queue(bed, "elsewhere", path="amqp", management="direct")
    queue["spec"]["rabbitmq"]["vhost"] = "elsewhere"
    name = apply(queue, ready=False)
    wait_for_condition(bed, name, "Ready", "Unknown", "VhostMissing")
    rabbitmq.control("add_vhost", "elsewhere")
    user = urllib.parse.unquote(urllib.parse.urlsplit(bed.environment()["AMQP_URL"]).username)
    rabbitmq.control("set_permissions", "-p", "elsewhere", user, ".*", ".*", ".*")
    wait_for_condition(bed, name, "Ready", "True", seconds=30)


# --- deletion ---


def test_retain_keeps_a_queue_that_holds_messages(bed, rabbitmq, operator, apply):
    """Design: a queue that holds messages is never dropped, unless the JobQueue says Delete."""
    name = apply(job_queue(bed, "retained", path="amqp"))
    rabbitmq.publish(name, (b"precious", pika.BasicProperties()))
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--timeout=60s", seconds=90)
    assert rabbitmq.depth(name) == 1
    assert f"{name}.dlq" not in queue_names(bed)  # it was empty
    assert child_objects(bed, name) == {}
    rabbitmq.delete(name)


def test_delete_takes_everything(bed, rabbitmq, operator, apply):
    name = apply(job_queue(bed, "dropped", deletionPolicy="Delete"))
    rabbitmq.publish(name, (b"not precious", pika.BasicProperties()))
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--timeout=60s", seconds=90)
    left = thing_in_broker(bed, name)
    assert not any(left.values()), left
    assert child_objects(bed, name) == {}


# --- redrive ---


def redrive(name, queue, **spec):
    return {"apiVersion": "lambda.notifi.network/v1alpha1", "kind": "DeadLetterRedrive",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"queueRef": {"name": queue}, **spec}}  # fmt: skip


def test_redrive_moves_dead_letters_back(bed, rabbitmq, operator, apply):
    name = apply(job_queue(bed, "redriven", path="amqp"))
    letters = [(example_event(f"dead-{number}").encode(),
                pika.BasicProperties(content_type="application/cloudevents+json")) for number in range(200)]  # fmt: skip
    rabbitmq.publish(f"{name}.dlq", *letters)

    bed.apply(redrive("count", name, dryRun=True))
    wait_for_condition(bed, "count", "Complete", "True", "DryRun", kind="deadletterredrive")
    assert rabbitmq.depth(f"{name}.dlq") == 200

    bed.apply(redrive("move", name, limit=150))
    wait_for_condition(bed, "move", "Complete", "True", "LimitReached", kind="deadletterredrive")
    status = json.loads(bed.kubectl("get", "dlr", "move", "-n", NAMESPACE, "-o", "json"))["status"]
    assert (status["moved"], status["phase"]) == (150, "Completed")
    assert (rabbitmq.depth(name), rabbitmq.depth(f"{name}.dlq")) == (150, 50)
    ids = [properties.headers["ce-id"] for properties, _body in rabbitmq.take(name, 150)]
    assert ids == [f"dead-{number}" for number in range(150)]

    bed.apply(redrive("rest", name, ttlSecondsAfterFinished=1))
    wait_for(lambda: rabbitmq.depth(name) == 50, 30, "the rest is moved")
    wait_for(lambda: "rest" not in bed.kubectl("get", "dlr", "-n", NAMESPACE, "-o", "name"), 30, "its time is up")
