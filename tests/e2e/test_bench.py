"""bench/run works: not how fast anything is, which says more about the machine of this moment than about us."""

import json
import os
import subprocess

from support.testbed import REPOSITORY

RUN = REPOSITORY / "bench" / "run"
SECONDS = 300


def bed_name():
    return f"t{os.getpid()}-bench"


def run_bench(*words, expected=0):
    done = subprocess.run(
        [RUN, "--name", bed_name(), *words], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_short_run_measures_each_system(tmp_path):
    # bench/run itself refuses what is no 2xx, and a count of Jobs that is not the count of events.
    run_bench("--short", "--output", tmp_path)
    result = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert {entry["system"] for entry in result["summary"]} == {"plain", "http", "amqp"}
    for measurement in result["measurements"]:
        assert measurement["events"] > 0
        assert measurement["jobs_before"] == 0, "each has an etcd of its own"
        assert 0 < measurement["p50"] <= measurement["p99"]
        assert (measurement["cpu_ms"] is None) == (measurement["system"] == "plain")


def test_a_run_that_fails_leaves_nothing(tmp_path):
    # With nothing to execute in its place, JobSink can't be started; the other system's control plane is frozen by
    # then.
    said = run_bench(
        "--short", "--systems", "plain,jobsink-lifted", "--jobsink", "/nonexistent", "--output", tmp_path, expected=1
    )
    assert "FAILED" in said
    for system in ("plain", "jobsink-lifted"):
        status = subprocess.run(
            [REPOSITORY / "hack" / "testbed", "status", "--name", f"{bed_name()}-{system}"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "not up" in status.stdout
    assert not list(tmp_path.iterdir())
