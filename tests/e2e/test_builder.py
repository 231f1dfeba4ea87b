"""The builder against a real API server that enforces Pod Security baseline."""

import json
import os
import subprocess

import pytest
import requests
from support.builder import BUILDS, PROGRAM, Builder, configuration, example_event, jobs_by_event
from support.tools import tool
from support.waiting import wait_for

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def post(builder, body, headers=STRUCTURED, path="/"):
    return requests.post(builder.url + path, data=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def builder(control_plane):
    running = Builder(control_plane)
    yield running
    assert running.terminate() == 0


def job_of(bed, answer):
    return json.loads(bed.kubectl("get", "job", "-n", BUILDS, answer.json()["job_name"], "-o", "json"))


def test_the_documented_event_becomes_a_job(control_plane, builder):
    answer = post(builder, example_event("documented"))
    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "queued"
    assert body["namespace"] == BUILDS
    assert body["correlation_id"] == "correlation-of-documented"
    assert body["duplicate"] is False
    assert len(body["job_name"]) <= 63, "the name in the document has 76 characters, which Kubernetes refuses"

    job = job_of(control_plane, answer)
    assert job["metadata"]["annotations"]["lambda.notifi.network/event-id"] == "documented"
    assert job["metadata"]["labels"]["lambda.notifi.network/third-party-id"] == "0307ea43639b4616b044d190310a26bd"
    assert job["spec"]["activeDeadlineSeconds"] == 1800
    pod = job["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"
    arguments = pod["containers"][0]["args"]
    assert "--context=git://github.com/notifi/parsers" in arguments
    assert "--context-sub-path=0197ad6c10b973b2b854a0e652155b7e" in arguments
    assert "--digest-file=/dev/termination-log" in arguments


def test_the_pods_of_a_job_pass_pod_security_baseline(control_plane, builder):
    job = job_of(control_plane, post(builder, example_event("baseline")))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "as-in-the-job", "namespace": BUILDS},
        "spec": job["spec"]["template"]["spec"],
    }
    control_plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    pod["spec"]["containers"][0]["securityContext"]["privileged"] = True
    refused = subprocess.run(
        ["kubectl", "create", "--dry-run=server", "-f", "-"],
        env=control_plane.environment(), input=json.dumps(pod), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "PodSecurity" in refused.stderr, "the namespace enforces its level"


def test_the_same_event_again_is_a_duplicate(control_plane, builder):
    first, second = (post(builder, example_event("twice")) for _ in range(2))
    assert [answer.status_code for answer in (first, second)] == [202, 202]
    assert [answer.json()["duplicate"] for answer in (first, second)] == [False, True]
    assert first.json()["job_name"] == second.json()["job_name"]


def test_binary_and_structured_are_the_same_event(builder):
    event = json.loads(example_event("modes"))
    headers = {f"ce-{name}": value for name, value in event.items() if name not in ("data", "datacontenttype")}
    binary = post(builder, json.dumps(event["data"]), {**headers, "Content-Type": "application/json"}, "/events")
    assert binary.status_code == 202, binary.text
    assert post(builder, json.dumps(event)).json()["duplicate"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"third_party_id": None}, "data.third_party_id"),
        ({"priority": "high"}, "data.priority"),
        ({"parameters": {"source_url": "https://169.254.169.254/latest"}}, "data.parameters.source_url"),
        ({"parameters": {"source_url": "https://github.com/elsewhere/x"}}, "data.parameters.source_url"),
    ],
)
def test_errors_name_the_field(builder, change, field):
    """Promise 9."""
    event = json.loads(example_event("wrong"))
    event["source"] = "urn:direct"
    event["data"].update(change)
    answer = post(builder, json.dumps(event))
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field


def test_an_event_from_the_queue_that_cannot_succeed_is_not_dropped(builder):
    """A Knative dispatcher takes a 4xx for a success: 503 makes it hand the event to its dead-letter queue."""
    event = json.loads(example_event("poison"))
    event["data"]["priority"] = "high"
    answer = post(builder, json.dumps(event))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["field"] == "data.priority"


