"""The controller manager and the scheduler: the two that act on what the API server keeps."""

import json
import ssl

from . import api, apiserver, certificates, tools
from .part import Part


def _serving(bed, name):
    """Both answer questions about their health, on a port of this machine only."""
    return [
        f"--secure-port={bed.port(name)}",
        "--bind-address=127.0.0.1",
        f"--tls-cert-file={certificates.path(bed, 'apiserver.crt')}",
        f"--tls-private-key-file={certificates.path(bed, 'apiserver.key')}",
    ]


def _is_healthy(bed, name):
    trust = ssl.create_default_context(cafile=certificates.path(bed, "ca.crt"))
    return api.answers(f"https://127.0.0.1:{bed.port(name)}/healthz", context=trust)


# --- the controller manager ---


def _controller_manager_command(bed):
    return [
        tools.program(tools.KUBERNETES, "kube-controller-manager"),
        f"--kubeconfig={apiserver.kubeconfig(bed)}",
        *_serving(bed, "controller-manager"),
        f"--service-account-private-key-file={certificates.path(bed, 'service-account.key')}",
        f"--root-ca-file={certificates.path(bed, 'ca.crt')}",
        "--leader-elect=false",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={bed.pod_network}",
        "--node-cidr-mask-size=24",
        f"--service-cluster-ip-range={bed.service_network}",
        f"--flex-volume-plugin-dir={bed.subfolder('work', 'controller-manager')}",  # it makes it
        # Left alone it asks 20 questions a second at most, and is what every test waits for.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def _controller_manager_works(bed):
    """Pods need this account; that it was made shows that the controllers are at work."""
    return _is_healthy(bed, "controller-manager") and api.kubernetes_answers(
        bed, "/api/v1/namespaces/default/serviceaccounts/default"
    )


CONTROLLER_MANAGER = Part(
    name="controller-manager",
    after=("apiserver",),
    command=_controller_manager_command,
    ready=_controller_manager_works,
    ports=("controller-manager",),
)

# --- the scheduler ---


def _write_scheduler_configuration(bed):
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": apiserver.kubeconfig(bed), "qps": 500, "burst": 1000},
        "leaderElection": {"leaderElect": False},
    }
    bed.write("scheduler.json", json.dumps(configuration))


def _scheduler_command(bed):
    return [
        tools.program(tools.KUBERNETES, "kube-scheduler"),
        f"--config={bed.folder / 'scheduler.json'}",
        *_serving(bed, "scheduler"),
    ]


SCHEDULER = Part(
    name="scheduler",
    after=("apiserver",),
    prepare=_write_scheduler_configuration,
    command=_scheduler_command,
    ready=lambda bed: _is_healthy(bed, "scheduler"),
    ports=("scheduler",),
)
