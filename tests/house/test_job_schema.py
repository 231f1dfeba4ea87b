"""lib/kube/job_schema.inc is what hack/job-schema writes."""

import subprocess
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "hack" / "job-schema"


def test_it_is_what_kubernetes_types_say():
    done = subprocess.run([PROGRAM, "--check"], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
