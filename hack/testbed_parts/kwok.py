"""kwok, in place of a kubelet where there is no node: one node that is not there, and whose pods
are said to run, or, those of Jobs, to have succeeded. None of them does anything.
"""

import json

from . import api, apiserver, kubectl, tools
from .part import Part

NODE_NAME = "fake"
MARK = "kwok.x-k8s.io/node"


def _prepare(bed):
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "annotations": {MARK: "fake"}},
    }
    kubectl.apply(bed, json.dumps(node))
    # After a minute without kwok its pods are no longer Ready, and kwok leaves them so. New ones are.
    kubectl.kubectl(
        bed, "delete", "pods", "--all-namespaces", "--wait=false",
        f"--field-selector=spec.nodeName={NODE_NAME},status.phase=Running",
    )  # fmt: skip


def _command(bed):
    return [
        tools.program(tools.KWOK, "kwok"),
        f"--kubeconfig={apiserver.kubeconfig(bed)}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={MARK}=fake",
        # Else it shows itself to the API server once a minute, and is taken for dead in between.
        "--node-lease-duration-seconds=40",
    ]


def _node_is_ready(bed):
    node = api.kubernetes(bed, f"/api/v1/nodes/{NODE_NAME}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


PART = Part(
    name="kwok",
    after=("apiserver",),
    prepare=_prepare,
    command=_command,
    ready=_node_is_ready,
)
