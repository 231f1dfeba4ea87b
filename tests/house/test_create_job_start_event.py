"""tests/create-job-start-event.py against an imposter of the builder."""
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "create-job-start-event.py"
QUEUED = (202, {}, {"status": "queued", "job_name": "job-1", "duplicate": False})


class Imposter:
    """Keeps each request, and answers from a script of (status, headers, body); its last line serves for ever."""

    def __init__(self):
        self.requests = []
        self.script = [QUEUED]
        imposter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                imposter.requests.append(({key.lower(): value for key, value in self.headers.items()}, body))
                status, headers, answer = imposter.script.pop(0) if len(imposter.script) > 1 else imposter.script[0]
                payload = json.dumps(answer).encode()
                self.send_response(status)
                for key, value in {**headers, "Content-Length": len(payload)}.items():
                    self.send_header(key, str(value))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def builder():
    imposter = Imposter()
    yield imposter
    imposter.server.shutdown()
    imposter.server.server_close()


def run(*options):
    command = [sys.executable, SCRIPT, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_without_options_it_sends_the_documented_event(builder):
    result = run("--url", builder.url)
    assert result.returncode == 0, result.stderr
    [(headers, body)] = builder.requests
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "network.notifi.lambda.job.start"
    assert headers["ce-source"] == "network.notifi.kaniko-jobs"
    assert headers["ce-subject"] == "0197ad6c10b973b2b854a0e652155b7e"
    assert headers["content-type"] == "application/json"
    data = json.loads(body)
    assert data.pop("correlation_id")
    assert data == {
        "third_party_id": "0307ea43639b4616b044d190310a26bd",
        "parser_id": "0197ad6c10b973b2b854a0e652155b7e",
        "job_name": "kaniko-job-0307ea43639b4616b044d190310a26bd-0197ad6c10b973b2b854a0e652155b7e",
        "parameters": {
            "priority": 1,
            "build_type": "container",
            "runtime": "nodejs18",
            "source_url": "https://github.com/notifi/parsers/0197ad6c10b973b2b854a0e652155b7e",
            "build_timeout": 1800,
            "environment": {"NODE_ENV": "production", "BUILD_MODE": "optimized"},
        },
        "priority": 1,
    }
    assert '"job_name": "job-1"' in result.stdout
    assert "sent 1 in" in result.stdout
    assert "accepted 1; refused 0; failed 0; p50" in result.stdout


def test_options_reach_the_event(builder):
    result = run(
        "--url", builder.url, "--mode", "structured", "--id", "e1", "--source", "me", "--third-party-id", "t",
        "--parser-id", "p", "--source-url", "https://git.example/a.git", "--build-timeout", 60, "--priority", 7,
        "--env", "A=1", "B=x=y", "--env", "C=",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    [(headers, body)] = builder.requests
    event = json.loads(body)
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert (event["id"], event["source"], event["subject"]) == ("e1", "me", "p")
    assert (event["data"]["third_party_id"], event["data"]["priority"]) == ("t", 7)
    parameters = event["data"]["parameters"]
    assert (parameters["source_url"], parameters["build_timeout"]) == ("https://git.example/a.git", 60)
    assert parameters["environment"] == {"A": "1", "B": "x=y", "C": ""}


def test_events_have_ids_of_their_own(builder):
    assert run("--url", builder.url, "--count", 20, "--concurrency", 4).returncode == 0
    assert len({headers["ce-id"] for headers, _ in builder.requests}) == 20


def test_a_given_id_makes_it_the_same_event_and_duplicates_are_accepted(builder):
    builder.script = [QUEUED, (202, {}, {"status": "queued", "duplicate": True})]
    result = run("--url", builder.url, "--id", "e1", "--count", 2)
    assert result.returncode == 0
    assert builder.requests[0] == builder.requests[1]
    assert "accepted 2 (duplicate 1)" in result.stdout


def test_a_503_is_tried_again_when_retry_after_says_so(builder):
    builder.script = [(503, {"Retry-After": "0"}, {}), (503, {"Retry-After": "0"}, {}), QUEUED]
    assert run("--url", builder.url, "--retries", 2).returncode == 0
    assert len({headers["ce-id"] for headers, _ in builder.requests}) == 1
    assert len(builder.requests) == 3


def test_a_503_without_retries_is_refused(builder):
    builder.script = [(503, {"Retry-After": "1"}, {"error": {"message": "queue full"}}), QUEUED]
    result = run("--url", builder.url, "--count", 3)
    assert result.returncode == 1
    assert "accepted 2; refused 1 (1 × 503)" in result.stdout
    assert "queue full" in result.stdout


def test_a_400_is_not_tried_again(builder):
    builder.script = [(400, {}, {"status": "error"})]
    assert run("--url", builder.url, "--retries", 5).returncode == 1
    assert len(builder.requests) == 1


def test_a_dead_letter_is_not_accepted(builder):
    builder.script = [(200, {}, {"status": "dead-lettered"})]
    result = run("--url", builder.url)
    assert result.returncode == 1
    assert "1 × 200 dead-lettered" in result.stdout


def test_json_output_is_one_line_for_each_answer(builder):
    builder.script = [QUEUED, (422, {}, {"error": {"field": "data.priority"}})]
    result = run("--url", builder.url, "--count", 2, "--output", "json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {"status": 202, "id": builder.requests[0][0]["ce-id"], "body": QUEUED[2]}
    assert (second["status"], second["body"]["error"]["field"]) == (422, "data.priority")
    assert "sent 2" in result.stderr


def test_nobody_there_is_a_failure():
    result = run("--url", "http://127.0.0.1:1/")
    assert result.returncode == 1
    assert "failed 1" in result.stdout


@pytest.mark.parametrize("option", [("--env", "A"), ("--count", "0"), ("--rate", "nan"), ("--mode", "avro")])
def test_a_wrong_option_is_said_to_be_one(option):
    result = run(*option)
    assert result.returncode == 2
    assert option[0] in result.stderr
