"""The API server's imposter, and the Go sink: built, and run."""

import subprocess
import sys

from .children import Child
from .events import plain_kubeconfig
from .problem import Problem
from .start import BENCH, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "hack"))

from testbed_parts import tools  # noqa: E402

IMPOSTER = REPOSITORY / "build" / "release" / "bin" / "bench-imposter"
BUILT = REPOSITORY / "build" / "bench"
GO_SINK = BUILT / "go-sink"
START_SECONDS = 20


def build_builder():
    _run([REPOSITORY / "hack" / "build", "release", "knative-lambda-builder", "bench-imposter"], REPOSITORY)


def build_go_sink():
    BUILT.mkdir(parents=True, exist_ok=True)
    _run([tools.find_go(print), "build", "-trimpath", "-o", GO_SINK, "."], BENCH / "peers" / "sink")


def _run(command, folder):
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{command[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


class _WritesPort(Child):
    """Ready when made: it has told its port."""

    def __init__(self, folder, name, command, core, environment=None):
        self.port_file = folder / f"{name}.port"
        self.port_file.unlink(missing_ok=True)
        super().__init__(name, command, folder, environment, core)
        self.port = self.wait_until(self._port, START_SECONDS, "it listens")
        self.url = f"http://127.0.0.1:{self.port}"

    def _port(self):
        text = self.port_file.read_text() if self.port_file.exists() else ""
        return int(text) if text.endswith("\n") else None


class Imposter(_WritesPort):
    def __init__(self, folder, core=None):
        super().__init__(folder, "imposter", [IMPOSTER, folder / "imposter.port"], core)
        self.kubeconfig = folder / "imposter-kubeconfig"
        self.kubeconfig.write_text(plain_kubeconfig(self.port))


class GoSink(_WritesPort):
    """On one processor. Without an `api_url` it creates nothing."""

    def __init__(self, folder, name, api_url, with_log, core):
        command = [GO_SINK, "-port-file", folder / f"{name}.port"]
        command += ["-api", api_url] if api_url else []
        command += ["-log"] if with_log else []
        super().__init__(folder, name, command, core, environment={"GOMAXPROCS": "1"})
