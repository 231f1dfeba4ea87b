"""kwok, in place of a kubelet where there is no node: one node that is not there, and whose pods
are said to run, or, those of Jobs, to have succeeded. None of them does anything.

A Job's pod may say by annotations how it ends:

    testbed.local/runs-for     how long it is said to run, e.g. "5s"; without it: no time
    testbed.local/says         its termination message
    testbed.local/fails-with   the reason of its failure, e.g. "OOMKilled"; without it, it succeeds
"""

import json

from . import api, apiserver, kubectl, tools
from .part import Part

NODE_NAME = "fake"
MARK = "kwok.x-k8s.io/node"

# --- what becomes of the pods, in kwok's words ---

ANNOTATION = "testbed.local/"

RUNNING = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
{{ range $type := (list "Initialized" "Ready" "ContainersReady") }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
"""

ENDED = """
{{ $now := Now }}
{{ $pod := . }}
{{ $says := "" }}
{{ $reason := "Completed" }}
{{ with .metadata.annotations }}
{{ $says = or (index . "testbed.local/says") "" }}
{{ $reason = or (index . "testbed.local/fails-with") $reason }}
{{ end }}
phase: {{ if eq $reason "Completed" }}Succeeded{{ else }}Failed{{ end }}
containerStatuses:
{{ range $index, $container := .spec.containers }}
- name: {{ $container.name | Quote }}
  image: {{ $container.image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    running: null
    terminated:
      exitCode: {{ if eq $reason "Completed" }}0{{ else }}255{{ end }}
      reason: {{ $reason | Quote }}
      message: {{ $says | Quote }}
      startedAt: {{ (index $pod.status.containerStatuses $index).state.running.startedAt | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
"""


def _is(key, *values):
    return {"key": key, "operator": "In", "values": list(values)}


def _exists(key, does=True):
    return {"key": key, "operator": "Exists" if does else "DoesNotExist"}


def _stage(name, matches, then, **more):
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": matches},
            "next": then,
            **more,
        },
    }


def _stages():
    lives = _exists(".metadata.deletionTimestamp", does=False)
    duration = f'.metadata.annotations["{ANNOTATION}runs-for"]'
    return [
        _stage("pod-runs", [lives, _exists(".status.podIP", does=False)], {"statusTemplate": RUNNING}),
        _stage(
            "pod-of-job-ends",
            [lives, _is(".status.phase", "Running"), _is(".metadata.ownerReferences.[].kind", "Job")],
            {"statusTemplate": ENDED},
            delay={"durationMilliseconds": 0, "durationFrom": {"expressionFrom": duration}},
        ),
        _stage(
            "pod-goes",
            [_exists(".metadata.deletionTimestamp")],
            {"finalizers": {"empty": True}, "delete": True},
        ),
    ]


# --- the program ---


def _prepare(bed):
    bed.write("kwok.yaml", "\n---\n".join(json.dumps(stage) for stage in _stages()))
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
        f"--config={bed.folder / 'kwok.yaml'}",
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
