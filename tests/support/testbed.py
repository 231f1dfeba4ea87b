"""hack/testbed and kubectl, as tests use them."""

import json
import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PROGRAM = REPOSITORY / "hack" / "testbed"
COMMAND_SECONDS = 120
BUILDING_SECONDS = 1800  # the very first `up` compiles Kubernetes


class TestBed:
    """One test bed, by its name."""

    __test__ = False  # no test class, whatever pytest thinks of its name

    def __init__(self, name):
        self.name = name
        self.known_environment = None  # asking takes a quarter of a second, and each kubectl needs it

    # --- hack/testbed ---

    def run(self, *words, check=True, seconds=COMMAND_SECONDS):
        if words[0] in ("up", "down"):
            self.known_environment = None
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=seconds, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def command(self, *words):
        return [str(PROGRAM), *words, "--name", self.name]

    def up(self, extras=""):
        return self.run("up", "--with", extras, seconds=BUILDING_SECONDS)

    def down(self):
        return self.run("down")

    def pids(self):
        """The parts that run, and their process ids."""
        lines = self.run("status", check=False).stdout.splitlines()
        words = [line.split() for line in lines if ", pid " in line or " runs, " in line]
        return {line[0]: int(line[3]) for line in words}

    def environment(self):
        """What a shell has after eval "$(hack/testbed env)"."""
        if self.known_environment is None:
            self.known_environment = self._ask_for_environment()
        return dict(self.known_environment)

    def _ask_for_environment(self):
        script = 'eval "$("$@")" && env -0'
        shown = subprocess.run(
            ["bash", "-c", script, "bash", *self.command("env")],
            capture_output=True, text=True, timeout=30, check=True,
        ).stdout  # fmt: skip
        return dict(entry.split("=", 1) for entry in shown.split("\0") if entry)

    # --- kubectl ---

    def kubectl(self, *words, check=True, seconds=60, stdin=None):
        done = subprocess.run(
            ["kubectl", *words], env=self.environment(), input=stdin,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *objects):
        wrapped = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", stdin=json.dumps(wrapped))

    def run_pod(self, name, command, image=None):
        """Runs a command in a pod to its successful end; returns what it printed."""
        image = image or self.environment()["BASE_IMAGE"]
        self.kubectl(
            "run", name, f"--image={image}", "--restart=Never", "--command", "--", *command
        )
        self.wait(f"pod/{name}", "jsonpath={.status.phase}=Succeeded")
        return self.kubectl("logs", name)

    def wait(self, what, condition, seconds=60):
        return self.kubectl(
            "wait", what, f"--for={condition}", f"--timeout={seconds}s", seconds=seconds + 10
        )


def is_root():
    return os.geteuid() == 0
