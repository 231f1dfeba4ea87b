"""What was written wrong, or is missing around a JobQueue: a condition says it with its reason and the way out, nothing
is lost by it, and when it is mended, the JobQueue goes on by itself."""

import contextlib
import json
import urllib.parse

import pika
from support.job_queues import child_objects, job_queue
from support.knative import connection_secret, management
from support.knative_objects import broker
from support.operator_process import NAMESPACE, RABBITMQ_NAMESPACE, wait_for_condition
from support.waiting import wait_for

OTHER_SECRET = "rabbitmq-cluster-default-user"  # which the operator may read too


def by_amqp(bed, name, **changes):
    return job_queue(bed, name, **({"path": "amqp", "management": "direct"} | changes))


def mended(bed, name):
    wait_for_condition(bed, name, "Ready", "True", seconds=60)


def delete_now(bed, name):
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--timeout=60s", seconds=90)


# --- in the broker ---


def test_a_queue_with_other_arguments_is_told_and_left(bed, rabbitmq, operator, apply):
    """Design: a queue with other arguments is never deleted while it holds messages."""
    rabbitmq.declare("otherwise")  # a classic one
    rabbitmq.publish("otherwise", (b"precious", pika.BasicProperties()))
    name = apply(by_amqp(bed, "otherwise"), ready=False)
    message = wait_for_condition(bed, name, "QueueReady", "False", "Different")
    assert "classic" in message
    assert "quorum" in message
    assert rabbitmq.depth("otherwise") == 1
    rabbitmq.delete("otherwise")  # the way out, by hand
    mended(bed, name)


def test_an_exchange_of_another_type_is_told(bed, rabbitmq, operator, apply):
    with rabbitmq.channel() as channel:
        channel.exchange_declare("mistyped.events", "fanout", durable=True)
    name = apply(by_amqp(bed, "mistyped"), ready=False)
    assert "fanout" in wait_for_condition(bed, name, "RoutingReady", "False", "Different")
    with rabbitmq.channel() as channel:
        channel.exchange_delete("mistyped.events")
    mended(bed, name)


def test_the_documents_arguments_are_adopted(bed, rabbitmq, operator, apply):
    rabbitmq.declare("adopted", {"x-queue-type": "quorum", "x-message-ttl": 86400000, "x-max-length": 10000,
                                 "x-overflow": "drop-head", "x-dead-letter-exchange": "adopted.dlx",
                                 "x-dead-letter-routing-key": "adopted.dlq"})  # fmt: skip
    name = apply(job_queue(bed, "adopted", path="amqp"))
    message = wait_for_condition(bed, name, "QueueReady", "True", "Adopted")
    assert "x-message-ttl=86400000" in message


def test_another_policy_in_its_way(bed, rabbitmq, operator, apply):
    name = apply(by_amqp(bed, "shadowed"))
    words = ["--priority", "99", "--apply-to", "queues"]
    rabbitmq.control("set_policy", *words, "greedy", "^shadowed$", '{"max-length":3}')
    assert "greedy" in wait_for_condition(bed, name, "QueueReady", "False", "PolicyShadowed")
    rabbitmq.control("clear_policy", "greedy")
    mended(bed, name)


def test_a_vhost_that_is_missing_comes_and_goes(bed, rabbitmq, operator, apply):
    name = apply(by_amqp(bed, "elsewhere", rabbitmq={"vhost": "elsewhere"}), ready=False)
    for _ in range(2):
        wait_for_condition(bed, name, "Ready", "Unknown", "VhostMissing")
        rabbitmq.control("add_vhost", "elsewhere")
        user = urllib.parse.unquote(urllib.parse.urlsplit(rabbitmq.uri).username)
        rabbitmq.control("set_permissions", "-p", "elsewhere", user, ".*", ".*", ".*")
        mended(bed, name)
        rabbitmq.control("delete_vhost", "elsewhere")
    wait_for_condition(bed, name, "Ready", "Unknown", "VhostMissing")


def test_rabbitmq_is_down_and_comes_back(bed, rabbitmq, operator, apply):
    name = apply(by_amqp(bed, "outage"))
    bed.run("stop", "--hard", "rabbitmq")
    try:
        message = wait_for_condition(bed, name, "Ready", "Unknown", "RabbitmqUnreachable", seconds=60)
        assert "management API" in message
    finally:
        bed.run("start", "rabbitmq")
    mended(bed, name)


# --- credentials ---


def secret(bed, **changes):
    made = connection_secret(bed)
    made["metadata"]["name"] = OTHER_SECRET
    made["stringData"] |= changes
    return made


