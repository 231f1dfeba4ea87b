"""The summary as a picture: Jobs a second, time to the Job, CPU an event."""

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

PANELS = (
    ("Jobs/s", "jobs_per_second", 1),
    ("event to Job, p99, ms", "p99", 1e3),
    ("CPU of the system itself, ms an event", "cpu_ms", 1),
)
COLOURS = {16: "#4878a8", 64: "#e08214"}
OTHER_COLOUR = "#888888"


def draw(result, file):
    summary = result["summary"]
    names = list(dict.fromkeys(entry["system"] for entry in summary))
    counts = sorted({entry["connections"] for entry in summary})
    figure, axes = pyplot.subplots(len(PANELS), 1, figsize=(9, 3 * len(PANELS)), layout="constrained")
    for axis, (title, key, scale) in zip(axes, PANELS, strict=True):
        for place, count in enumerate(counts):
            _bars(axis, [_find(summary, name, count) for name in names], key, scale, place, len(counts), count)
        axis.set_title(title, loc="left")
        axis.set_xticks(range(len(names)), names)
        axis.set_xlim(-0.6, len(names) - 0.4)
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].set_yscale("log")  # JobSink as shipped takes a thousand times as long
    axes[1].set_ylim(bottom=1)
    axes[0].legend(handles=[Patch(color=_colour(count), label=f"{count} connections") for count in counts], frameon=False)
    machine = result["machine"]
    figure.suptitle(f"{machine['commit']}, {machine['cpus']} CPUs ({machine['cpu']}), {machine['time']}", fontsize=9)
    figure.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return file


def _find(summary, name, count):
    return next((entry for entry in summary if (entry["system"], entry["connections"]) == (name, count)), None)


def _bars(axis, entries, key, scale, place, places, count):
    """Medians, with lowest and highest as a line."""
    width = 0.8 / places
    for position, entry in enumerate(entries):
        spread = entry and entry[key]
        if not spread:
            continue
        middle = spread["median"] * scale
        error = [[middle - spread["min"] * scale], [spread["max"] * scale - middle]]
        axis.bar(
            position + (place - (places - 1) / 2) * width, middle, width, yerr=error, capsize=2,
            color=_colour(count),
        )  # fmt: skip


def _colour(count):
    return COLOURS.get(count, OTHER_COLOUR)
