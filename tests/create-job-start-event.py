#!/usr/bin/env python3
"""Sends job.start events to knative-lambda-builder, or to whatever else takes CloudEvents by HTTP."""
import argparse
import itertools
import json
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

try:
    import requests
    from cloudevents.conversion import to_binary, to_structured
    from cloudevents.http import CloudEvent
    from tqdm import tqdm
except ImportError as missing:
    sys.exit(f"{missing}; run: hack/deps python && source .venv/bin/activate")

EXAMPLES = """\
examples:
  the event of the documentation, once
      %(prog)s
  the same event twice: the second answer says "duplicate": true
      %(prog)s --id 4711 --count 2
  a source of your own, and variables for the build
      %(prog)s --source-url https://github.com/notifi/parsers.git --env NODE_ENV=production BUILD_MODE=fast
  1000 events, 50 a second, in structured mode; who is told to wait tries again, up to five times
      %(prog)s --count 1000 --rate 50 --concurrency 16 --mode structured --retries 5
  an event that does not come by the queue
      %(prog)s --source example.com/my-ci
  only the names of the Jobs
      %(prog)s --count 3 --output json | jq -r .body.job_name

The exit code is 0 if all events were accepted, 1 if not, 2 if the command line is wrong.
"""
RETRY_AFTER_MAX_SECONDS = 60.0
RETRY_SECONDS = 1.0  # where nobody said how long


@dataclass
class Answer:
    event_id: str
    seconds: float  # of the last try
    status: int | None = None  # None: no answer came
    body: object = None
    error: str | None = None

    @property
    def outcome(self):
        """accepted, duplicate, failed, or what the refusal was: "503", "200 dead-lettered"."""
        if self.status is None:
            return "failed"
        fields = self.body if isinstance(self.body, dict) else {}
        if not 200 <= self.status < 300:
            return str(self.status)
        if fields.get("status", "queued") != "queued":
            return f"{self.status} {fields['status']}"
        return "duplicate" if fields.get("duplicate") is True else "accepted"

    def as_json(self):
        fields = {"status": self.status, "id": self.event_id, "body": self.body, "error": self.error}
        return json.dumps({key: value for key, value in fields.items() if value is not None})


def key_and_value(text):
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return key, value


def at_least(least, kind=int):
    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} on")
        return value

    return number


def read_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sending = parser.add_argument_group("how it is sent")
    sending.add_argument("--url", default="http://127.0.0.1:8080/", help="default: %(default)s")
    sending.add_argument("--count", type=at_least(1), default=1, metavar="N", help="how many events (default: 1)")
    sending.add_argument("--rate", type=at_least(0, float), default=0, metavar="N", help="events a second; 0, the default: as fast as possible")  # fmt: skip
    sending.add_argument("--concurrency", type=at_least(1), default=1, metavar="N", help="requests at the same time (default: 1)")  # fmt: skip
    sending.add_argument("--mode", choices=("binary", "structured"), default="binary", help="default: binary")
    sending.add_argument("--retries", "--retry-on-503", type=at_least(0), default=0, metavar="N", help="further tries after a 503, each when its Retry-After says so, or after no answer (default: 0)")  # fmt: skip
    sending.add_argument("--timeout", type=at_least(0.001, float), default=30, metavar="SECONDS", help="for one request (default: 30)")  # fmt: skip
    sending.add_argument("--output", choices=("text", "json"), default="text", help="json: a line for each answer, the summary on stderr")  # fmt: skip
    event = parser.add_argument_group("what the event says (default: what the documentation's example says)")
    event.add_argument("--id", help="the same id for all events, which makes them one (default: a new one for each)")
    event.add_argument("--source", default="network.notifi.kaniko-jobs", help="default: %(default)s, who comes by the queue")  # fmt: skip
    event.add_argument("--third-party-id", default="0307ea43639b4616b044d190310a26bd", metavar="ID", help="the tenant")
    event.add_argument("--parser-id", default="0197ad6c10b973b2b854a0e652155b7e", metavar="ID", help="what is built")
    event.add_argument("--source-url", metavar="URL", help="where its source lies (default: by --parser-id)")
    event.add_argument("--build-timeout", type=int, default=1800, metavar="SECONDS", help="default: %(default)s")
    event.add_argument("--env", type=key_and_value, nargs="+", action="extend", metavar="NAME=VALUE", help="instead of the example's NODE_ENV and BUILD_MODE")  # fmt: skip
    event.add_argument("--priority", type=int, default=1, help="0 to 10, higher first (default: 1)")
    return parser.parse_args()


