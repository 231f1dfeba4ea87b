"""The test bed itself: it comes up, holds what it promises, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from support.machine import footprint
from support.testbed import PROGRAM, TestBed, is_root
from support.waiting import wait_for

OURS = f"t{os.getpid()}-"  # how our test beds' names begin
needs_root = pytest.mark.skipif(not is_root(), reason="a node needs root")


@pytest.fixture
def new_test_bed():
    """Makes test beds, and takes them down whatever happens."""
    made = []

    def make(word):
        made.append(TestBed(OURS + word))
        return made[-1]

    yield make
    for bed in made:
        bed.down()


@pytest.fixture
def machine_stays_as_it_was():
    before = footprint(OURS)
    yield
    after = footprint(OURS)
    for what, was in before.items():
        assert after[what] == was, what


# --- the control plane, which needs no root ---


def test_api_server_comes_back_with_its_data(new_test_bed):
    bed = new_test_bed("data")
    bed.up()
    bed.kubectl("create", "configmap", "kept", "--from-literal=a=b")

    for way in ([], ["--hard"]):
        bed.run("stop", "apiserver", *way)
        assert "apiserver" not in bed.pids()
        bed.run("start", "apiserver")
        assert bed.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"


def test_part_that_fails_shows_the_end_of_its_log(new_test_bed):
    bed = new_test_bed("fails")
    bed.up()
    bed.run("stop", "apiserver")
    state = Path(bed.environment()["TESTBED_STATE"])
    (state / "certificates" / "service-account.key").write_text("no key at all")

    failed = bed.run("up", check=False)

    assert failed.returncode == 1
    assert "apiserver ended by itself" in failed.stderr
    assert f"the end of {state}/logs/apiserver.log" in failed.stderr
    assert "service-account.key" in failed.stderr  # the log's own words


def test_port_of_another_program_is_named(new_test_bed):
    bed = new_test_bed("port")
    bed.up()
    bed.run("stop", "etcd")
    port = int(
        bed.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").rpartition(
            ":"
        )[2]
    )
    with socket.create_server(("127.0.0.1", port - 2)):  # etcd's: the first of the block
        failed = bed.run("start", "etcd", check=False)
    assert failed.returncode == 1
    assert f"port {port - 2} is taken by another program" in failed.stderr


def test_what_is_not_up_says_so(new_test_bed):
    bed = new_test_bed("never")
    for words in (["env"], ["status"], ["stop", "etcd"], ["start", "etcd"]):
        done = bed.run(*words, check=False)
        assert done.returncode == 1
        assert "not up" in done.stdout + done.stderr
    assert "nothing to remove" in bed.down().stdout


def test_unknown_part_is_refused(new_test_bed):
    refused = new_test_bed("odd").run("up", "--with", "mainframe", check=False)
    assert refused.returncode == 2
    assert "there are knative, kueue, kwok, node, rabbitmq" in refused.stderr


@needs_root
def test_node_is_refused_without_root():
    may_read = "+dac_read_search"  # the checkout, wherever it lies: also below root's home
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps", may_read, "--ambient-caps", may_read]
    refused = subprocess.run(
        [*as_nobody, "/usr/bin/python3", str(PROGRAM), "up", "--with", "node", "--name", "nobody"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "a node needs root" in refused.stderr


# --- the node ---


@needs_root
def test_up_and_down_leave_the_machine_as_it_was(machine_stays_as_it_was, new_test_bed):
    bed = new_test_bed("clean")
    bed.up("node,rabbitmq")
    bed.run_pod("hello", ["echo", "hello"])
    bed.kubectl("run", "long", f"--image={bed.environment()['BASE_IMAGE']}", "--", "sleep", "1000")
    bed.wait("pod/long", "condition=Ready")
    bed.down()


@needs_root
def test_second_up_adds_a_node_and_repairs_what_was_killed(machine_stays_as_it_was, new_test_bed):
    bed = new_test_bed("repair")
    bed.up()
    control_plane = bed.pids()
    bed.up("node,rabbitmq")
    all_parts = bed.pids()
    assert all_parts.items() > control_plane.items()  # nothing was started anew

    for part in ("etcd", "apiserver", "registry", "containerd", "box", "rabbitmq"):
        os.kill(bed.pids()[part], signal.SIGKILL)
        wait_for(lambda part=part: part not in bed.pids(), 10, f"{part} dead")
        bed.up()
        assert bed.pids().keys() == all_parts.keys()
        bed.run_pod(f"after-{part}", ["true"])
    bed.down()


@needs_root
@pytest.mark.parametrize("moment", ["certificates: ready", "network: ready", "kubelet: ready"])
def test_killed_up_leaves_nothing_that_down_does_not_remove(
    machine_stays_as_it_was, new_test_bed, moment
):
    bed = new_test_bed("killed")
    with subprocess.Popen(
        bed.command("up", "--with", "node,rabbitmq"), stdout=subprocess.PIPE, text=True
    ) as up:
        assert any(moment in line for line in up.stdout)
        up.kill()
    bed.down()


@needs_root
def test_killed_up_can_be_repeated(new_test_bed):
    bed = new_test_bed("again")
    with subprocess.Popen(
        bed.command("up", "--with", "node"), stdout=subprocess.PIPE, text=True
    ) as up:
        assert any("network: ready" in line for line in up.stdout)
        up.kill()
    bed.up()
    assert bed.run_pod("hello", ["echo", "hello"]) == "hello\n"


@needs_root
def test_test_beds_stand_side_by_side(new_test_bed):
    """Started at the same time; two of them with a node. Each one's pods know its own machine."""
    beds = {new_test_bed("one"): "node", new_test_bed("two"): "node", new_test_bed("three"): ""}
    starting = [
        subprocess.Popen(bed.command("up", "--with", extras)) for bed, extras in beds.items()
    ]
    assert [up.wait(timeout=120) for up in starting] == [0, 0, 0]

    one, two, three = beds
    three.down()
    for bed in (one, two):
        there = bed.environment()
        look_up = bed.run_pod("names", ["nslookup", there["TESTBED_HOST_NAME"]])
        assert f"Address: {there['TESTBED_HOST_IP']}\n" in look_up
    one.down()
    assert two.run_pod("still-here", ["nslookup", "kubernetes.default.svc.cluster.local"])


