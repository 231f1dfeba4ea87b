"""The registry: Debian's, with its own port and storage."""

import json

from . import api
from .part import Part


def _prepare(bed):
    configuration = {  # YAML, of which JSON is a part
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(bed.folder / "registry")},
            "delete": {"enabled": True},
        },
        "http": {"addr": bed.registry, "secret": bed.secret("registry")},
    }
    bed.write("registry.yml", json.dumps(configuration))


PART = Part(
    name="registry",
    after=("network",),
    prepare=_prepare,
    command=lambda bed: ["docker-registry", "serve", str(bed.folder / "registry.yml")],
    ready=lambda bed: api.answers(f"http://{bed.registry}/v2/"),
    ports=("registry",),
)
