"""Every way in which a build fails, by real Kaniko on a real node: each ends in the right class and is told, also when
the operator, the sink and the API server are restarted meanwhile.

All are made at once, so this takes as long as the slowest of them.
"""

import contextlib
import os
from dataclasses import dataclass, field

import pytest
from support.builder import BUILDS
from support.builds import (
    Watched,
    check_events,
    ended,
    event,
    follow,
    job,
    make_builder,
    restart,
    send,
    wait_for_outcomes,
)
from support.result_sink import ResultSink
from support.sources import git_server, refusing_registry
from support.testbed import is_root
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(not is_root(), reason="a node needs root")
EXTRAS = "node"

WITHOUT_PODS = {"spec": {"hard": {"pods": "0"}, "scopes": [], "scopeSelector": {"matchExpressions": [
    {"scopeName": "PriorityClass", "operator": "In", "values": ["held-by-quota"]}]}}}  # fmt: skip
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": BUILDS}} | WITHOUT_PODS
PRIORITY = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "held-by-quota"},
            "value": 0}  # fmt: skip

SOON = 60  # seconds: for what runs into its deadline


@dataclass
class Case:
    """How a build is made to end so, and what is said of its end."""

    outcome: str
    failure_class: str | None
    reason: str
    build: dict = field(default_factory=dict)  # the builder's configuration
    folder: str = "good"  # of the sources, which has its Dockerfile
    repository: str = "notifi/parsers.git"
    parameters: dict = field(default_factory=dict)  # of the event
    starts: bool = True


def pod_patch(**spec):
    return {"jobPatch": {"spec": {"template": {"spec": spec}}}}


# {…} stand for what the test bed says of itself.
CASES = {
    "good": Case("complete", None, "Complete"),
    # What waiting can't heal.
    "image-missing": Case(
        "failed", "infrastructure", "ImageUnavailable", {"image": "{REGISTRY}/no-such-image:1"}, starts=False
    ),
    "registry-unreachable": Case(
        "failed", "infrastructure", "ImageUnavailable", {"image": "{TESTBED_HOST_IP}:1/kaniko:1"}, starts=False
    ),
    "secret-missing": Case(
        "failed", "infrastructure", "SecretMissing", {"registrySecret": "no-such-secret"}, starts=False
    ),
    "config-map-missing": Case(
        "failed", "infrastructure", "ConfigMapMissing", {"runtimes": {"nodejs18": {"configMap": "no-such-runtime"}}},
        parameters={"build_type": "function"}, starts=False,
    ),
    "selector-impossible": Case(
        "failed", "infrastructure", "NodeSelectorImpossible", pod_patch(nodeSelector={"pool": "nowhere"}), starts=False
    ),
    # What waiting may heal: told, and terminal only at the deadline.
    "no-room": Case(
        "timeout", "infrastructure", "DeadlineExceeded", {"resources": {"requests": {"cpu": "10000"}}},
        parameters={"build_timeout": SOON}, starts=False,
    ),
    "quota": Case("complete", None, "Complete", pod_patch(priorityClassName="held-by-quota")),
    # What Kaniko runs into.
    "run-out-of-memory": Case(
        "failed", "oom", "OOMKilled", {"resources": {"limits": {"memory": "192Mi"}}}, "run-out-of-memory"
    ),
    "kaniko-out-of-memory": Case(
        "failed", "oom", "OOMKilled", {"resources": {"limits": {"memory": "24Mi"}}}, repository="notifi/large.git"
    ),
    "run-fails": Case("failed", "dockerfile", "CommandFailed", folder="run-fails"),
    "base-image-missing": Case("failed", "dockerfile", "BaseImageUnavailable", folder="base-image-missing"),
    "context-missing": Case("failed", "source", "SourceUnavailable", repository="notifi/no-such.git"),
    "push-refused": Case("failed", "push", "PushRefused", {"destination": "{REFUSING}/{{third_party_id}}:1"}),
    "deadline": Case("timeout", "timeout", "DeadlineExceeded", folder="slow", parameters={"build_timeout": SOON}),
}  # fmt: skip

HEALABLE = {"no-room": "Unschedulable", "quota": "QuotaExceeded"}

LARGE_BYTES = 40 << 20  # of a file, which Kaniko reads into its memory as it clones
DOCKERFILES = {
    "good": "FROM {BASE_IMAGE}\nRUN echo built >/greeting\n",
    "run-fails": "FROM {BASE_IMAGE}\nRUN echo about to fail; exit 7\n",
    "run-out-of-memory": "FROM {BASE_IMAGE}\nRUN dd if=/dev/zero of=/dev/null bs=1G count=1\n",
    "base-image-missing": "FROM {REGISTRY}/no-such-base:1\n",
    "slow": "FROM {BASE_IMAGE}\nRUN sleep 1000\n",
}


