"""The README's first command, and with it the main job: from the documented event to an image that runs."""

import json
import os
import re
import subprocess

import pytest
from support.builder import BUILDS
from support.testbed import REPOSITORY, TestBed, is_root

NAME = f"t{os.getpid()}-quick"
BUILDING_SECONDS = 1800


def quickstart(*words):
    return subprocess.run(
        [REPOSITORY / "hack" / "quickstart", *words, "--name", NAME],
        capture_output=True, text=True, timeout=BUILDING_SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def said():
    """What quickstart said; what it left running is there while these tests run."""
    assert is_root(), "a node needs root"
    done = quickstart()
    yield done.stdout + done.stderr
    stopped = quickstart("stop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


@pytest.fixture(scope="module")
def bed(said):
    return TestBed(NAME)


@pytest.fixture(scope="module")
def job(bed):
    return json.loads(bed.kubectl("get", "jobs", "-n", BUILDS, "-o", "json"))["items"][0]


def test_it_ends_with_what_to_do_next(said):
    assert "quickstart: done in" in said
    assert f"hack/quickstart stop --name {NAME}" in said


def test_the_registry_serves_the_image_under_the_digest_that_the_job_reported(said, bed, job):
    selector = f"--selector=batch.kubernetes.io/job-name={job['metadata']['name']}"
    pod = json.loads(bed.kubectl("get", "pods", "-n", BUILDS, selector, "-o", "json"))["items"][0]
    reported = pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", reported)
    destination = next(
        argument.removeprefix("--destination=")
        for argument in job["spec"]["template"]["spec"]["containers"][0]["args"]
        if argument.startswith("--destination=")
    )
    served = subprocess.run(
        ["crane", "digest", "--insecure", destination],
        env=bed.environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert served.stdout.strip() == reported
    assert reported in said


def test_the_image_ran(said):
    assert re.search("hello from parser 0197ad6c10b973b2b854a0e652155b7e, built for production", said)


def test_the_build_was_one_job_under_the_builders_own_rights(bed, job):
    assert len(json.loads(bed.kubectl("get", "jobs", "-n", BUILDS, "-o", "json"))["items"]) == 1
    managers = {entry["manager"] for entry in json.loads(
        bed.kubectl("get", "job", "-n", BUILDS, job["metadata"]["name"], "-o", "json", "--show-managed-fields")
    )["metadata"]["managedFields"]}  # fmt: skip
    assert "knative-lambda" in managers
    assert job["status"]["succeeded"] == 1


def test_the_documented_script_sends_the_event_again_as_a_duplicate(said, bed, job):
    url = re.search(r"--url (\S+)", said)[1]
    event_id = job["metadata"]["annotations"]["lambda.notifi.network/event-id"]
    sent = subprocess.run(
        [".venv/bin/python3", "tests/create-job-start-event.py", "--url", url, "--id", event_id, "--output", "json"]
        + re.search(r"--source-url \S+", said)[0].split(),
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    answer = json.loads(sent.stdout)
    assert answer["status"] == 202
    assert answer["body"]["duplicate"] is True
    assert answer["body"]["job_name"] == job["metadata"]["name"]
