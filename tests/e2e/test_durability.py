"""Promise 1, nothing acknowledged is lost, and promise 2, one event, one Job: whatever dies under load."""

from concurrent.futures import ThreadPoolExecutor

from support.builder import jobs_by_event
from support.load import Client, Load
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


def send_at_once(sendings):
    """Sends (port, event id) pairs together, each by a client of its own; returns the answers in their order."""
    with ThreadPoolExecutor(len(sendings)) as clients:
        return list(clients.map(lambda sending: Client(sending[0]).send(sending[1]), sendings))


def test_120_deliveries_of_one_event_at_once_make_one_job(control_plane, start_builder):
    builder = start_builder()
    answers = send_at_once([(builder.port, "at-once")] * 120)
    assert {status for status, _ in answers} == {202}
    assert [body["duplicate"] for _, body in answers].count(False) == 1
    assert len(jobs_by_event(control_plane)["at-once"]) == 1


def test_two_replicas_make_one_job_of_one_event(control_plane, start_builder):
    """Promise 7, stateless and many."""
    ports = [start_builder().port for _ in range(2)]
    ids = [f"replicas-{number}" for number in range(50)]
    answers = send_at_once([(port, event_id) for event_id in ids for port in ports])
    assert {status for status, _ in answers} == {202}
    for first, second in zip(answers[::2], answers[1::2], strict=True):
        assert sorted([first[1]["duplicate"], second[1]["duplicate"]]) == [False, True]
    assert_one_job_each(control_plane, ids)
