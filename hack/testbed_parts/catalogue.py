"""Which parts make which test bed. What each waits for stands with the part itself (`after`)."""

from . import (
    apiserver,
    box,
    certificates,
    containerd,
    controllers,
    etcd,
    images,
    knative,
    kubelet,
    kwok,
    names,
    outside,
    rabbitmq,
    registry,
    tools,
    topology,
)
from .problem import Problem

CONTROL_PLANE = (certificates.PART, etcd.PART, apiserver.PART, controllers.CONTROLLER_MANAGER)

NODE = (
    box.BOX,
    box.NETWORK,
    registry.PART,
    images.PART,
    controllers.SCHEDULER,
    containerd.PART,
    kubelet.KUBELET,
    kubelet.PROXY,
    names.PART,
)

KNATIVE = (
    controllers.SCHEDULER,
    kwok.PART,
    knative.OBJECTS,
    topology.PART,
    knative.BROKER_CONTROLLER,
    knative.SOURCE_CONTROLLER,
)

EXTRAS = {"node": NODE, "rabbitmq": (rabbitmq.PART,), "knative": KNATIVE}


def completed(extras):
    """These extras and those that they need."""
    if {"knative", "node"} <= extras:
        raise Problem(
            "knative and node exclude each other: Knative's pods stand on a node that only pretends"
            " to run them, and a scheduler can't tell it from a real one. Use two --names."
        )
    return extras | ({"rabbitmq"} if "knative" in extras else set())


def parts(extras):
    chosen = list(CONTROL_PLANE)
    for extra in sorted(extras):
        chosen += EXTRAS[extra]
    if "node" in extras and outside.is_possible():
        chosen.append(outside.PART)
    return chosen


def programs(extras):
    """The groups of Go programs that these parts are made of."""
    found = tools.FOR_CONTROL_PLANE
    if "node" in extras:
        found += tools.FOR_NODE
    if "knative" in extras:
        found += tools.FOR_KNATIVE
    return found
