"""The systems that are compared: each takes the same events, or their Jobs, and makes Jobs of them.

A system under load has two parts: its turns, in which the Jobs are counted, and then, when no other takes turns with
it any more, the times from event to Job.
"""

from contextlib import contextmanager
from dataclasses import asdict, dataclass

from . import amqp, events, jobsink, load
from .builder import Builder
from .children import usage_of
from .problem import Problem

DEFAULT_WORKERS = 5
REST_SECONDS = 30


@dataclass(frozen=True)
class Measurement:
    """One system, measured once. CPU in milliseconds an event, memory in bytes, times in seconds."""

    system: str
    connections: int
    round: int
    jobs_per_second: float
    events: int
    seconds: float
    p50: float | None
    p99: float | None
    cpu_ms: float | None  # of the system itself; none where there is only the load generator
    apiserver_cpu_ms: float
    etcd_cpu_ms: float
    peak_rss: int | None
    apiserver_peak_rss: int
    jobs_before: int

    def as_json(self):
        return asdict(self)


@dataclass(frozen=True)
class Setting:
    """All that a measurement depends on, beside the system."""

    plane: object
    creation: events.Creation
    connections: int
    seconds: int
    warm_up_seconds: int
    round: int

    @property
    def folder(self):
        return self.plane.folder


@dataclass(frozen=True)
class Times:
    """From an event to its Job, in seconds."""

    p50: float
    p99: float


class System:
    """Subclasses say how to put it under load."""

    takes_turns = True  # otherwise it is measured by itself
    is_slow = False  # throttled by itself: its figures do not vary, take long to get, and are taken once

    def __init__(self, name, says):
        self.name = name
        self.says = says

    @contextmanager
    def under_load(self, setting, jobs_before):
        """Gives an Underway; the load has begun. `jobs_before` are there."""
        raise NotImplementedError


class Underway:
    """A system that works under load."""

    pid = None  # of the system itself; None: there is only the load generator
    jobs_before = 0  # there when the load began

    def processes(self):
        """The ids of those beside the control plane."""
        raise NotImplementedError

    def times(self, seconds):
        """Ends the load, and takes the times."""
        raise NotImplementedError

    def check(self):
        """A system that answers without a Job would be fast indeed. Once `times` has returned."""
        raise NotImplementedError


def require_jobs(setting, name, expected, may_be_more):
    there = setting.plane.count_jobs_at_rest()
    if not expected <= there <= expected + may_be_more:
        raise Problem(f"{name}: {there} Jobs are there, {expected} to {expected + may_be_more} were expected")


# --- what wrk loads ---


class LoadedByWrk(Underway):
    def __init__(self, system, setting, jobs_before, url, request, stream, pid):
        self.name = f"{system.name}, {setting.connections} connections"
        self.setting = setting
        self.jobs_before = jobs_before
        self.url = url
        self.request = request
        self.stream = stream
        self.pid = pid
        self.sent = []

    def processes(self):
        return [self.stream.pid] + ([self.pid] if self.pid else [])

    def times(self, seconds):
        self._account(self.stream.stop())
        sent = self._account(load.send(self.url, self.request, self.setting.connections, seconds))
        return Times(sent.p50, sent.p99)

    def _account(self, sent):
        sent.require_success(self.name)
        self.sent.append(sent)
        return sent

    def check(self):
        # What wrk had under way when its time was up may have become a Job too.
        require_jobs(
            self.setting, self.name, self.jobs_before + sum(sent.requests for sent in self.sent),
            may_be_more=len(self.sent) * self.setting.connections,
        )  # fmt: skip


@contextmanager
def loaded_by_wrk(system, setting, jobs_before, url, request, pid=None):
    with load.Stream(url, request, setting.connections) as stream:
        yield LoadedByWrk(system, setting, jobs_before, url, request, stream, pid)


# --- the bare API server ---


class Bare(System):
    """wrk itself creates the Jobs that the builder would make."""

    @contextmanager
    def under_load(self, setting, jobs_before):
        post = getattr(setting.creation, self.name)
        headers = setting.plane.headers(post)
        request = load.write_request(setting.folder, self.name, post.target, headers, post.body)
        with loaded_by_wrk(self, setting, jobs_before, setting.plane.url, request) as underway:
            yield underway


# --- the builder ---


class ByHttp(System):
    def __init__(self, name, says, workers=None):
        super().__init__(name, says)
        self.workers = workers

    @contextmanager
    def under_load(self, setting, jobs_before):
        body = events.event(load.UNIQUE).encode()
        request = load.write_request(setting.folder, self.name, "/", events.EVENT_HEADERS, body)
        with start_builder(self, setting) as builder:
            with loaded_by_wrk(self, setting, jobs_before, builder.url, request, builder.pid) as underway:
                yield underway


def start_builder(system, setting, amqp_url=None):
    return Builder(
        setting.folder, file_name(system, setting), setting.plane.kubeconfig, setting.connections,
        workers=system.workers or setting.connections, amqp_url=amqp_url,
    )  # fmt: skip


class ByAmqp(System):
    """The Jobs are counted while the builder drains a full queue. Then as many events are under way as the others have
    connections, for the time from publishing to the Job.
    """

    def __init__(self, name, says, workers=None):
        super().__init__(name, says)
        self.workers = workers

    @contextmanager
    def under_load(self, setting, jobs_before):
        plane = setting.plane
        with amqp.Queue(plane.amqp_url) as queue:
            queue.fill(amqp.enough_for(setting.seconds + setting.warm_up_seconds))
            with start_builder(self, setting, plane.amqp_url) as builder:
                amqp.wait_for_jobs(builder)
                yield Draining(setting, jobs_before, queue, builder)
            queue.require_empty()


