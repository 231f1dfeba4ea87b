"""Promise 5, tenants share fairly: a tenant with 10 000 events does not make the others wait."""

import asyncio
import math
import time

from support.builder import example_event
from support.raw_http import KeptAlive, request

FLOOD_EVENTS = 10_000
FLOOD_CLIENTS = 100
TENANTS = 10
EVENTS_EACH = 10
ROUNDS = 5
MOST_RATIO = 3


async def send_until_accepted(client, event):
    """As Knative's senders do: told to come back, it does. Returns the seconds from the first try to the 202."""
    began = time.monotonic()
    while (status := await client.ask(event)) != 202:
        assert status == 503
        await asyncio.sleep(client.retry_after_seconds)  # a sender's back-off, not a test's wait
    return time.monotonic() - began


async def flood(port, numbers, accepted):
    client = await KeptAlive.connect(port)
    for number in numbers:  # shared: each client takes the next
        await send_until_accepted(client, request(example_event(f"flood-{number}", tenant="flood")))
        accepted.append(number)
    client.close()


async def others(port, name):
    """Each tenant sends all its events at once, several times; returns how long each event took."""
    clients = [await KeptAlive.connect(port) for _ in range(TENANTS * EVENTS_EACH)]
    seconds = []
    for turn in range(ROUNDS):
        seconds += await asyncio.gather(
            *(
                send_until_accepted(
                    client, request(example_event(f"{name}-{turn}-{i}", tenant=f"tenant-{i % TENANTS}"))
                )
                for i, client in enumerate(clients)
            )
        )
    for client in clients:
        client.close()
    return seconds


def p99(seconds):
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


async def measure(port):
    alone = await others(port, "alone")
    numbers, accepted = iter(range(FLOOD_EVENTS)), []
    floods = [asyncio.create_task(flood(port, numbers, accepted)) for _ in range(FLOOD_CLIENTS)]
    while len(accepted) < FLOOD_CLIENTS:
        await asyncio.wait(floods, timeout=0.01, return_when=asyncio.FIRST_EXCEPTION)
        assert not any(task.done() for task in floods), "the flood goes on"
    beside = await others(port, "beside")
    left = FLOOD_EVENTS - len(accepted)
    for task in floods:
        task.cancel()
    ended = await asyncio.gather(*floods, return_exceptions=True)
    assert all(isinstance(problem, asyncio.CancelledError) for problem in ended), ended
    return alone, beside, len(accepted), left


def test_a_tenant_with_10_000_events_does_not_make_the_others_wait(start_builder):
    # The default sizes, which the flood alone fills many times over.
    builder = start_builder(asyncJobCreator={"maxQueueSize": 100, "maxQueuePerTenant": 25})
    alone, beside, accepted, left = asyncio.run(measure(builder.port))
    ratio = p99(beside) / p99(alone)
    print(f"p99 alone {p99(alone):.3f} s, beside {p99(beside):.3f} s, ratio {ratio:.2f}; flood {accepted}, left {left}")
    assert left > 0, "the flood was there to the end"
    assert ratio <= MOST_RATIO