def filled_in(value, there):
    """With the test bed's words in every text, however deep."""
    if isinstance(value, dict):
        return {key: filled_in(each, there) for key, each in value.items()}
    return value.format(**there) if isinstance(value, str) else value


@dataclass
class Run:
    """All cases, ended."""

    names: dict  # case -> name of its Job
    jobs: dict  # name -> Job
    told: dict  # case -> what the Job said of its waiting, each once
    sink: ResultSink

    def job(self, case):
        return self.jobs[self.names[case]]


@contextlib.contextmanager
def surroundings(bed):
    """The git server and the registry that refuses; yields what all the {…} stand for."""
    there = bed.environment()
    files = {f"{name}/Dockerfile": text.encode() for name, text in filled_in(DOCKERFILES, there).items()}
    large = {"good/Dockerfile": files["good/Dockerfile"], "good/large": os.urandom(LARGE_BYTES)}
    repositories = {"notifi/parsers.git": files, "notifi/large.git": large}
    with (
        git_server(repositories, there["TESTBED_HOST_IP"]) as git_port,
        refusing_registry(there["TESTBED_HOST_IP"]) as refusing_port,
    ):
        there["SOURCES"] = f"{there['TESTBED_HOST_NAME']}:{git_port}"
        there["REFUSING"] = f"{there['TESTBED_HOST_IP']}:{refusing_port}"
        yield there


def begin(bed, there, name, case):
    """One builder a case: their configurations differ. Returns the name of the Job."""
    settings = {
        "image": "{KANIKO_IMAGE}",
        "destination": "{REGISTRY}/{{third_party_id}}/{{parser_id}}:{{event_hash}}",
        "plainHttp": True,
        **case.build,
    }
    settings = filled_in(settings, there) | {"allowedSources": [there["SOURCES"]]}
    url = f"http://{there['SOURCES']}/{case.repository}/{case.folder}"
    with ended(make_builder(bed, **settings)) as builder:
        (job_name,) = send(builder, event(name, f"tenant-{name}", source_url=url, **case.parameters))
    return job_name


@pytest.fixture(scope="module")
def run(bed):
    bed.apply(QUOTA, PRIORITY)
    with surroundings(bed) as there, ResultSink() as sink, ended(follow(bed, sink)) as operator:
        names = {name: begin(bed, there, name, case) for name, case in CASES.items()}
        with Watched(bed) as watched:
            told = {case: wait_until_told(watched, names[case], why) for case, why in HEALABLE.items()}
            make_trouble(bed, operator, sink)
        wait_for_outcomes(bed, [names["selector-impossible"]], 120, "the watchdog's time is over")
        for case in HEALABLE:
            assert job(bed, names[case]).end is None, f"{case}: waiting may heal it"
        bed.kubectl("delete", "quota", "none", "-n", BUILDS)
        jobs = wait_for_outcomes(bed, names.values(), 400)
        yield Run(names, jobs, told, sink)


def wait_until_told(watched, name, why):
    def found():
        texts = [job.annotation("waiting") or "" for job in watched.jobs() if job.name == name]
        return next((text for text in texts if text.startswith(f"{why}: ")), None)

    return wait_for(found, 60, f"{name} is told to wait for {why}")


def make_trouble(bed, operator, sink):
    """While builds run and end."""
    sink.down()
    restart(operator)
    bed.run("stop", "--hard", "apiserver")
    bed.run("start", "apiserver")
    sink.answers(503)
    sink.up()
    sink.wait_for_refusals(3)
    sink.answers(202)


@pytest.mark.parametrize("name", CASES)
def test_each_end_has_its_outcome_and_class(run, name):
    case, found = CASES[name], run.job(name)
    result = found.result
    seen = (found.outcome, result["outcome"], result.get("class"), result["reason"])
    assert seen == (case.outcome, case.outcome, case.failure_class, case.reason), result
    assert found.ttl is not None
    check_events(run.sink, {found.name: found}, missing_start=() if case.starts else {found.name})


def test_a_cause_that_cannot_heal_ends_a_build_long_before_its_deadline(run):
    for name, case in CASES.items():
        if case.outcome == "failed" and not case.starts:
            assert run.job(name).end[1] == case.reason, "the operator's reason is the Job's"


def test_what_failed_shows_the_end_of_its_log(run):
    assert "about to fail" in run.job("run-fails").result["log_tail"]
    for name, case in CASES.items():
        text = run.job(name).result.get("log_tail", "")
        assert not any(ord(letter) < 32 and letter != "\n" for letter in text), name
        assert len(text.encode()) <= 4096, name
        assert text or not case.starts or case.outcome != "failed" or case.failure_class == "oom", name


def test_what_waits_for_capacity_is_told_what_is_missing(run):
    assert "Insufficient cpu" in run.told["no-room"]
    assert "exceeded quota" in run.told["quota"]


def test_a_finished_image_is_told_by_its_digest(run):
    assert run.job("good").result["digest"].startswith("sha256:")