def make_event(arguments):
    environment = arguments.env or [("NODE_ENV", "production"), ("BUILD_MODE", "optimized")]
    attributes = {
        "type": "network.notifi.lambda.job.start",
        "source": arguments.source,
        "subject": arguments.parser_id,
        "datacontenttype": "application/json",
        "id": arguments.id or str(uuid.uuid4()),
    }
    data = {
        "third_party_id": arguments.third_party_id,
        "parser_id": arguments.parser_id,
        "correlation_id": str(uuid.uuid4()),
        "job_name": f"kaniko-job-{arguments.third_party_id}-{arguments.parser_id}",
        "parameters": {
            "priority": arguments.priority,
            "build_type": "container",
            "runtime": "nodejs18",
            "source_url": arguments.source_url or f"https://github.com/notifi/parsers/{arguments.parser_id}",
            "build_timeout": arguments.build_timeout,
            "environment": dict(environment),
        },
        "priority": arguments.priority,
    }
    return CloudEvent(attributes, data)


def body_of(response):
    try:
        return response.json()
    except ValueError:
        return response.text or None


def retry_after_seconds(response):
    """RFC 9110 allows a date too; the builder sends seconds."""
    try:
        return min(max(float(response.headers["Retry-After"]), 0.0), RETRY_AFTER_MAX_SECONDS)
    except (KeyError, ValueError):
        return RETRY_SECONDS


def send_once(session, event, arguments):
    """The answer, and how long to wait before another try could help: None if none could."""
    headers, payload = (to_structured if arguments.mode == "structured" else to_binary)(event)
    began = time.monotonic()
    try:
        response = session.post(arguments.url, data=payload, headers=headers, timeout=arguments.timeout)
    except requests.RequestException as error:
        return Answer(event["id"], time.monotonic() - began, error=str(error)), RETRY_SECONDS
    answer = Answer(event["id"], time.monotonic() - began, response.status_code, body_of(response))
    return answer, retry_after_seconds(response) if response.status_code == 503 else None


def send(session, event, arguments):
    for _ in range(arguments.retries):
        answer, wait_seconds = send_once(session, event, arguments)
        if wait_seconds is None:
            return answer
        time.sleep(wait_seconds)
    return send_once(session, event, arguments)[0]


def send_all(arguments, receive):
    """Hands each answer to `receive`, one at a time."""
    # One event, however often it is sent, if it has an id of its own.
    fixed = make_event(arguments) if arguments.id else None
    numbers = iter(range(arguments.count))
    lock = threading.Lock()
    began = time.monotonic()

    def work():
        with requests.Session() as session:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                if arguments.rate:
                    time.sleep(max(0.0, began + number / arguments.rate - time.monotonic()))
                answer = send(session, fixed or make_event(arguments), arguments)
                with lock:
                    receive(answer)

    with ThreadPoolExecutor(arguments.concurrency) as pool:
        workers = [pool.submit(work) for _ in range(min(arguments.concurrency, arguments.count))]
        try:
            for worker in workers:
                worker.result()
        except BaseException:  # Ctrl-C: what is under way ends, no more begins
            with lock:
                numbers = iter(())
            raise


def percentile(sorted_values, percent):
    return sorted_values[min(len(sorted_values) - 1, len(sorted_values) * percent // 100)]


def summary(answers, seconds):
    outcomes = Counter(answer.outcome for answer in answers)
    accepted, duplicate, failed = (outcomes.pop(name, 0) for name in ("accepted", "duplicate", "failed"))
    refused = ", ".join(f"{count} × {outcome}" for outcome, count in sorted(outcomes.items()))
    parts = [
        f"sent {len(answers)} in {seconds:.1f} s",
        f"accepted {accepted + duplicate}" + (f" (duplicate {duplicate})" if duplicate else ""),
        f"refused {outcomes.total()}" + (f" ({refused})" if refused else ""),
        f"failed {failed}",
    ]
    times = sorted(answer.seconds * 1000 for answer in answers if answer.status is not None)
    if times:
        parts.append(f"p50 {percentile(times, 50):.1f} ms, p99 {percentile(times, 99):.1f} ms")
    return "; ".join(parts)


def show(answer):
    shown = answer.error or (answer.body if isinstance(answer.body, str) else json.dumps(answer.body, indent=2))
    print(f"{answer.event_id}: {answer.status or 'no answer'}\n{shown}")


def main():
    arguments = read_arguments()
    as_json = arguments.output == "json"
    answers = []
    began = time.monotonic()
    with tqdm(total=arguments.count, unit=" events", disable=arguments.count == 1 or not sys.stderr.isatty()) as bar:

        def receive(answer):
            answers.append(answer)
            bar.update()
            if as_json:
                print(answer.as_json(), flush=True)

        try:
            send_all(arguments, receive)
        except KeyboardInterrupt:
            pass
    if not as_json:
        troubles = (answer for answer in answers if answer.outcome not in ("accepted", "duplicate"))
        for answer in answers if arguments.count <= 2 else itertools.islice(troubles, 5):
            show(answer)
    print(summary(answers, time.monotonic() - began), file=sys.stderr if as_json else sys.stdout)
    accepted = sum(answer.outcome in ("accepted", "duplicate") for answer in answers)
    return 0 if accepted == arguments.count else 1


if __name__ == "__main__":
    sys.exit(main())
