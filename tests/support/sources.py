"""What real builds meet: git repositories, and a registry that refuses."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.testbed import REPOSITORY
from support.waiting import wait_for


@contextlib.contextmanager
def git_server(repositories, address):
    """Serves {path of a repository: {path of a file: its bytes}}; yields the port."""
    folder = Path(tempfile.mkdtemp(prefix="sources-"))
    for number, (path, files) in enumerate(repositories.items()):
        write_repository(folder / f"work-{number}", folder / "repositories" / path, files)
    port_file = folder / "port"
    server = subprocess.Popen(
        [sys.executable, REPOSITORY / "tests" / "support" / "git_server.py", "--root", folder / "repositories",
         "--host", address, "--print-port-file", port_file],
    )  # fmt: skip
    try:
        wait_for(port_file.exists, 20, "the git server answers")
        yield int(port_file.read_text())
    finally:
        server.kill()
        server.wait()


def write_repository(work, bare, files):
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    bare.parent.mkdir(parents=True, exist_ok=True)
    for words in (
        ["-C", work, "init", "--quiet", "--initial-branch=main"],
        ["-C", work, "add", "."],
        ["-C", work, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", "sources"],
        ["clone", "--quiet", "--bare", work, bare],
    ):
        subprocess.run(["git", *words], check=True, timeout=60)


@contextlib.contextmanager
def refusing_registry(address):
    """One that lets nobody in; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def refuse(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            error = {"code": "UNAUTHORIZED", "message": "authentication required"}
            body = json.dumps({"errors": [error]}).encode()
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="refusing"')
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = refuse

        def log_message(self, *_words):
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
