"""Kueue: it admits suspended Jobs that name a queue, by the quota that the queue has.

Its webhooks are not registered with the API server: there is no Service that would lead to them. So
nothing is filled in or refused for it; Jobs must come suspended by themselves.
"""

import json
from pathlib import Path

from . import api, apiserver, certificates, definitions, kubectl, tools
from .part import Part

NAMESPACE = "kueue-system"
WEBHOOK_SECRET = "kueue-webhook-server-cert"  # Kueue fills it, but does not make it


def _prepare(bed):
    definitions.apply(bed, tools.KUEUE)
    kubectl.apply(bed, json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
    kubectl.apply(bed, json.dumps(_webhook_secret()))
    _write_certificate(bed)
    bed.write("kueue/configuration.json", json.dumps(_configuration(bed)))


def _webhook_secret():
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": WEBHOOK_SECRET, "namespace": NAMESPACE},
    }


def _write_certificate(bed):
    """For the webhooks' server, which must be there although nobody calls it."""
    for suffix in ("crt", "key"):
        text = Path(certificates.path(bed, f"apiserver.{suffix}")).read_text()
        bed.write(f"kueue/certificates/tls.{suffix}", text)


def _configuration(bed):
    local = "127.0.0.1"
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta1",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f"{local}:{bed.port('kueue-health')}"},
        "metrics": {"bindAddress": f"{local}:{bed.port('kueue-metrics')}"},
        "webhook": {
            "host": local,
            "port": bed.port("kueue-webhook"),
            "certDir": str(bed.folder / "kueue" / "certificates"),
        },
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": True},  # else it wants certificates in /etc
        "manageJobsWithoutQueueName": False,
        "integrations": {"frameworks": ["batch/job"]},
        # Between the LocalQueues of a ClusterQueue, by what each used of late. A usage is kept in thousandths: a
        # sample that is too short for the half-life would be rounded away.
        "admissionFairSharing": {"usageHalfLifeTime": "1m", "usageSamplingInterval": "1s"},
        "clientConnection": {"qps": 200, "burst": 400},
        "featureGates": {
            "AdmissionFairSharing": True,
            "VisibilityOnDemand": False,  # it would take port 8082
        },
    }


PART = Part(
    name="kueue",
    after=("apiserver",),
    prepare=_prepare,
    command=lambda bed: [
        tools.program(tools.KUEUE, "kueue"),
        f"--config={bed.folder / 'kueue' / 'configuration.json'}",
    ],
    environment=lambda bed: {"KUBECONFIG": apiserver.kubeconfig(bed)},
    ready=lambda bed: api.answers(f"http://127.0.0.1:{bed.port('kueue-health')}/readyz"),
    ports=("kueue-health", "kueue-metrics", "kueue-webhook"),
)
