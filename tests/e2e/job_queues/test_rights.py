"""manifests/rbac gives what is needed, and no more: asked of the real API server in the name of each ServiceAccount.
That what is given is enough, all other tests here show: their operator has no other rights."""

import pytest

OPERATOR = "system:serviceaccount:knative-lambda:knative-lambda-operator"
BUILDER = "system:serviceaccount:knative-lambda:knative-lambda-builder"

MAY = [
    (OPERATOR, "patch", "jobqueues.lambda.notifi.network/status", "anywhere", None),
    (OPERATOR, "create", "queues.rabbitmq.com", "anywhere", None),
    (OPERATOR, "delete", "triggers.eventing.knative.dev", "anywhere", None),
    (OPERATOR, "get", "secrets", "rabbitmq-dev", "rabbitmq-connection"),
    (OPERATOR, "update", "leases.coordination.k8s.io", "knative-lambda", "knative-lambda-operator"),
    (OPERATOR, "create", "events.events.k8s.io", "anywhere", None),
    (OPERATOR, "create", "jobs.batch", "knative-lambda-builds", None),
    (OPERATOR, "patch", "jobs.batch/status", "knative-lambda-builds", None),
    (OPERATOR, "get", "pods/log", "knative-lambda-builds", None),
    (BUILDER, "create", "jobs.batch", "knative-lambda-builds", None),
]
MAY_NOT = [
    (OPERATOR, "list", "secrets", "rabbitmq-dev", None),
    (OPERATOR, "watch", "secrets", "rabbitmq-dev", None),
    (OPERATOR, "get", "secrets", "rabbitmq-dev", "something-else"),
    (OPERATOR, "get", "secrets", "kube-system", "rabbitmq-connection"),
    (OPERATOR, "create", "secrets", "rabbitmq-dev", None),
    (OPERATOR, "create", "jobqueues.lambda.notifi.network", "anywhere", None),
    (OPERATOR, "delete", "jobqueues.lambda.notifi.network", "anywhere", None),
    (OPERATOR, "update", "leases.coordination.k8s.io", "kube-system", "knative-lambda-operator"),
    (OPERATOR, "update", "leases.coordination.k8s.io", "knative-lambda", "another"),
    (OPERATOR, "create", "jobs.batch", "default", None),
    (OPERATOR, "patch", "jobs.batch", "default", None),
    (OPERATOR, "delete", "jobs.batch", "knative-lambda-builds", None),
    (OPERATOR, "get", "pods/log", "default", None),
    (OPERATOR, "create", "pods/exec", "knative-lambda-builds", None),
    (OPERATOR, "delete", "pods", "knative-lambda-builds", None),
    (OPERATOR, "create", "pods", "knative-lambda-builds", None),
    (OPERATOR, "get", "configmaps", "knative-lambda", None),
    (OPERATOR, "delete", "namespaces", None, "rabbitmq-dev"),
    (OPERATOR, "update", "queues.rabbitmq.com", "anywhere", None),
    (OPERATOR, "deletecollection", "queues.rabbitmq.com", "anywhere", None),
    (OPERATOR, "escalate", "clusterroles.rbac.authorization.k8s.io", None, None),
    (OPERATOR, "impersonate", "users", None, None),
    (BUILDER, "list", "secrets", "knative-lambda-builds", None),
    (BUILDER, "create", "jobs.batch", "default", None),
    (BUILDER, "delete", "jobs.batch", "knative-lambda-builds", None),
    (BUILDER, "create", "pods", "knative-lambda-builds", None),
    (BUILDER, "patch", "jobqueues.lambda.notifi.network", "anywhere", None),
]


def may(bed, who, verb, resource, namespace, name):
    kind, _, subresource = resource.partition("/")
    words = [verb, f"{kind}/{name}" if name else kind]
    words += [f"--namespace={namespace}"] if namespace else []
    words += [f"--subresource={subresource}"] if subresource else []
    return bed.kubectl("auth", "can-i", *words, f"--as={who}", check=False).strip().startswith("yes")


@pytest.mark.parametrize("right", MAY, ids=lambda right: " ".join(filter(None, right[1:])))
def test_it_may(bed, right):
    assert may(bed, *right)


@pytest.mark.parametrize("right", MAY_NOT, ids=lambda right: " ".join(filter(None, right[1:])))
def test_it_may_not(bed, right):
    assert not may(bed, *right)