@pytest.mark.parametrize("change", [{"ce-subject": "x" * 2000}, {"ce-specversion": "0.3"}, {"body": "x" * 2_000_000}])
def test_a_delivery_of_the_queue_that_is_no_event_for_us_is_not_dropped(builder, change):
    """The dispatcher sends binary mode; by its source the delivery is known, whatever else is wrong with it."""
    event = json.loads(example_event("undecodable"))
    headers = {f"ce-{name}": value for name, value in event.items() if name not in ("data", "datacontenttype")}
    headers.update({"Content-Type": "application/json"}, **change)
    answer = post(builder, headers.pop("body", "{}"), headers)
    assert answer.status_code == 503
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{}", {"Content-Type": "application/json"}, 400),
        (b"[" * 500_000, STRUCTURED, 400),
        (b'{"specversion":"1.0","id":"\xff\xfe"}', STRUCTURED, 400),
        (b"x" * 2_000_000, STRUCTURED, 413),
        (b"[]", {"Content-Type": "application/cloudevents-batch+avro"}, 415),
        (b"<a/>", {"Content-Type": "application/cloudevents+xml"}, 415),
    ],
    ids=["empty", "no event", "deep", "not utf-8", "too large", "batch", "xml"],
)
def test_what_is_no_event_gets_a_clear_answer(builder, body, headers, status):
    answer = post(builder, body, headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_webhook_handshake_is_answered(builder):
    headers = {"WebHook-Request-Origin": "sender.example", "WebHook-Request-Rate": "120"}
    answer = requests.options(builder.url, headers=headers, timeout=10)
    assert answer.status_code in (200, 204)
    assert answer.headers["WebHook-Allowed-Origin"] == "sender.example"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in answer.headers["Allow"]


def test_a_sender_may_ask_to_be_answered_before_the_job_exists(control_plane, start_builder):
    builder = start_builder(intake={"respondAsync": True})
    headers = {**STRUCTURED, "Prefer": "respond-async"}
    control_plane.run("stop", "apiserver")
    try:
        answer = requests.post(builder.url, example_event("later"), headers=headers, timeout=10)
        assert answer.status_code == 202
        assert answer.headers["Preference-Applied"] == "respond-async"
        assert answer.json()["status"] == "queued"
    finally:
        control_plane.run("start", "apiserver")
    wait_for(lambda: "later" in jobs_by_event(control_plane), 60, "the Job is created")


def test_acknowledged_immediately_it_is_created_all_the_same(control_plane, start_builder):
    builder = start_builder(asyncJobCreator={"acknowledge": "immediate"})
    assert requests.post(builder.url, example_event("soon"), headers=STRUCTURED, timeout=10).status_code == 202
    assert builder.terminate() == 0, "SIGTERM finishes what was acknowledged"
    assert "soon" in jobs_by_event(control_plane)


def test_prometheus_takes_the_metrics(builder):
    """promtool also says what Prometheus' naming rules find wrong."""
    post(builder, example_event("measured").encode(), STRUCTURED)
    metrics = requests.get(builder.url + "/metrics", timeout=10).content
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=metrics, capture_output=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_it_can_be_looked_into(builder):
    stats = requests.get(builder.url + "/async-jobs/stats", timeout=10).json()
    assert {"worker_count", "queue_size", "max_queue_size", "results_count", "is_shutdown", "replica"} <= stats.keys()
    metrics = requests.get(builder.url + "/metrics", timeout=10).text
    for name in ("kaniko_job_creation_success_total", "job_creation_duration_seconds_bucket", "async_job_queue_depth"):
        assert name in metrics
    for path in ("/health", "/healthz", "/readyz"):
        assert requests.get(builder.url + path, timeout=10).status_code == 200


def test_it_works_in_batches(builder):
    assert os.sched_getscheduler(builder.process.pid) == os.SCHED_BATCH


def test_the_admin_port_takes_everything_but_the_sink(control_plane, start_builder):
    admin_port = free_port()
    builder = start_builder(http={"adminPort": admin_port})
    assert requests.get(f"http://127.0.0.1:{admin_port}/readyz", timeout=10).status_code == 200
    assert requests.get(builder.url + "/readyz", timeout=10).status_code == 404
    assert post(builder, example_event("admin")).status_code == 202


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_rights_are_no_more_than_create_and_get_of_jobs(control_plane):
    """Promise 8."""
    account = "system:serviceaccount:knative-lambda:knative-lambda-builder"
    listed = control_plane.kubectl("auth", "can-i", "--list", "-n", BUILDS, "--as", account)
    granted = [line.split() for line in listed.splitlines() if line.startswith("jobs.batch")]
    assert granted == [["jobs.batch", "[]", "[]", "[create", "get]"]]
    allowed = subprocess.run(
        ["kubectl", "auth", "can-i", "create", "pods", "-n", BUILDS, "--as", account],
        env=control_plane.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert allowed.stdout.strip() == "no"


def test_a_missing_namespace_is_our_sides_trouble(control_plane, start_builder):
    """Promise 6: environment is not poison."""
    builder = start_builder(build={"namespace": "nowhere"})
    answer = post(builder, example_event("environment"))
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "not_found"


# --- the program ---


def call(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60, check=False)


def test_the_program_tells_its_version_and_teaches():
    assert call("--version").stdout.startswith("knative-lambda-builder ")
    assert "--check-config" in call("--help").stdout
    assert call("--no-such").returncode == 2


def test_a_bad_configuration_is_refused_with_its_place(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("http:\n  prot: 1\n")
    for words in (["--check-config"], []):
        refused = call("--config", str(config), *words)
        assert refused.returncode == 2
        assert f"{config}:2:3: http.prot" in refused.stderr
    config.write_text("")
    assert call("--config", str(config), "--check-config").returncode == 0


def test_a_configuration_whose_jobs_the_api_refuses_ends_the_program(control_plane, tmp_path):
    resources = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(configuration(control_plane, build={"resources": resources})))
    ended = call("--config", str(config))
    assert ended.returncode == 2
    assert "must be less than or equal to cpu limit" in ended.stderr
