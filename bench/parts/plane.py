"""The control plane that is measured: etcd and API server of a test bed, and nobody that acts on the Jobs.

Each measurement has an etcd of its own: the data folder is put back as it was when the cluster was new (or when it
had been filled with Jobs), then etcd and API server start anew.
"""

import base64
import contextlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import requests

from .builder import BUILDS
from .children import family, freeze, thaw, usage_of
from .problem import Problem
from .start import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests"))

from support.testbed import TestBed  # noqa: E402

JOBS = f"/apis/batch/v1/namespaces/{BUILDS}/jobs"
RBAC = REPOSITORY / "manifests" / "rbac" / "builder.yaml"


class Plane:
    """`with Plane(name, …) as plane`: up inside, down after."""

    def __init__(self, name, rabbitmq):
        self.bed = TestBed(name)
        self.pids = {}  # of its parts, as of the last `renew`
        self.processes = []  # the ids of all of them, children included
        self.rabbitmq = rabbitmq
        self.folder = Path(tempfile.mkdtemp(prefix="knative-lambda-bench-"))

    def __enter__(self):
        try:
            self._up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(KeyboardInterrupt):  # the second Ctrl-C shall not keep the first from its end
            self.bed.run("down", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _up(self):
        self._run("down")
        extras = ["--with", "rabbitmq"] if self.rabbitmq else []
        self._run("up", "--fsync", *extras, seconds=1800)
        # Nobody shall run the Jobs, nor count them.
        self._run("stop", "controller-manager")
        environment = self.bed.environment()
        self.kubeconfig = environment["KUBECONFIG"]
        self.etcd_folder = Path(environment["TESTBED_STATE"]) / "etcd"
        self.amqp_url = environment.get("AMQP_URL")
        self.environment = environment
        self._read_credentials()
        self.apply(RBAC.read_text())

    def _run(self, *words, seconds=120):
        done = self.bed.run(*words, check=False, seconds=seconds)
        if done.returncode != 0:
            raise Problem(f"hack/testbed {' '.join(words)}:\n{done.stdout}{done.stderr}".strip())

    def _read_credentials(self):
        config = json.loads(self.bed.kubectl("config", "view", "--raw", "--output=json"))
        cluster = config["clusters"][0]["cluster"]
        self.url = cluster["server"]
        self.token = config["users"][0]["user"]["token"]
        authority = self.folder / "ca.crt"
        authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self.authority = str(authority)

    def headers(self, post):
        """Of that POST by the administrator."""
        return {
            "Host": "kubernetes",
            "Authorization": f"Bearer {self.token}",
            "Accept": post.accept,
            "Content-Type": post.content_type,
        }

    # --- objects ---

    def apply(self, manifest):
        """Objects as YAML or JSON."""
        self.bed.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)

    def define(self, definitions):
        """Kinds of objects; returns once they are served."""
        self.bed.apply(*definitions)
        for definition in definitions:
            self.bed.wait(f"crd/{definition['metadata']['name']}", "condition=Established")

    def get(self, path, **query):
        answer = requests.get(
            self.url + path, params=query, headers={"Authorization": f"Bearer {self.token}"},
            verify=self.authority, timeout=60,
        )  # fmt: skip
        answer.raise_for_status()
        return answer

    def count_jobs(self):
        shown = self.get(JOBS, limit=1).json()
        return len(shown["items"]) + shown["metadata"].get("remainingItemCount", 0)

    def count_jobs_at_rest(self):
        """Once nobody sends any more: what was under way is counted too."""
        last, now = -1, self.count_jobs()
        while now != last:
            last, now = now, self.count_jobs()
        return now

    # --- etcd as it was ---

    def keep(self, name):
        """Remembers the state of etcd under a name. Ends etcd and API server; `renew` starts them."""
        self._run("stop", "apiserver", "etcd")
        shutil.copytree(self.etcd_folder, self.folder / name)

    def renew(self, name):
        """Etcd as `keep` found it, in new processes."""
        self.thaw()  # RabbitMQ goes on
        # What they would still write is thrown away with the folder, so there is no reason to be polite.
        self._run("stop", "apiserver", "etcd", "--hard")
        shutil.rmtree(self.etcd_folder)
        shutil.copytree(self.folder / name, self.etcd_folder)
        os.sync()  # what was copied is written now, and not while something is measured
        self._run("start", "etcd", "apiserver")
        self.pids = self.bed.pids()
        self.processes = [process for pid in self.pids.values() for process in family(pid)]

    def freeze(self):
        freeze(self.processes)

    def thaw(self):
        thaw(self.processes)

    def usage(self, part):
        """Of "apiserver" or "etcd"."""
        return usage_of(self.pids[part])
