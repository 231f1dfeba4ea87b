"""What a part is."""

from collections.abc import Callable
from dataclasses import dataclass


def nothing(_bed):
    """For a part that has nothing to prepare."""


@dataclass(frozen=True)
class Part:
    """One program of the test bed, or (without a command) one step on the way.

    `prepare` writes what the program reads and may be repeated. `command` gives the words that
    start it. `ready` asks the program itself. `after` names the parts that must be ready before.
    """

    name: str
    ready: Callable
    command: Callable | None = None
    prepare: Callable = nothing
    environment: Callable = lambda _bed: {}
    after: tuple = ()
    ports: tuple = ()
    in_box: bool = False
    takes_along: tuple = ()  # parts that can't go on without this one, and start anew with it
    begins_with_script: bool = False  # which, killed, would leave the program itself behind
    seconds: int = 60  # to become ready
