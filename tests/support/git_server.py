#!/usr/bin/env python3
"""Serves the bare git repositories of a folder by smart HTTP, to read only: what git http-backend is to Apache.

    http://HOST:PORT/parsers.git  is  ROOT/parsers.git

For tests and trials: no TLS, no users.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS_MAX = 32
BODY_MAX_BYTES = 16 << 20
SILENCE_MAX_SECONDS = 30
REQUEST_MAX_SECONDS = 120
PIECE_BYTES = 1 << 16

# The two requests of a clone or fetch (gitprotocol-http), without dumb HTTP and without push.
REPOSITORY = r"(?!.*\.\.)/[\w./-]+"
READS = {
    "GET": re.compile(REPOSITORY + r"/info/refs\?service=git-upload-pack"),
    "POST": re.compile(REPOSITORY + "/git-upload-pack"),
}


class BadRequest(Exception):
    pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_MAX_SECONDS

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def serve(self):
        # The end of the answer is the end of the connection: git does not tell its length before.
        self.close_connection = True
        if not READS[self.command].fullmatch(self.path):
            return self.send_error(HTTPStatus.FORBIDDEN, "only clone and fetch are served")
        with tempfile.TemporaryFile() as body:
            try:
                for piece in self.body_pieces():
                    body.write(piece)
                    if body.tell() > BODY_MAX_BYTES:
                        return self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            except BadRequest as problem:
                return self.send_error(HTTPStatus.BAD_REQUEST, str(problem))
            length = body.tell()
            body.seek(0)
            self.run_git(body, length)

    def body_pieces(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            yield from self.chunks()
        elif "Content-Length" in self.headers:
            yield from self.exactly(self.number(self.headers["Content-Length"], 10))

    def chunks(self):
        while size := self.number(self.rfile.readline(128).split(b";")[0].strip().decode("latin-1"), 16):
            yield from self.exactly(size)
            if self.rfile.readline(128) != b"\r\n":
                raise BadRequest("a chunk has no end")
        while self.rfile.readline(1024) not in (b"\r\n", b""):  # trailers
            pass

    def exactly(self, count):
        while count > 0:
            piece = self.rfile.read(min(count, PIECE_BYTES))
            if not piece:
                raise BadRequest("the body is shorter than it says")
            count -= len(piece)
            yield piece

    @staticmethod
    def number(text, base):
        # int() alone would take signs, spaces and underscores.
        if not re.fullmatch("[0-9]+" if base == 10 else "[0-9a-fA-F]+", text):
            raise BadRequest("a length is no number")
        return int(text, base)

    def environment(self, length):
        """RFC 3875, as git http-backend reads it. It unpacks a gzip'd body itself."""
        url = urlsplit(self.path)
        header = self.headers.get
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": header("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": header("Content-Encoding", ""),
            "GIT_PROTOCOL": header("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0],
            # The repositories may belong to somebody else than whoever serves them.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }

    def run_git(self, body, length):
        with subprocess.Popen(
            ["git", "http-backend"], stdin=body, stdout=subprocess.PIPE, env=self.environment(length)
        ) as git:
            alarm = threading.Timer(REQUEST_MAX_SECONDS, git.kill)
            alarm.start()
            try:
                self.pass_on(git.stdout)
            except OSError:  # the client is gone
                git.kill()
            finally:
                alarm.cancel()

    def pass_on(self, output):
        headers = []
        while (line := output.readline().decode("latin-1").strip()) != "":
            key, _, value = line.partition(":")
            headers.append((key, value.strip()))
        if not headers:
            return self.send_error(HTTPStatus.BAD_GATEWAY, "git http-backend said nothing")
        status = next((value for key, value in headers if key.lower() == "status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for key, value in headers:
            if key.lower() != "status":
                self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while piece := output.read1(PIECE_BYTES):
            self.wfile.write(piece)

    def log_message(self, format, *arguments):
        if not self.server.quiet:
            super().log_message(format, *arguments)


class GitServer(ThreadingHTTPServer):
    """`with GitServer(root) as server: … server.url`: serves from a thread of its own until the block ends."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root, host="127.0.0.1", port=0, quiet=True):
        self.root = Path(root).resolve()
        self.quiet = quiet
        self.free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((host, port), Handler)

    @property
    def url(self):
        return f"http://{self.server_address[0]}:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def process_request(self, request, client_address):
        # Further connections wait in the backlog.
        self.free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()


def make_repository(path, files, branch="main"):
    """A bare repository with one commit of `files` (path -> text) on one branch. Gives the commit's hash."""
    identity = {f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*arguments, stdin=""):
        command = ["git", f"--git-dir={path}", *arguments]
        environment = {**os.environ, **identity, "GIT_INDEX_FILE": str(Path(path).resolve() / "index.building")}
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    Path(path).mkdir(parents=True)
    git("init", "--quiet", "--bare", f"--initial-branch={branch}")
    for name, text in files.items():
        blob = git("hash-object", "-w", "--stdin", stdin=text)
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    commit = git("commit-tree", git("write-tree"), "-m", "sources")
    git("update-ref", f"refs/heads/{branch}", commit)
    return commit


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="the folder of the repositories")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=0, help="0, the default: one that is free")
    parser.add_argument("--print-port-file", type=Path, metavar="FILE", help="written once requests are answered")
    arguments = parser.parse_args()
    if not arguments.root.is_dir():
        parser.error(f"--root {arguments.root}: no such folder")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = GitServer(arguments.root, arguments.host, arguments.port, quiet=False)
    except OSError as problem:
        sys.exit(f"git_server: can't listen on {arguments.host}:{arguments.port}: {problem.strerror}")
    print(f"git_server: serving {server.root} on {server.url}", file=sys.stderr, flush=True)
    if arguments.print_port_file:
        unfinished = arguments.print_port_file.with_suffix(".new")
        unfinished.write_text(f"{server.server_port}\n")
        unfinished.replace(arguments.print_port_file)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
