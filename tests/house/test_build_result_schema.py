"""The events that tell of a build are as docs/schemas/build-result.json says, and the schema refuses what is not."""
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/schemas/build-result.json").read_text(encoding="utf-8"))
NAMES = ("started", "complete", "failed", "timeout", "superseded")


def golden_event(name):
    """What the operator makes of a build; the test ResultEvents.AreTheGoldenOnes compares them."""
    return json.loads((ROOT / f"tests/unit/golden/build_result_{name}.json").read_text(encoding="utf-8"))


def is_valid(data):
    return Draft202012Validator(SCHEMA).is_valid(data)


def test_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", NAMES)
def test_event_fits_schema(name):
    Draft202012Validator(SCHEMA).validate(golden_event(name)["data"])


@pytest.mark.parametrize("name", NAMES)
def test_every_required_member_is_missed(name):
    data = golden_event(name)["data"]
    optional = {"digest", "log_tail", "queued_seconds", "waiting_seconds", "build_seconds"}
    if name != "started":
        optional.add("started_at")
    for member in data:
        rest = {key: value for key, value in data.items() if key != member}
        assert is_valid(rest) == (member in optional), member


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("started", {"finished_at": "2026-03-01T10:00:50.000Z"}),
        ("started", {"reason": "CommandFailed"}),
        ("complete", {"class": "push"}),
        ("complete", {"digest": "sha256:short"}),
        ("complete", {"outcome": "failed"}),
        ("failed", {"class": "other"}),
        ("failed", {"digest": f"sha256:{'0' * 64}"}),
        ("failed", {"message": "two\nlines"}),
        ("failed", {"finished_at": "today"}),
        ("failed", {"build_seconds": -1}),
        ("timeout", {"attempt": "1"}),
        ("superseded", {"class": "infrastructure"}),
        ("superseded", {"more": 1}),
    ],
)
def test_what_is_wrong_is_refused(name, change):
    assert not is_valid(golden_event(name)["data"] | change)
