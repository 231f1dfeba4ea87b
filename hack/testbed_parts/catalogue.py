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
    kueue,
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

KWOK = (controllers.SCHEDULER, kwok.PART)

KNATIVE = (
    knative.OBJECTS,
    topology.PART,
    knative.BROKER_CONTROLLER,
    knative.SOURCE_CONTROLLER,
)

EXTRAS = {
    "node": NODE,
    "rabbitmq": (rabbitmq.PART,),
    "kwok": KWOK,
    "knative": KNATIVE,
    "kueue": (kueue.PART,),
}
NEEDS = {"knative": {"rabbitmq", "kwok"}}


def completed(extras):
    """These extras and those that they need."""
    found = extras.union(*(NEEDS.get(extra, set()) for extra in extras))
    if {"kwok", "node"} <= found:
        asked = "knative" if "knative" in extras else "kwok"
        raise Problem(
            f"{asked} and node exclude each other: its pods stand on a node that only pretends to run"
            " them, and a scheduler can't tell it from a real one. Use two --names."
        )
    return found


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
    for extra in sorted(extras):
        found += tools.FOR_EXTRA.get(extra, ())
    return found
