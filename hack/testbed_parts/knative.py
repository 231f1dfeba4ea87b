"""Knative's controllers for RabbitMQ, and the objects that they and the topology operator work on.

They turn Brokers, Triggers and RabbitmqSources into queues and Deployments. The Deployments' pods are
kwok's, so nothing of the data plane runs by itself: tests/support/knative.py starts its programs.
"""

import json

from . import api, apiserver, definitions, kubectl, tools, topology
from .part import Part

NAMESPACE = "knative-eventing"

# --- the objects ---


def _prepare_objects(bed):
    definitions.apply(bed, tools.KNATIVE, tools.TOPOLOGY)
    for name in (NAMESPACE, topology.NAMESPACE, topology.CONNECTION_NAMESPACE):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kubectl.apply(bed, json.dumps(namespace))
    configuration = definitions.read(bed, tools.KNATIVE.folder / "configmaps")
    kubectl.apply(bed, json.dumps(definitions.as_list(configuration)))
    kubectl.apply(bed, json.dumps(topology.connection_secret(bed)))


def _objects_are_there(bed):
    """The Secret is the last of them."""
    namespace, name = topology.CONNECTION_NAMESPACE, topology.CONNECTION_SECRET
    return api.kubernetes_answers(bed, f"/api/v1/namespaces/{namespace}/secrets/{name}")


OBJECTS = Part(
    name="knative-objects",
    after=("apiserver",),
    prepare=_prepare_objects,
    ready=_objects_are_there,
)

# --- the controllers ---


def environment(bed):
    """What all of Knative's programs want to know."""
    return {
        "KUBECONFIG": apiserver.kubeconfig(bed),
        "SYSTEM_NAMESPACE": NAMESPACE,
        "CONFIG_LOGGING_NAME": "config-logging",
        "CONFIG_OBSERVABILITY_NAME": "config-observability",
        "CONFIG_LEADERELECTION_NAME": "config-leader-election",
        "METRICS_DOMAIN": "knative.dev/eventing",
        "POD_NAME": "host",
        "PROFILING_PORT": "0",  # any; else the first of them takes 8008
        "KUBE_API_QPS": "200",
        "KUBE_API_BURST": "400",
    }


# The images of the Deployments: named like the program that is meant.
IMAGES = "testbed.local"
BROKER = {
    "BROKER_INGRESS_IMAGE": f"{IMAGES}/knative-ingress",
    "BROKER_DISPATCHER_IMAGE": f"{IMAGES}/knative-dispatcher",
    "BROKER_DLQ_DISPATCHER_IMAGE": f"{IMAGES}/knative-dispatcher",
    "BROKER_INGRESS_SERVICE_ACCOUNT": "default",
    "BROKER_DISPATCHER_SERVICE_ACCOUNT": "default",
}
SOURCE = {"RABBITMQ_RA_IMAGE": f"{IMAGES}/knative-receive-adapter"}


def _controller(name, own_environment):
    return Part(
        name=name,
        after=("knative-objects",),
        command=lambda _bed: [tools.program(tools.KNATIVE, name), "--disable-ha"],
        environment=lambda bed: (
            environment(bed) | own_environment | {"PROBE_PORT": str(bed.port(name))}
        ),
        ready=lambda bed: api.answers(f"http://127.0.0.1:{bed.port(name)}/"),
        ports=(name,),
    )


BROKER_CONTROLLER = _controller("knative-broker-controller", BROKER)
SOURCE_CONTROLLER = _controller("knative-source-controller", SOURCE)
