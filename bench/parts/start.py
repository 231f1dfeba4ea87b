"""What every program here does first: run in the .venv, and end well when it is told to."""

import os
import signal
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BENCH = REPOSITORY / "bench"


def enter_environment():
    """Goes on in the .venv that hack/deps makes."""
    venv = REPOSITORY / ".venv"
    if Path(sys.prefix) == venv:
        return
    python = venv / "bin" / "python3"
    if not python.exists():
        sys.exit(f"{Path(sys.argv[0]).name}: no .venv here; run: hack/deps python bench")
    os.execv(python, [str(python), *sys.argv])


def end_by_exception():
    """So that SIGTERM and SIGHUP, as Ctrl-C, leave nothing running."""

    def stop(_number, _frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