def test_its_secret_is_missing_wrong_right_rotated_and_gone(bed, rabbitmq, operator, apply):
    connection = {"connectionSecret": {"name": OTHER_SECRET, "namespace": RABBITMQ_NAMESPACE}}
    name = apply(by_amqp(bed, "secretless", rabbitmq=connection), ready=False)
    try:
        message = wait_for_condition(bed, name, "Ready", "Unknown", "SecretMissing")
        assert f"{RABBITMQ_NAMESPACE}/{OTHER_SECRET}" in message
        bed.apply(secret(bed, password="wrong"))
        wait_for_condition(bed, name, "Ready", "Unknown", "RabbitmqUnauthorized")
        bed.apply(secret(bed, uri="no URL"))
        wait_for_condition(bed, name, "Ready", "Unknown", "SecretInvalid")
        bed.apply(secret(bed))
        mended(bed, name)

        rabbitmq.control("add_user", "rotated", "first")
        rabbitmq.control("set_user_tags", "rotated", "administrator")
        rabbitmq.control("set_permissions", "rotated", ".*", ".*", ".*")
        bed.apply(secret(bed, username="rotated", password="first"))
        mended(bed, name)
        rabbitmq.control("change_password", "rotated", "second")
        bed.apply(secret(bed, username="rotated", password="second"))
        rabbitmq.delete(f"{name}.dlq")
        wait_for(lambda: f"{name}.dlq" in {queue["name"] for queue in management(bed, "/queues")}, 60, "it is repaired")
        mended(bed, name)
    finally:
        bed.kubectl("delete", "secret", OTHER_SECRET, "-n", RABBITMQ_NAMESPACE, "--ignore-not-found")
    wait_for_condition(bed, name, "Ready", "Unknown", "SecretMissing", seconds=60)


def test_its_user_has_no_rights(bed, rabbitmq, operator, apply):
    rabbitmq.control("add_user", "guest-of-nothing", "secret")
    connection = {"connectionSecret": {"name": OTHER_SECRET, "namespace": RABBITMQ_NAMESPACE}}
    bed.apply(secret(bed, username="guest-of-nothing", password="secret"))
    try:
        name = apply(by_amqp(bed, "rightless", rabbitmq=connection), ready=False)
        wait_for_condition(bed, name, "Ready", "Unknown", "RabbitmqUnauthorized")
        rabbitmq.control("set_user_tags", "guest-of-nothing", "administrator")
        rabbitmq.control("set_permissions", "guest-of-nothing", ".*", ".*", ".*")
        mended(bed, name)
    finally:
        bed.kubectl("delete", "secret", OTHER_SECRET, "-n", RABBITMQ_NAMESPACE, "--ignore-not-found")
        rabbitmq.control("delete_user", "guest-of-nothing")


def test_its_cluster_is_missing(bed, operator, apply):
    queue = by_amqp(bed, "clusterless")
    queue["spec"]["rabbitmq"] = {"clusterReference": {"name": "rabbitmq-cluster", "namespace": RABBITMQ_NAMESPACE}}
    name = apply(queue, ready=False)
    assert "rabbitmq-dev/rabbitmq-cluster" in wait_for_condition(bed, name, "Ready", "Unknown", "ClusterMissing")


# --- in Kubernetes ---


def test_two_job_queues_for_one_queue(bed, operator, apply):
    older = apply(by_amqp(bed, "claimed"))
    other = by_amqp(bed, "claimed")
    other["metadata"]["name"] = "claimed-too"
    younger = apply(other, ready=False)
    message = wait_for_condition(bed, younger, "Ready", "False", "ClaimedByOther")
    assert f"{NAMESPACE}/{older}" in message
    wait_for_condition(bed, older, "Ready", "True")
    delete_now(bed, older)
    mended(bed, younger)


def test_its_knative_broker_is_missing_or_of_another_class(bed, operator, apply):
    queue = job_queue(bed, "brokerless", management="direct")
    queue["spec"]["trigger"]["broker"]["create"] = False
    name = apply(queue, ready=False)
    wait_for_condition(bed, name, "TriggerReady", "False", "KnativeBrokerMissing")
    config, made = broker(NAMESPACE, name)
    other = json.loads(json.dumps(made))
    other["metadata"]["annotations"]["eventing.knative.dev/broker.class"] = "MTChannelBasedBroker"
    del other["spec"]
    bed.apply(other)
    message = wait_for_condition(bed, name, "TriggerReady", "False", "KnativeBrokerClass", seconds=60)
    assert "MTChannelBasedBroker" in message
    bed.kubectl("delete", "broker", name, "-n", NAMESPACE)
    bed.apply(config, made)
    mended(bed, name)
    delete_now(bed, name)
    bed.kubectl("delete", "broker,rabbitmqbrokerconfig", name, "-n", NAMESPACE)


