"""The events that are sent, and the Jobs that the builder makes of them."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import requests

from .builder import Builder
from .load import UNIQUE

SOURCE = "network.notifi.kaniko-jobs"
TYPE = "network.notifi.lambda.job.start"
TENANT = "0307ea43639b4616b044d190310a26bd"
PARSER = "0197ad6c10b973b2b854a0e652155b7e"
EVENT_HEADERS = {"Host": "bench", "Content-Type": "application/cloudevents+json"}


def event(unique, tenant=TENANT):
    """The documented job.start event, in structured mode, with an id of its own."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"bench-{unique}",
            "source": SOURCE,
            "subject": PARSER,
            "type": TYPE,
            "time": "2024-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "third_party_id": tenant,
                "parser_id": PARSER,
                "correlation_id": f"correlation-of-bench-{unique}",
                "job_name": f"kaniko-job-{tenant}-{PARSER}",
                "parameters": {
                    "priority": 1,
                    "build_type": "container",
                    "runtime": "nodejs18",
                    "source_url": f"https://github.com/notifi/parsers/{PARSER}",
                    "build_timeout": 1800,
                    "environment": {"NODE_ENV": "production", "BUILD_MODE": "optimized"},
                },
                "priority": 1,
            },
        },
        separators=(",", ":"),
    )


@dataclass(frozen=True)
class Post:
    """What is sent to the API server to create a Job, unique words marked."""

    target: str
    accept: str
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Creation:
    """The same Job for such an event, asked for in three ways."""

    plain: Post  # as every client does it
    lean: Post  # metadata only as the answer, no field validation
    protobuf: Post  # the builder's own request: lean, and all in protobuf


JSON = "application/json"

# No field of a Job, as far as the builder knows: one that has it goes as JSON.
UNKNOWN_FIELD = "asJson"


def capture_creation(folder):
    """Runs the builder against a server that only listens, and keeps what it is sent.

    So the bare POSTs are of the very Jobs that the builder makes, whatever they look like by now.
    """
    unique = hashlib.sha256(b"bench").hexdigest()[:32]
    own = _record(folder, unique, {})
    as_json = _record(folder, unique, {"spec": {UNKNOWN_FIELD: True}})
    job = json.loads(as_json.body)
    del job["spec"][UNKNOWN_FIELD]
    # The Job's name is a hash of the event's id; it and the id are what differs from Job to Job.
    job_hash = re.search(r"[0-9a-f]{32}$", job["metadata"]["name"])[0]

    def marked(body):
        for word in (job_hash, unique):
            body = body.replace(word.encode(), UNIQUE.encode())
        return body

    body = marked(json.dumps(job, separators=(",", ":")).encode())
    return Creation(
        plain=Post(own.target.partition("?")[0], JSON, JSON, body),
        lean=Post(own.target, f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1", JSON, body),
        protobuf=replace(own, body=marked(own.body)),
    )


def _record(folder, unique, job_patch):
    with _Recorder() as recorder:
        kubeconfig = folder / "recorder-kubeconfig"
        kubeconfig.write_text(plain_kubeconfig(recorder.port))
        with Builder(folder, "recorded", kubeconfig, connections=1, workers=1, job_patch=job_patch) as builder:
            answer = requests.post(builder.url, data=event(unique), headers=EVENT_HEADERS, timeout=30)
            answer.raise_for_status()
    return recorder.post


def plain_kubeconfig(port):
    """For an API server's imposter on this machine, without TLS."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "imposter",
            "clusters": [{"name": "imposter", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "nobody", "user": {"token": base64.b64encode(b"bench").decode()}}],
            "contexts": [{"name": "imposter", "context": {"cluster": "imposter", "user": "nobody"}}],
        }
    )


class _Recorder:
    """An API server that accepts everything and remembers the creation that was no dry run."""

    def __enter__(self):
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "dryRun" not in parse_qs(urlsplit(self.path).query):
                    headers = self.headers
                    recorder.post = Post(self.path, headers["Accept"], headers["Content-Type"], body)
                self.send_response(201)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.post = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
