"""One of our programs as a process: its configuration, its log, the port on which it listens."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from support.waiting import wait_for


class Program:
    """Subclasses name the executable, and the line of the log that tells the port."""

    executable = None
    listening = None

    def __init__(self, name, config, environment=None):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.log_file = self.folder / "log"
        self.name = name
        self.config = config
        self.environment = os.environ | (environment or {})
        self.port = 0
        self.start()

    def start(self):
        """On the port that it had before, if there was one."""
        self.config["http"]["port"] = self.port
        (self.folder / "config.yaml").write_text(json.dumps(self.config))  # JSON is YAML
        written = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [self.executable, "--config", self.folder / "config.yaml"], stderr=log, env=self.environment
            )
        self.port = wait_for(lambda: self._listening_port(written), 20, f"the {self.name} listens")

    def _listening_port(self, log_offset):
        assert self.process.poll() is None, self.log()[-4000:]
        for line in self.log()[log_offset:].splitlines():
            if f'"{self.listening}"' in line:
                return int(json.loads(line)["port"])
        return None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def log(self):
        return self.log_file.read_text()

    def terminate(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=60)


def kubeconfig_of_service_account(bed, account):
    """By which a program has the rights that it has in a cluster, and no more. Returns the file."""
    token = bed.kubectl("create", "token", account, "-n", "knative-lambda").strip()
    config = json.loads(bed.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    with tempfile.NamedTemporaryFile("w", prefix="kubeconfig-", delete=False) as file:
        json.dump(config, file)
    return file.name
