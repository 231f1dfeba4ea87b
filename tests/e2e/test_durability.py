"""Promise 1, nothing acknowledged is lost, and promise 2, one event, one Job: whatever dies under load."""

from support.builder import jobs_by_event
from support.load import Load
from support.waiting import wait_for


def assert_one_job_each(bed, accepted):
    jobs = jobs_by_event(bed)
    lost = [event_id for event_id in accepted if event_id not in jobs]
    doubled = {event_id: names for event_id, names in jobs.items() if len(names) > 1}
    assert not lost, f"{len(lost)} of {len(accepted)} acknowledged events have no Job: {lost[:5]}"
    assert not doubled, doubled


def test_sigterm_with_200_events_in_flight_loses_none(control_plane, start_builder):
    builder = start_builder()
    load = Load(builder.port, clients=200, prefix="sigterm")
    wait_for(lambda: len(load.accepted()) > 200, 60, "the load runs")
    assert builder.stats()["queue_size"] + builder.stats()["active"] > 100, "events are in flight"

    assert builder.terminate() == 0

    load.join()
    assert load.trouble == [], "a client met something else than an answer or a refused connection"
    last = [statuses[-1] for statuses in load.answers.values()]
    assert set(last) <= {202, 503, 0}, "accepted, told to come back, or connection refused"
    assert_one_job_each(control_plane, load.accepted())
    print(f"accepted {last.count(202)}, 503 {last.count(503)}, connection refused {last.count(0)}")


def test_api_server_stopped_and_started_under_load_loses_none(control_plane, start_builder):
    builder = start_builder()
    load = Load(builder.port, clients=50, prefix="away", until_accepted=True)
    wait_for(lambda: len(load.accepted()) > 200, 60, "the load runs")

    control_plane.run("stop", "apiserver")
    wait_for(lambda: builder.stats()["unavailable"] > 0, 60, "events are told to come back")
    assert builder.process.poll() is None
    control_plane.run("start", "apiserver")

    accepted_before = len(load.accepted())
    wait_for(lambda: len(load.accepted()) > accepted_before + 200, 60, "events are accepted again")
    load.stop()
    assert load.trouble == []
    statuses = {status for answers in load.answers.values() for status in answers}
    assert statuses == {202, 503}
    assert_one_job_each(control_plane, load.accepted())


def test_kill_9_under_load_loses_none(control_plane, start_builder):
    builder = start_builder()
    load = Load(builder.port, clients=50, prefix="killed", count=1500, until_accepted=True)
    for goal in (200, 600):
        wait_for(lambda goal=goal: len(load.accepted()) > goal, 60, "the load runs")
        builder.kill()
        assert_one_job_each(control_plane, load.accepted())
        builder.start()
    load.join()
    assert len(load.accepted()) == 1500
    assert_one_job_each(control_plane, load.accepted())