# --- the whole of it: Kaniko builds, the registry keeps, the node runs ---


@needs_root
def test_kaniko_builds_an_image_and_the_node_runs_it(new_test_bed):
    bed = new_test_bed("kaniko")
    bed.up("node")
    there = bed.environment()
    destination = f"{there['REGISTRY']}/built:1"
    dockerfile = f"FROM {there['BASE_IMAGE']}\nRUN echo built > /what && chown 1000:1000 /what\n"
    bed.apply(source(dockerfile), kaniko_job(there["KANIKO_IMAGE"], destination))
    bed.wait("job/build", "condition=Complete", seconds=90)

    message = bed.kubectl(
        "get", "pods", "--selector=batch.kubernetes.io/job-name=build",
        "-o", "jsonpath={.items[0].status.containerStatuses[0].state.terminated.message}",
    )  # fmt: skip
    digest = subprocess.check_output(
        ["crane", "digest", destination], env=there, text=True, timeout=30
    )
    assert message == digest.strip()
    assert (
        bed.run_pod("run", ["cat", "/what"], image=f"{there['REGISTRY']}/built@{message}")
        == "built\n"
    )


def source(dockerfile):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "source"},
        "data": {"Dockerfile": dockerfile},
    }


def kaniko_job(image, destination):
    container = {
        "name": "kaniko",
        "image": image,
        "args": [
            "--context=dir:///source",
            f"--destination={destination}",
            "--insecure",
            "--insecure-pull",
            "--digest-file=/dev/termination-log",
        ],
        "volumeMounts": [{"name": "source", "mountPath": "/source"}],
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "capabilities": {
                "drop": ["ALL"],
                "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "SETFCAP", "KILL"],
            },
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "source", "configMap": {"name": "source"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "build"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
