"""A JobQueue goes without loss, and never gets stuck."""

import pika
from support.job_queues import child_objects, job_queue, things_in_broker
from support.knative import management
from support.operator_process import NAMESPACE, wait_for_condition
from support.waiting import wait_for


def delete(bed, name):
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--timeout=60s", seconds=90)


def test_retain_keeps_a_queue_that_holds_messages(bed, rabbitmq, operator, apply):
    """Design: a queue that holds messages is never dropped, unless the JobQueue says Delete."""
    name = apply(job_queue(bed, "retained", path="amqp"))
    rabbitmq.publish(name, (b"precious", pika.BasicProperties()))
    delete(bed, name)
    assert rabbitmq.depth(name) == 1
    assert f"{name}.dlq" not in {queue["name"] for queue in management(bed, "/queues")}  # it was empty
    assert child_objects(bed, name) == {}
    rabbitmq.delete(name)


def test_delete_takes_everything(bed, rabbitmq, operator, apply):
    name = apply(job_queue(bed, "dropped", deletionPolicy="Delete"))
    rabbitmq.publish(name, (b"not precious", pika.BasicProperties()))
    delete(bed, name)
    left = things_in_broker(bed, name)
    assert not any(left.values()), left
    assert child_objects(bed, name) == {}


def test_deletion_waits_for_a_missing_secret_unless_forced(bed, rabbitmq, operator, apply):
    queue = job_queue(bed, "stuck", path="amqp", management="direct")
    queue["spec"]["rabbitmq"]["connectionSecret"]["name"] = "rabbitmq-cluster-default-user"
    name = apply(queue, ready=False)
    wait_for_condition(bed, name, "Ready", "Unknown", "SecretMissing")
    bed.kubectl("delete", "jobqueue", name, "-n", NAMESPACE, "--wait=false")
    message = wait_for_condition(bed, name, "Ready", "False", "DeletionBlocked")
    assert "lambda.notifi.network/force-deletion=true" in message
    bed.kubectl("annotate", "jobqueue", name, "-n", NAMESPACE, "lambda.notifi.network/force-deletion=true")
    wait_for(lambda: name not in bed.kubectl("get", "jobqueue", "-n", NAMESPACE, "-o", "name"), 30, "it is gone")
