"""Knative's and the topology operator's objects, as a person would write them."""

from support.knative import cluster_reference


def named(namespace, api_version, kind, name, spec, **metadata):
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }


def broker(namespace, name):
    config = named(
        namespace,
        "eventing.knative.dev/v1alpha1",
        "RabbitmqBrokerConfig",
        name,
        {"rabbitmqClusterReference": cluster_reference(), "queueType": "quorum"},
    )
    reference = {key: config[key] for key in ("apiVersion", "kind")}
    reference |= {"name": name, "namespace": namespace}  # which a webhook would add
    return [
        config,
        named(
            namespace,
            "eventing.knative.dev/v1",
            "Broker",
            name,
            {"config": reference},
            annotations={"eventing.knative.dev/broker.class": "RabbitMQBroker"},
        ),
    ]


def trigger(namespace, name, broker_name, event_type, url, delivery=None, parallelism=1):
    spec = {
        "broker": broker_name,
        "filter": {"attributes": {"type": event_type}},
        "subscriber": {"uri": url},
    }
    if delivery:
        spec["delivery"] = delivery
    annotations = {"rabbitmq.eventing.knative.dev/parallelism": str(parallelism)}
    return named(namespace, "eventing.knative.dev/v1", "Trigger", name, spec, annotations=annotations)


def source(namespace, name, broker_name, queue_name, delivery=None, parallelism=1):
    sink = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": broker_name}
    spec = {
        "rabbitmqClusterReference": cluster_reference(),
        "rabbitmqResourcesConfig": {
            "queueName": queue_name,
            "predeclared": True,
            "parallelism": parallelism,
        },
        "sink": {"ref": sink},
    }
    if delivery:
        spec["delivery"] = delivery
    return named(namespace, "sources.knative.dev/v1alpha1", "RabbitmqSource", name, spec)


def topology_queue(namespace, name):
    spec = {"name": name, "durable": True, "rabbitmqClusterReference": cluster_reference()}
    return named(namespace, "rabbitmq.com/v1beta1", "Queue", name, spec)


READY_SECONDS = 60


def wait_until_ready(bed, namespace, *names):
    """`names`: kind/name"""
    for name in names:
        bed.kubectl(
            "wait", name, f"--namespace={namespace}", "--for=condition=Ready",
            f"--timeout={READY_SECONDS}s", seconds=READY_SECONDS + 10,
        )  # fmt: skip