def test_a_namespace_is_missing_comes_and_goes(bed, operator, apply):
    queue = job_queue(bed, "homeless", management="direct")
    queue["spec"]["trigger"]["broker"]["namespace"] = "homeless"
    name = apply(queue, ready=False)
    for _ in range(2):
        wait_for_condition(bed, name, "TriggerReady", "False", "NamespaceMissing", seconds=60)
        bed.kubectl("create", "namespace", "homeless")
        mended(bed, name)
        bed.kubectl("delete", "namespace", "homeless", "--timeout=60s", seconds=90)
    wait_for_condition(bed, name, "TriggerReady", "False", "NamespaceMissing", seconds=60)


def test_its_subscriber_is_missing(bed, operator, apply):
    queue = job_queue(bed, "subscriberless", management="direct")
    queue["spec"]["trigger"]["subscriber"]["ref"]["name"] = "nobody-yet"
    name = apply(queue, ready=False)

    def is_told():  # the Broker is not ready at first
        return "nobody-yet" in wait_for_condition(bed, name, "TriggerReady", "False", "ObjectNotReady")

    wait_for(is_told, 60, "the missing Service is named")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nobody-yet", "namespace": NAMESPACE},
               "spec": {"ports": [{"port": 80}], "selector": {"app": "nobody"}}}  # fmt: skip
    bed.apply(service)
    mended(bed, name)


@contextlib.contextmanager
def without_right(bed, group):
    """The operator's, to create in that API group."""
    role = json.loads(bed.kubectl("get", "clusterrole", "knative-lambda-operator", "-o", "json"))
    taken = json.loads(json.dumps(role))
    for rule in taken["rules"]:
        if group in rule["apiGroups"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb in ("get", "list", "watch")]
    for each in (role, taken):
        for field in ("managedFields", "resourceVersion", "uid"):
            each["metadata"].pop(field, None)
    bed.kubectl("replace", "-f", "-", stdin=json.dumps(taken))
    try:
        yield
    finally:
        bed.kubectl("replace", "-f", "-", stdin=json.dumps(role))


def test_its_rights_are_taken_away(bed, operator, apply):
    with without_right(bed, "rabbitmq.com"):
        name = apply(job_queue(bed, "forbidden", path="amqp"), ready=False)
        message = wait_for_condition(bed, name, "QueueReady", "False", "Forbidden")
        assert "queues.rabbitmq.com" in message
    mended(bed, name)


def test_an_edited_job_queue_takes_effect_without_a_new_queue(bed, rabbitmq, operator, apply):
    queue = job_queue(bed, "retuned", path="amqp")
    name = apply(queue)
    rabbitmq.publish(name, (b"x", pika.BasicProperties()))
    queue["spec"]["queue"] |= {"maxLength": 77, "messageTtl": "1h"}
    queue["spec"]["routing"]["keys"] = ["a.b", "c.d"]
    apply(queue)

    def effect():
        found = next(q for q in management(bed, "/queues") if q["name"] == name)
        definition = found.get("effective_policy_definition") or {}
        return definition.get("max-length") == 77 and definition["message-ttl"] == 3600000

    wait_for(effect, 30, "the policy has taken effect")

    def keys():
        return {b["routing_key"] for b in management(bed, "/bindings") if b["source"] == f"{name}.events"}

    wait_for(lambda: keys() == {"a.b", "c.d"}, 30, "the new keys are bound, and no other")
    assert rabbitmq.depth(name) == 1


def test_a_trigger_that_has_a_backlog_is_not_deleted(bed, rabbitmq, operator, apply):
    """With the Trigger goes its queue, in which the backlog of the chain stands."""
    name = apply(job_queue(bed, "backlog"))
    own = next(q["name"] for q in management(bed, "/queues") if q["name"].startswith(f"{NAMESPACE}.{name}-trigger."))
    rabbitmq.publish(own, (b"precious", pika.BasicProperties()))
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--wait=false")
    message = wait_for_condition(bed, name, "Ready", "False", "HoldsMessages")
    assert own in message
    assert ("Trigger", f"{name}-trigger") in child_objects(bed, name)
    assert rabbitmq.take(own, 1)[0][1] == b"precious"
    wait_for(lambda: name not in bed.kubectl("get", "jobqueue", "-n", NAMESPACE, "-o", "name"), 60, "it is gone")
