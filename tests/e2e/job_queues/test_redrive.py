"""Dead letters go back: each once, in order, whatever dies on the way."""

import json
import os
import time

import pika
from support.builder import Builder, example_event, jobs_by_event, make_build_namespace, rabbitmq_settings
from support.job_queues import job_queue, redrive
from support.knative import queue_depth
from support.operator_process import NAMESPACE, wait_for_condition
from support.waiting import wait_for

# Of the test with kills, where a Job is made of each.
SURVIVORS = int(os.environ.get("LAMBDA_REDRIVE_LETTERS", "2000"))


def letters(count):
    return [
        (example_event(f"dead-{number}").encode(), pika.BasicProperties(content_type="application/cloudevents+json"))
        for number in range(count)
    ]


def status_of(bed, name):
    return json.loads(bed.kubectl("get", "dlr", name, "-n", NAMESPACE, "-o", "json")).get("status", {})


def numbers_in(rabbitmq, queue):
    found = [properties.headers["ce-id"] for properties, _body in rabbitmq.take_all(queue)]
    return [int(event_id.removeprefix("dead-")) for event_id in found]


def test_redrive_moves_dead_letters_back(bed, rabbitmq, operator, apply):
    """Design: what died can be sent again, as much of it as is asked for."""
    name = apply(job_queue(bed, "redriven", path="amqp"))
    rabbitmq.publish(f"{name}.dlq", *letters(200))

    bed.apply(redrive("count", name, dryRun=True))
    wait_for_condition(bed, "count", "Complete", "True", "DryRun", kind="deadletterredrive")
    assert rabbitmq.depth(f"{name}.dlq") == 200

    bed.apply(redrive("move", name, limit=150))
    wait_for_condition(bed, "move", "Complete", "True", "LimitReached", kind="deadletterredrive")
    status = status_of(bed, "move")
    assert (status["moved"], status["phase"]) == (150, "Completed")
    assert (rabbitmq.depth(name), rabbitmq.depth(f"{name}.dlq")) == (150, 50)
    assert numbers_in(rabbitmq, name) == list(range(150))

    bed.apply(redrive("rest", name, ttlSecondsAfterFinished=1))
    wait_for(lambda: rabbitmq.depth(name) == 50, 30, "the rest is moved")
    wait_for(lambda: "rest" not in bed.kubectl("get", "dlr", "-n", NAMESPACE, "-o", "name"), 30, "its time is up")


def test_ten_thousand_letters_are_moved_once_each(bed, rabbitmq, operator, apply):
    count = 10_000
    name = apply(job_queue(bed, "many", path="amqp", queue={"overflow": "reject-publish", "maxLength": 20_000}))
    rabbitmq.publish(f"{name}.dlq", *letters(count))
    began = time.monotonic()
    bed.apply(redrive("all", name))
    wait_for_condition(bed, "all", "Complete", "True", "AllMoved", kind="deadletterredrive", seconds=120)
    print(f"{count} letters redriven, {count / (time.monotonic() - began):.0f} a second with all that is around it")
    assert status_of(bed, "all")["moved"] == count
    assert rabbitmq.depth(f"{name}.dlq") == 0
    assert numbers_in(rabbitmq, name) == list(range(count))


def test_a_redrive_survives_the_operator_and_rabbitmq(bed, rabbitmq, operator, apply):
    """Nothing is lost; what a crash doubles makes one Job, as the builder knows an event by its id. 2000 letters, or as
    many as LAMBDA_REDRIVE_LETTERS says."""
    count = SURVIVORS
    name = apply(job_queue(bed, "survivor", path="amqp", queue={"overflow": "reject-publish", "maxLength": 30_000}))
    rabbitmq.publish(f"{name}.dlq", *letters(count))
    bed.apply(redrive("survives", name, rate=count // 10))

    wait_for(lambda: status_of(bed, "survives").get("moved", 0) > count // 20, 60, "some are moved")
    operator.kill()
    operator.start()
    wait_for(lambda: status_of(bed, "survives").get("moved", 0) > count // 3, 90, "the next operator goes on")
    bed.run("stop", "--hard", "rabbitmq")
    bed.run("start", "rabbitmq")
    wait_for_condition(bed, "survives", "Complete", "True", kind="deadletterredrive", seconds=120)

    assert rabbitmq.depth(f"{name}.dlq") == 0
    print(f"{rabbitmq.depth(name) - count} of {count} letters are doubled")
    jobs = build_all(bed, rabbitmq, name)
    assert {event_id: len(names) for event_id, names in jobs.items()} == {f"dead-{n}": 1 for n in range(count)}


def build_all(bed, rabbitmq, name):
    """Lets a builder take all that is in a queue; returns the Jobs of each event."""
    make_build_namespace(bed, name)
    settings = rabbitmq_settings(rabbitmq.uri, name, f"{name}.dlq")
    builder = Builder(
        bed,
        rabbitmq=settings,
        intake={"amqp": {"enabled": True}},
        build={"namespace": name, "admission": "operator"},  # suspended: there is no pod for each
    )
    try:
        wait_for(lambda: queue_depth(bed, name) == 0, 400, "the builder has taken all")
        return jobs_by_event(bed, name)
    finally:
        builder.kill()
