"""etcd, the store behind the API server."""

from . import api, tools
from .part import Part


def client_url(bed):
    return f"http://127.0.0.1:{bed.port('etcd')}"


def _command(bed):
    peer_url = f"http://127.0.0.1:{bed.port('etcd-peer')}"
    return [
        tools.program(tools.ETCD, "etcd"),
        f"--data-dir={bed.folder / 'etcd'}",
        f"--listen-client-urls={client_url(bed)}",
        f"--advertise-client-urls={client_url(bed)}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        *([] if bed.syncs else ["--unsafe-no-fsync"]),
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
    ]


PART = Part(
    name="etcd",
    command=_command,
    ready=lambda bed: api.answers(f"{client_url(bed)}/health"),
    ports=("etcd", "etcd-peer"),
)
