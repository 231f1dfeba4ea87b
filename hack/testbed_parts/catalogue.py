"""Which parts make which test bed. What each waits for stands with the part itself (`after`)."""

from . import (
    apiserver,
    box,
    certificates,
    containerd,
    controllers,
    etcd,
    images,
    kubelet,
    names,
    outside,
    rabbitmq,
    registry,
    tools,
)

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

EXTRAS = {"node": NODE, "rabbitmq": (rabbitmq.PART,)}


def parts(extras):
    chosen = list(CONTROL_PLANE)
    for extra in sorted(extras):
        chosen += EXTRAS[extra]
    if "node" in extras and outside.is_possible():
        chosen.append(outside.PART)
    return chosen


def programs(extras):
    """The groups of Go programs that these parts are made of."""
    return tools.FOR_CONTROL_PLANE + (tools.FOR_NODE if "node" in extras else ())
