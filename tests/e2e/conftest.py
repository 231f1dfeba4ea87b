import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.builder import Builder  # noqa: E402
from support.queues import Broker  # noqa: E402
from support.testbed import REPOSITORY, TestBed  # noqa: E402


@pytest.fixture(scope="session")
def control_plane():
    """An API server with its controllers, without a node: Jobs exist, and nothing runs them."""
    bed = TestBed(f"t{os.getpid()}-plane")
    bed.up()
    bed.kubectl("apply", "--server-side", "-f", str(REPOSITORY / "manifests" / "rbac" / "builder.yaml"))
    yield bed
    bed.down()


@pytest.fixture(scope="session")
def broker(control_plane):
    """RabbitMQ beside the control plane."""
    control_plane.up("rabbitmq")
    return Broker(control_plane)


@pytest.fixture
def start_builder(control_plane):
    """Starts builders against the control plane; those that a test leaves running are ended."""
    started = []

    def start(**settings):
        started.append(Builder(control_plane, **settings))
        return started[-1]

    yield start
    for builder in started:
        if builder.process.poll() is None:
            builder.kill()
