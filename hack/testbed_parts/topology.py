"""The messaging topology operator: it makes RabbitMQ's exchanges, queues, bindings and policies from
objects. Here is also how it, and Knative, find RabbitMQ: a Secret, in place of a RabbitmqCluster.
"""

from . import api, apiserver, kubectl, rabbitmq, tools
from .part import Part

NAMESPACE = "rabbitmq-system"
CONNECTION_NAMESPACE = "rabbitmq-dev"
CONNECTION_SECRET = "rabbitmq-connection"
LEASE = "messaging-topology-operator-leader-election"


def connection_secret(bed):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CONNECTION_SECRET,
            "namespace": CONNECTION_NAMESPACE,
            "annotations": {"rabbitmq.com/topology-allowed-namespaces": "*"},
        },
        "stringData": {
            "uri": rabbitmq.management_url(bed),  # the topology operator's way
            "port": str(bed.port("amqp")),  # Knative's, on the same host
            "username": rabbitmq.USER,
            "password": bed.secret("rabbitmq"),
        },
    }


def _forget_former_leader(bed):
    """One that was killed still holds the lease, and its successor would wait for the end of it."""
    kubectl.kubectl(bed, "delete", "lease", LEASE, f"--namespace={NAMESPACE}", "--ignore-not-found")


def _environment(bed):
    return {
        "KUBECONFIG": apiserver.kubeconfig(bed),
        "OPERATOR_NAMESPACE": NAMESPACE,
        "ENABLE_WEBHOOKS": "false",
        "SYNC_PERIOD": "60s",
        # It ends when it can't renew its lease, and here nobody would start it again: so it outlives
        # an API server that is away. In seconds.
        "LEASE_DURATION": "7200",
        "RENEW_DEADLINE": "3600",
    }


def _controllers_work(bed):
    """A controller that has started counts its workers."""
    try:
        metrics = api.get(f"http://127.0.0.1:{bed.port('topology-operator')}/metrics")
    except api.TROUBLE:
        return False
    return b'controller_runtime_max_concurrent_reconciles{controller="queue"}' in metrics


PART = Part(
    name="topology-operator",
    after=("knative-objects", "rabbitmq"),
    prepare=_forget_former_leader,
    command=lambda bed: [
        tools.program(tools.TOPOLOGY, "messaging-topology-operator"),
        f"--metrics-bind-address=127.0.0.1:{bed.port('topology-operator')}",
        "--zap-devel=false",
    ],
    environment=_environment,
    ready=_controllers_work,
    ports=("topology-operator",),
)
