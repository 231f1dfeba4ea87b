"""RabbitMQ, with the management plugin: a broker of the test bed's own.

Debian's is installed but never started, and its folders under /etc and /var are not read.
"""

import base64
import shlex
from pathlib import Path

from . import api, processes
from .part import Part
from .problem import Problem

USER = "testbed"


def url(bed, host="127.0.0.1"):
    return f"amqp://{USER}:{bed.secret('rabbitmq')}@{host}:{bed.port('amqp')}/"


def management_url(bed, host="127.0.0.1"):
    return f"http://{host}:{bed.port('rabbitmq-management')}"


def _script(name):
    """RabbitMQ's own script: the one in the PATH insists on the machine's user and folders."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob(f"rabbitmq_server-*/sbin/{name}"))
    if not found:
        raise Problem("rabbitmq: not installed; run hack/deps testbed")
    return found[-1]


def _prepare(bed):
    bed.write(
        "rabbitmq/rabbitmq.conf",
        f"""\
listeners.tcp.default = {bed.listen_address}:{bed.port("amqp")}
management.tcp.ip = {bed.listen_address}
management.tcp.port = {bed.port("rabbitmq-management")}
default_user = {USER}
default_pass = {bed.secret("rabbitmq")}
# Sized for a test beside everything else, not for a machine of its own.
vm_memory_high_watermark.absolute = 2GB
disk_free_limit.absolute = 50MB
cluster_name = testbed-{bed.name}
""",
    )
    bed.write("rabbitmq/enabled_plugins", "[rabbitmq_management].\n")
    bed.write("rabbitmq/rabbitmq-env.conf", "# Read in place of the machine's.\n")
    bed.write("rabbitmq/advanced.config", "[].\n")
    _write_control_program(bed)


def _write_control_program(bed):
    """`rabbitmqctl` in the test bed's PATH, for this broker."""
    environment = processes.clean_environment(bed) | _environment(bed)
    words = ["exec", "env", "-i", *(f"{name}={value}" for name, value in environment.items())]
    command = shlex.join([*words, str(_script("rabbitmqctl"))])
    bed.write("bin/rabbitmqctl", f'#!/bin/sh\n{command} "$@"\n', 0o755)


def _environment(bed):
    folder = bed.folder / "rabbitmq"
    return {
        "RABBITMQ_NODENAME": f"testbed-{bed.name}@localhost",
        "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
        "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
        "RABBITMQ_MNESIA_BASE": f"{folder}/data",
        "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/generated",
        "RABBITMQ_PID_FILE": f"{folder}/pid",
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_DIST_PORT": str(bed.port("rabbitmq-distribution")),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # The Erlang port mapper: its own too, else it would be shared with the machine's and
        # outlive this broker.
        "ERL_EPMD_PORT": str(bed.port("rabbitmq-epmd")),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _listens(bed):
    credentials = base64.b64encode(f"{USER}:{bed.secret('rabbitmq')}".encode()).decode()
    return api.answers(
        f"{management_url(bed)}/api/health/checks/port-listener/{bed.port('amqp')}",
        headers={"Authorization": f"Basic {credentials}"},
    )


PART = Part(
    name="rabbitmq",
    prepare=_prepare,
    command=lambda _bed: [str(_script("rabbitmq-server"))],
    environment=_environment,
    ready=_listens,
    begins_with_script=True,
    ports=("amqp", "rabbitmq-management", "rabbitmq-distribution", "rabbitmq-epmd"),
)