class Draining(Underway):
    def __init__(self, setting, jobs_before, queue, builder):
        self.setting = setting
        self.jobs_before = jobs_before
        self.queue = queue
        self.builder = builder
        self.pid = builder.pid

    def processes(self):
        return [self.pid]

    def times(self, seconds):
        self.queue.require_rest()
        self.queue.empty()
        self._wait_for_the_taken()
        p50, p99 = amqp.measure_times(self.setting.plane, self.queue, self.setting.connections, seconds)
        return Times(p50, p99)

    def _wait_for_the_taken(self):
        """By the API server's count: of what was frozen with its Job under way, the builder may learn late, and twice."""
        plane, expected = self.setting.plane, self._jobs_due()
        try:
            self.builder.wait_until(
                lambda: plane.count_jobs() >= expected, REST_SECONDS, f"{expected} Jobs are there, one for each event taken"
            )
        except Problem as problem:
            raise Problem(f"{problem}; {plane.count_jobs()} are. Its stats: {self.builder.stats()}") from problem

    def check(self):
        require_jobs(self.setting, "amqp", self._jobs_due(), may_be_more=0)

    def _jobs_due(self):
        return self.jobs_before + self.queue.taken()


# --- the peer ---


class ByJobSink(System):
    """By itself: it answers 5xx to what was frozen with it for some seconds."""

    takes_turns = False

    def __init__(self, name, says, is_lifted):
        super().__init__(name, says)
        self.is_slow = not is_lifted

    def measure_alone(self, setting):
        setting.plane.renew("start")
        jobs_before = setting.plane.count_jobs()
        # As shipped an answer takes as many seconds as half the connections: it is to give several of them.
        seconds = setting.seconds * setting.connections // 2 if self.is_slow else setting.seconds
        with self.start(setting) as sink:
            warm_up = [] if self.is_slow or not setting.warm_up_seconds else [self.send(setting, setting.warm_up_seconds)]
            meter = Meter(setting.plane, sink.pid)
            sent = self.send(setting, seconds)
            meter.stop()
        expected = jobs_before + sum(each.requests for each in [*warm_up, sent])
        require_jobs(setting, self.name, expected, may_be_more=(len(warm_up) + 1) * setting.connections)
        setting.plane.freeze()  # till it is renewed
        return make_measurement(
            self, setting, meter, sent.requests, sent.seconds, Times(sent.p50, sent.p99), jobs_before
        )

    def start(self, setting):
        is_lifted = not self.is_slow
        return jobsink.JobSink(setting.folder, file_name(self, setting), setting.plane.kubeconfig, is_lifted)

    def send(self, setting, seconds):
        headers = events.EVENT_HEADERS | {"Host": jobsink.HOST}
        request = load.write_request(
            setting.folder, self.name, jobsink.PATH, headers, events.event(load.UNIQUE).encode()
        )
        sent = load.send(jobsink.URL, request, setting.connections, seconds)
        sent.require_success(f"{self.name}, {setting.connections} connections")
        return sent


# --- what was found ---


class Meter:
    """What the processes used while something was measured."""

    def __init__(self, plane, pid=None):
        self.plane = plane
        self.pid = pid
        self.before = self._usages()

    def _usages(self):
        found = {"apiserver": self.plane.usage("apiserver"), "etcd": self.plane.usage("etcd")}
        if self.pid:
            found["system"] = usage_of(self.pid)
        return found

    def stop(self):
        self.after = self._usages()

    def cpu_ms(self, who, count):
        if who not in self.after:
            return None
        return (self.after[who].cpu_seconds - self.before[who].cpu_seconds) * 1000 / count

    def peak_rss(self, who):
        return self.after[who].peak_rss_bytes if who in self.after else None


def make_measurement(system, setting, meter, jobs, seconds, times, jobs_before):
    return Measurement(
        system=system.name,
        connections=setting.connections,
        round=setting.round,
        jobs_per_second=jobs / seconds,
        events=jobs,
        seconds=seconds,
        p50=times.p50,
        p99=times.p99,
        cpu_ms=meter.cpu_ms("system", jobs),
        apiserver_cpu_ms=meter.cpu_ms("apiserver", jobs),
        etcd_cpu_ms=meter.cpu_ms("etcd", jobs),
        peak_rss=meter.peak_rss("system"),
        apiserver_peak_rss=meter.peak_rss("apiserver"),
        jobs_before=jobs_before,
    )


def file_name(system, setting):
    return f"{system.name}-{setting.connections}-{setting.round}"


SYSTEMS = (
    Bare("plain", "bare POST of the Job, as every client does it"),
    Bare("lean", "bare POST, metadata-only answer, no field validation"),
    Bare("protobuf", "bare POST of the builder's own request: lean, all in protobuf"),
    ByHttp("http", "builder by HTTP, durable, as many workers as connections"),
    ByHttp("http-default", f"builder by HTTP, durable, the default {DEFAULT_WORKERS} workers", workers=DEFAULT_WORKERS),
    ByAmqp("amqp", "builder by AMQP, as many workers as connections"),
    ByAmqp("amqp-default", f"builder by AMQP, the default {DEFAULT_WORKERS} workers", workers=DEFAULT_WORKERS),
    ByJobSink("jobsink", "Knative JobSink as shipped", is_lifted=False),
    ByJobSink("jobsink-lifted", "Knative JobSink, its client's limits lifted", is_lifted=True),
)  # fmt: skip
NAMES_IN_ORDER = [system.name for system in SYSTEMS]
