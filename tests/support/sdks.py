"""The CloudEvents SDKs, and the CloudEvents project's own conformance program, as senders.

Each takes the events as dicts and returns the answer's status and body.
"""

import functools
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import requests
from cloudevents.http import CloudEvent, to_binary, to_structured

from support.testbed import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "hack"))

from testbed_parts import tools  # noqa: E402
from testbed_parts.place import cache_folder, locked  # noqa: E402

GO_PROGRAM = REPOSITORY / "tests" / "sdks" / "go"
JS_PROGRAM = REPOSITORY / "tests" / "sdks" / "js" / "send.js"
ANSWER_SECONDS = 60
BUILDING_SECONDS = 900


def python(url, mode, events):
    attributes = {name: value for name, value in events[0].items() if name != "data"}
    serialize = {"binary": to_binary, "structured": to_structured}[mode]
    headers, body = serialize(CloudEvent(attributes, events[0]["data"]))
    answer = requests.post(url, data=body, headers=headers, timeout=ANSWER_SECONDS)
    return answer.status_code, answer.json()


def go(url, mode, events):
    return _run([_go_program(), url, mode], events)


def javascript(url, mode, events):
    return _run(["node", JS_PROGRAM, url, mode], events[0])


def _run(command, stdin):
    done = subprocess.run(
        command, input=json.dumps(stdin), capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["status"], json.loads(answer["body"])


@functools.cache
def _go_program():
    """Built once, and kept under a name that says what went into it."""
    parts = [(GO_PROGRAM / name).read_bytes() for name in ("go.mod", "go.sum", "main.go")]
    name = f"sdk-go-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    program = cache_folder() / "sdks" / name
    with locked(cache_folder() / "sdks", lambda: print("waits for another build")):
        if not program.exists():
            _build_go(program)
    return program


def _build_go(program):
    unfinished = program.with_name(f"{program.name}.unfinished")
    subprocess.run(
        [tools.find_go(print), "build", "-trimpath", "-buildvcs=false", "-o", unfinished, "."],
        cwd=GO_PROGRAM,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"},
        timeout=BUILDING_SECONDS,
        check=True,
    )
    unfinished.rename(program)


def conformance(url, mode, events):
    """The program says nothing of the answer: an event that it has sent is looked for by its Job."""
    tools.ensure([tools.CONFORMANCE], print)
    event = events[0]
    flags = {name: event[name] for name in ("id", "source", "type", "subject", "datacontenttype")}
    flags |= {"mode": mode, "data": json.dumps(event["data"])}
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    subprocess.run(
        [tools.program(tools.CONFORMANCE, "cloudevents"), "send", url, *words], timeout=ANSWER_SECONDS, check=True
    )
