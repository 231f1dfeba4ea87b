"""What `env` tells a shell, and the folder of programs that it puts first in the PATH."""

import shlex

from . import apiserver, images, knative, rabbitmq, tools, topology
from .place import HOST_NAME
from .problem import Problem


def exports(bed):
    """Lines for a shell's `eval`."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(bed).items()]
    return lines + [f'export PATH={shlex.quote(str(_programs_folder(bed)))}:"$PATH"']


def variables(bed):
    if bed.read("up") is None:
        raise Problem(f"test bed {bed.name!r} is not up; start it: hack/testbed up{_options(bed)}")
    found = _of_control_plane(bed)
    if "node" in bed.extras:
        found |= _of_node(bed)
    if "rabbitmq" in bed.extras:
        found |= _of_rabbitmq(bed)
    if "knative" in bed.extras:
        found |= _of_knative()
    return found


def _of_control_plane(bed):
    return {
        "TESTBED_NAME": bed.name,
        "TESTBED_STATE": str(bed.folder),
        "KUBECONFIG": apiserver.kubeconfig(bed),
        "KUBECACHEDIR": str(bed.folder / "kubectl-cache"),
    }


def _of_node(bed):
    return {
        "TESTBED_HOST_IP": bed.host_ip,
        "TESTBED_HOST_NAME": HOST_NAME,
        "TESTBED_NODE_IP": bed.node_ip,
        "REGISTRY": bed.registry,
        "REGISTRY_LOCAL": bed.registry,
        "KANIKO_IMAGE": images.kaniko_image(bed),
        "BASE_IMAGE": images.base_image(bed),
    }


def _of_rabbitmq(bed):
    found = {
        "AMQP_URL": rabbitmq.url(bed),
        "RABBITMQ_MANAGEMENT_URL": rabbitmq.management_url(bed),
        "RABBITMQ_USERNAME": rabbitmq.USER,
        "RABBITMQ_PASSWORD": bed.secret("rabbitmq"),
    }
    if "node" in bed.extras:
        found["AMQP_URL_FROM_PODS"] = rabbitmq.url(bed, bed.host_ip)
        found["RABBITMQ_MANAGEMENT_URL_FROM_PODS"] = rabbitmq.management_url(bed, bed.host_ip)
    return found


def _of_knative():
    return {
        "KNATIVE_NAMESPACE": knative.NAMESPACE,
        "RABBITMQ_CONNECTION_NAMESPACE": topology.CONNECTION_NAMESPACE,
        "RABBITMQ_CONNECTION_SECRET": topology.CONNECTION_SECRET,
    }


def _options(bed):
    return "" if bed.name == "default" else f" --name {bed.name}"


# --- the programs ---


def _programs_folder(bed):
    return bed.folder / "bin"


def link_programs(bed, groups):
    folder = bed.subfolder("bin")
    for group in groups:
        for name in group.programs:
            link = folder / ("kaniko" if group is tools.KANIKO else name)
            link.unlink(missing_ok=True)
            link.symlink_to(tools.program(group, name))
