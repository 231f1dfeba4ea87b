"""Systems that take turns on one machine, each with a control plane of its own, a fraction of a second at a time.

How fast a shared machine is changes by a third from one second to the next. Systems that are measured one after the
other get different machines; those that take short turns get the same one. Whoever has no turn is frozen, with its
control plane and its load, and uses nothing.
"""

import time
from contextlib import ExitStack, contextmanager

from .children import freeze, thaw
from .systems import Meter, make_measurement

TIMES_SECONDS_MAX = 2


def measure(settings, turn_seconds):
    """`settings`: of each system its own, with a control plane that no other has. Returns the measurements."""
    for setting in settings.values():
        setting.plane.renew("start")
        setting.plane.freeze()
    with ExitStack() as stack:
        contenders = [stack.enter_context(contender(system, setting)) for system, setting in settings.items()]
        if contenders:
            _take_turns(contenders, turn_seconds)
        # All at once: what an etcd has under way when it is frozen it refuses after 7 s.
        for one in contenders:
            one.end_turns()
        return [one.finish() for one in contenders]


def _take_turns(contenders, turn_seconds):
    for number in range(round(contenders[0].setting.seconds / turn_seconds)):
        first = number % len(contenders)
        for one in contenders[first:] + contenders[:first]:
            one.take_turn(turn_seconds)


@contextmanager
def contender(system, setting):
    """Warmed up and frozen."""
    plane = setting.plane
    plane.thaw()
    jobs_before = plane.count_jobs()
    try:
        with system.under_load(setting, jobs_before) as underway:
            one = Contender(system, setting, underway)
            try:
                one.warm_up()
                yield one
            finally:
                one.thaw()
    finally:
        plane.freeze()  # till it is renewed


class Contender:
    def __init__(self, system, setting, underway):
        self.system = system
        self.setting = setting
        self.plane = setting.plane
        self.underway = underway
        self.active_seconds = 0

    def warm_up(self):
        time.sleep(self.setting.warm_up_seconds)
        self.freeze()
        self.jobs_at_first = self._count_jobs()
        self.meter = Meter(self.plane, self.underway.pid)

    def take_turn(self, seconds):
        began = time.monotonic()
        self.thaw()
        time.sleep(seconds)
        self.freeze()
        self.active_seconds += time.monotonic() - began

    def end_turns(self):
        """Nothing is under way in the control plane then."""
        self.meter.stop()
        self.jobs = self._count_jobs() - self.jobs_at_first

    def finish(self):
        """The measurement; nobody takes turns any more."""
        self.thaw()
        times = self.underway.times(min(TIMES_SECONDS_MAX, self.setting.seconds))
        self.underway.check()
        self.freeze()
        return make_measurement(
            self.system, self.setting, self.meter, self.jobs, self.active_seconds, times, self.underway.jobs_before
        )

    def thaw(self):
        self.plane.thaw()
        thaw(self.underway.processes())

    def freeze(self):
        freeze(self.underway.processes())
        self.plane.freeze()

    def _count_jobs(self):
        """Of what is frozen, with those that the control plane has under way."""
        self.plane.thaw()
        jobs = self.plane.count_jobs_at_rest()
        self.plane.freeze()
        return jobs
