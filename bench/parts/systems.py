"""The systems that are compared: each takes the same events, or their Jobs, and makes Jobs of them."""

from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from . import amqp, events, jobsink, load
from .builder import Builder
from .children import usage_of
from .load import Load
from .problem import Problem

DEFAULT_WORKERS = 5


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


@dataclass(frozen=True)
class Setting:
    """All that a measurement depends on, beside the system."""

    plane: object
    folder: object
    creation: events.Creation
    connections: int
    seconds: int
    warm_up_seconds: int
    round: int


class System:
    """Subclasses say how to start it (`running`) and, where it is no plain HTTP, how to load it."""

    def __init__(self, name, says, is_slow=False):
        self.name = name
        self.says = says
        # Throttled by itself: its figures do not vary, take long to get, and are taken once.
        self.is_slow = is_slow

    @contextmanager
    def running(self, setting):
        """Gives the URL, the request's file and the process id (None: there is none)."""
        raise NotImplementedError

    def measure(self, setting):
        jobs_before = setting.plane.count_jobs()
        with self.running(setting) as (url, request, pid):
            self.send(setting, url, request, setting.warm_up_seconds)
            jobs_between = setting.plane.count_jobs()
            meter = Meter(setting.plane, pid)
            sent = self.send(setting, url, request, setting.seconds)
            meter.stop()
        # What wrk had under way when its time was up, at either end, may have become a Job too.
        check_jobs(setting, self.name, jobs_between + sent.requests, may_be_more=2 * setting.connections)
        return make_measurement(self, setting, meter, sent, jobs_before)

    def send(self, setting, url, request, seconds):
        if seconds == 0:
            return None
        sent = load.send(url, request, setting.connections, seconds)
        sent.require_success(f"{self.name}, {setting.connections} connections")
        return sent


def make_measurement(system, setting, meter, sent, jobs_before):
    return Measurement(
        system=system.name,
        connections=setting.connections,
        round=setting.round,
        jobs_per_second=sent.requests / sent.seconds,
        events=sent.requests,
        seconds=sent.seconds,
        p50=sent.p50,
        p99=sent.p99,
        cpu_ms=meter.cpu_ms("system", sent.requests),
        apiserver_cpu_ms=meter.cpu_ms("apiserver", sent.requests),
        etcd_cpu_ms=meter.cpu_ms("etcd", sent.requests),
        peak_rss=meter.peak_rss("system"),
        apiserver_peak_rss=meter.peak_rss("apiserver"),
        jobs_before=jobs_before,
    )


def check_jobs(setting, name, expected, may_be_more):
    """A system that answers without a Job would be fast indeed."""
    there = setting.plane.count_jobs()
    if not expected <= there <= expected + may_be_more:
        raise Problem(f"{name}: {there} Jobs are there, {expected} to {expected + may_be_more} were expected")


# --- the bare API server ---


class Bare(System):
    """wrk itself creates the Jobs that the builder would make."""

    def __init__(self, name, says, is_lean):
        super().__init__(name, says)
        self.is_lean = is_lean

    @contextmanager
    def running(self, setting):
        creation = setting.creation
        target = creation.target if self.is_lean else creation.target.partition("?")[0]
        headers = setting.plane.headers(creation.accept if self.is_lean else "application/json")
        request = load.write_request(setting.folder, self.name, target, headers, creation.body)
        yield setting.plane.url, request, None


# --- the builder ---


class ByHttp(System):
    def __init__(self, name, says, workers=None):
        super().__init__(name, says)
        self.workers = workers

    @contextmanager
    def running(self, setting):
        workers = self.workers or setting.connections
        body = events.event(load.UNIQUE)
        request = load.write_request(setting.folder, self.name, "/", events.EVENT_HEADERS, body)
        builder = Builder(
            setting.folder, file_name(self, setting), setting.plane.kubeconfig, setting.connections, workers
        )
        try:
            yield builder.url, request, builder.pid
        finally:
            builder.stop()


class ByAmqp(System):
    """Two figures, taken one after the other: the drain of a full queue, for the rate; then as many events under way as
    the others have connections, for the time from publishing to the Job.
    """

    def __init__(self, name, says, workers=None):
        super().__init__(name, says)
        self.workers = workers

    def measure(self, setting):
        plane = setting.plane
        jobs_before = plane.count_jobs()
        workers = self.workers or setting.connections
        with amqp.Queue(plane.amqp_url) as queue:
            queue.fill(amqp.enough_for(setting.seconds + setting.warm_up_seconds))
            builder = Builder(
                setting.folder, file_name(self, setting), plane.kubeconfig, setting.connections, workers,
                amqp_url=plane.amqp_url,
            )  # fmt: skip
            try:
                amqp.wait_for_jobs(builder, setting.warm_up_seconds)
                meter = Meter(plane, builder.pid)
                events_made, seconds = amqp.measure_drain(builder, setting.seconds)
                meter.stop()
                queue.empty(builder)
                times = amqp.measure_times(plane, queue, setting.connections, min(2, setting.seconds))
            finally:
                builder.stop()
            queue.require_empty()
        check_jobs(setting, self.name, jobs_before + queue.published - queue.removed, may_be_more=0)
        sent = Load(events_made, seconds, times.p50, times.p99, times.max, 0, 0, 0)
        return make_measurement(self, setting, meter, sent, jobs_before)


# --- the peer ---


class ByJobSink(System):
    def __init__(self, name, says, is_lifted):
        super().__init__(name, says, is_slow=not is_lifted)
        self.is_lifted = is_lifted

    @contextmanager
    def running(self, setting):
        headers = events.EVENT_HEADERS | {"Host": jobsink.HOST}
        request = load.write_request(
            setting.folder, self.name, jobsink.PATH, headers, events.event(load.UNIQUE)
        )
        sink = jobsink.JobSink(
            setting.folder, file_name(self, setting), setting.plane.kubeconfig, self.is_lifted
        )
        try:
            yield jobsink.URL, request, sink.pid
        finally:
            sink.stop()

    def measure(self, setting):
        # As shipped an answer takes as many seconds as half the connections: a turn is to have several of them, and a
        # warm-up would have none.
        if not self.is_slow:
            return super().measure(setting)
        return super().measure(
            replace(setting, seconds=setting.seconds * setting.connections // 2, warm_up_seconds=0)
        )


def file_name(system, setting):
    return f"{system.name}-{setting.connections}-{setting.round}"


SYSTEMS = (
    Bare("plain", "bare POST of the Job, as every client does it", is_lean=False),
    Bare("lean", "bare POST, metadata-only answer, no field validation", is_lean=True),
    ByHttp("http", "builder by HTTP, durable, as many workers as connections"),
    ByHttp("http-default", f"builder by HTTP, durable, the default {DEFAULT_WORKERS} workers", workers=DEFAULT_WORKERS),
    ByAmqp("amqp", "builder by AMQP, as many workers as connections"),
    ByAmqp("amqp-default", f"builder by AMQP, the default {DEFAULT_WORKERS} workers", workers=DEFAULT_WORKERS),
    ByJobSink("jobsink", "Knative JobSink as shipped", is_lifted=False),
    ByJobSink("jobsink-lifted", "Knative JobSink, its client's limits lifted", is_lifted=True),
)  # fmt: skip
NAMES_IN_ORDER = [system.name for system in SYSTEMS]
