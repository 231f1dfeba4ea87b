"""An API server that takes every Job at once: for tests that send more than a real one could keep.

`python3 imposter.py PORT_FILE` serves plain HTTP on a port of 127.0.0.1 that it writes to PORT_FILE.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CREATED = b'{"kind":"PartialObjectMetadata","metadata":{"name":"imposter"}}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(CREATED),
    CREATED,
)


class Imposter:
    """Runs it as a process of its own, and stands where a test bed is asked for."""

    def __init__(self):
        folder = Path(tempfile.mkdtemp(prefix="imposter-"))
        port_file = folder / "port"
        self.process = subprocess.Popen([sys.executable, __file__, port_file], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(_kubeconfig(int(port_file.read_text()))))

    def environment(self):
        return {"KUBECONFIG": str(self.kubeconfig)}

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def _kubeconfig(port):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "imposter",
        "clusters": [{"name": "imposter", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "imposter", "context": {"cluster": "imposter", "user": "nobody"}}],
    }


class _Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.received = b""

    def data_received(self, data):
        self.received += data
        while (header_end := self.received.find(b"\r\n\r\n")) >= 0:
            end = header_end + 4 + _content_length(self.received[:header_end])
            if len(self.received) < end:
                return
            self.received = self.received[end:]
            self.transport.write(ANSWER)


def _content_length(header):
    for line in header.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


async def _serve(port_file):
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
