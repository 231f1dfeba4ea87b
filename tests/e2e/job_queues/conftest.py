import json
import os

import pytest
from support.job_queues import remove
from support.operator_process import NAMESPACE, Operator, install, wait_for_condition
from support.queues import Broker
from support.testbed import TestBed
from support.waiting import wait_for


@pytest.fixture(scope="package")
def bed():
    """With the real topology operator, Knative's controllers and RabbitMQ."""
    bed = TestBed(f"t{os.getpid()}-job-queues")
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


@pytest.fixture(scope="package")
def rabbitmq(bed):
    return Broker(bed)


@pytest.fixture(scope="module")
def operator(bed):
    operator = Operator(bed)
    wait_for(operator.leads, 30, "the operator leads")
    yield operator
    operator.terminate()


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
    remove(bed, *applied)
