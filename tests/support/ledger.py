"""Which events were sent, and where each of them is now: a Job, a dead letter, both or neither."""

import contextlib
import json
import sys

from support.builder import example_event, jobs_by_event
from support.testbed import REPOSITORY
from support.waiting import wait_for

sys.path.append(str(REPOSITORY / "hack"))
from testbed_parts import api  # noqa: E402
from testbed_parts.place import TestBed as Place  # noqa: E402

TENANTS = 7
POISON_EVERY = 10

# Valid CloudEvents with data that can never become a Job, by the field that is at fault.
POISONS = {
    "data.third_party_id": {"third_party_id": None},
    "data.priority": {"priority": "high"},
    "data.parameters.source_url": {"parameters": {"source_url": "https://github.com/elsewhere/x"}},
    "data.parameters.build_type": {"parameters": {"build_type": "magic"}},
}


def events(prefix, count, poison_every=POISON_EVERY):
    """(event, the field that is wrong with it or None)"""
    fields = list(POISONS)
    for number in range(count):
        event = json.loads(example_event(f"{prefix}-{number}", f"tenant-{number % TENANTS}"))
        field = None
        if poison_every and number % poison_every == poison_every // 2:
            field = fields[number // poison_every % len(fields)]
            change = POISONS[field]
            event["data"]["parameters"] |= change.get("parameters", {})
            event["data"] |= {key: value for key, value in change.items() if key != "parameters"}
        yield event, field


class Ledger:
    """Of the events of one test, whose Jobs are in a namespace of their own, and so their dead letters."""

    def __init__(self, broker, namespace, dead_letter_queue, sent):
        self.broker, self.namespace, self.dead_letter_queue = broker, namespace, dead_letter_queue
        self.place = Place(broker.bed.name)
        self.sent = dict(sent)  # id -> the field that is wrong, or None
        self.letters = []  # headers

    @property
    def valid(self):
        return {event_id for event_id, field in self.sent.items() if field is None}

    @property
    def poison(self):
        return self.sent.keys() - self.valid

    def wait_until_all_is_somewhere(self, seconds):
        """Or until the time is over: check() then names what is lost."""
        with contextlib.suppress(AssertionError):
            wait_for(self._all_is_somewhere, seconds, "each event is somewhere", poll_seconds=0.5)

    def check(self):
        """Returns what it found, for who reads the test's output."""
        jobs = jobs_by_event(self.broker.bed, self.namespace)
        self._take_letters()
        lettered = {headers["ce-id"] for headers in self.letters}
        neither = self.sent.keys() - jobs.keys() - lettered
        assert not neither, f"{len(neither)} of {len(self.sent)} events are lost: {sorted(neither)[:5]}"
        assert lettered == self.poison, f"dead letters of valid events: {sorted(lettered - self.poison)[:5]}"
        assert jobs.keys() == self.valid, f"Jobs of poison: {sorted(jobs.keys() - self.valid)[:5]}"
        doubled = {event_id: names for event_id, names in jobs.items() if len(names) > 1}
        assert not doubled, doubled
        for headers in self.letters:
            assert headers["x-lambda-field"] == self.sent[headers["ce-id"]], headers
            assert headers["x-lambda-reason"] == "invalid", headers
            assert headers["x-lambda-stage"] == "intake", headers
            assert headers["x-lambda-error"], headers
        return {
            "events": len(self.sent),
            "valid": len(self.valid),
            "poison": len(self.poison),
            "jobs": sum(len(names) for names in jobs.values()),
            "dead_letters": len(self.letters),
        }

    def _all_is_somewhere(self):
        self._take_letters()
        lettered = {headers["ce-id"] for headers in self.letters}
        return self._count_jobs() + len(lettered) >= len(self.sent)

    def _take_letters(self):
        taken = self.broker.take_all(self.dead_letter_queue)
        self.letters += [properties.headers for properties, _body in taken]

    def _count_jobs(self):
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs?limit=1"
        found = api.kubernetes(self.place, path) or {"items": [], "metadata": {}}
        return len(found["items"]) + found["metadata"].get("remainingItemCount", 0)
