"""What the measurements say: medians and spread, ratios, the promises that they bear out or not."""

import json
from dataclasses import dataclass
from statistics import median

from .systems import NAMES_IN_ORDER

MEGABYTE = 1e6
FIGURES = (
    "jobs_per_second", "p50", "p99", "cpu_ms", "apiserver_cpu_ms", "etcd_cpu_ms", "peak_rss", "apiserver_peak_rss",
)  # fmt: skip
BASES = ("plain", "lean", "jobsink-lifted")


def make(arguments, machine, measurements):
    """The whole result, as it is written to JSON."""
    options = {
        name: getattr(arguments, name)
        for name in ("systems", "connections", "rounds", "seconds", "warm_up", "preload", "short")
    }
    summary = [
        _summary(name, connections, measurements)
        for connections in arguments.connections
        for name in NAMES_IN_ORDER
        if _of(measurements, name, connections)
    ]
    return {
        "machine": machine,
        "options": options,
        "summary": summary,
        # One short round says nothing about speed.
        "promises": [] if arguments.short else [vars(promise) for promise in promises(summary)],
        "measurements": [measurement.as_json() for measurement in measurements],
    }


def _of(measurements, name, connections):
    return [
        measurement
        for measurement in measurements
        if measurement.system == name and measurement.connections == connections
    ]


def _summary(name, connections, measurements):
    own = _of(measurements, name, connections)
    found = {"system": name, "connections": connections, "rounds": len(own)}
    found |= {figure: _spread([getattr(one, figure) for one in own]) for figure in FIGURES}
    for base in BASES:
        found[f"ratio_to_{base}"] = _spread(_ratios(own, _of(measurements, base, connections)))
    return found


def _ratios(own, others):
    """Of what was measured in the same round: so what the machine did meanwhile counts for both."""
    rates = {other.round: other.jobs_per_second for other in others}
    return [one.jobs_per_second / rates[one.round] for one in own if one.round in rates]


def _spread(values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": median(values), "min": min(values), "max": max(values)}


# --- what is promised ---


@dataclass(frozen=True)
class Promise:
    says: str
    found: float
    limit: float
    at_least: bool

    @property
    def is_kept(self):
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def promises(summary):
    """Of the builder with as many workers as connections."""
    for entry in summary:
        if entry["system"] not in ("http", "amqp"):
            continue
        where = f"{entry['system']}, {entry['connections']} connections"
        for base, limit in (("plain", 1.0), ("lean", 0.9), ("jobsink-lifted", 2.0)):
            if ratio := entry[f"ratio_to_{base}"]:
                yield Promise(f"{where}: Jobs/s to {base}", ratio["median"], limit, at_least=True)
        yield Promise(f"{where}: CPU ms an event", entry["cpu_ms"]["median"], 0.2, at_least=False)


# --- for people ---


def line(measurement, rounds):
    """One measurement, as it is told while the run goes on."""
    return (
        f"round {measurement.round}/{rounds} {measurement.connections:3} connections"
        f" {measurement.system:15} {measurement.jobs_per_second:8.1f} Jobs/s"
    )


COLUMNS = (
    ("Jobs/s", "jobs_per_second", 1, 0),
    ("to plain", "ratio_to_plain", 1, 2),
    ("to lean", "ratio_to_lean", 1, 2),
    ("p50 ms", "p50", 1e3, 1),
    ("p99 ms", "p99", 1e3, 1),
    ("CPU ms", "cpu_ms", 1, 3),
    ("RSS MB", "peak_rss", 1 / MEGABYTE, 1),
    ("API CPU ms", "apiserver_cpu_ms", 1, 2),
    ("API RSS MB", "apiserver_peak_rss", 1 / MEGABYTE, 0),
)


def table(result):
    rows = [["connections", "system", *(title for title, *_ in COLUMNS)]]
    for entry in result["summary"]:
        cells = [_cell(entry[key], scale, digits) for _, key, scale, digits in COLUMNS]
        rows.append([str(entry["connections"]), entry["system"], *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    notes = [
        "",
        "Median of the rounds [lowest-highest]. Ratios are taken within a round. CPU is per event.",
        *(_verdict(promise) for promise in map(lambda fields: Promise(**fields), result["promises"])),
    ]
    return "\n".join(["", *lines, *notes, ""])


def _cell(spread, scale, digits):
    if spread is None:
        return "-"
    middle, least, most = (f"{spread[key] * scale:.{digits}f}" for key in ("median", "min", "max"))
    return middle if least == most else f"{middle} [{least}-{most}]"


def _aligned(row, widths):
    return [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]


def _verdict(promise):
    word = "at least" if promise.at_least else "at most"
    kept = "kept  " if promise.is_kept else "MISSED"
    return f"{kept} {promise.says}: {promise.found:.3f} ({word} {promise.limit})"


def write(result, folder):
    """Returns the files. Named by time and commit, so that results stand beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = result["machine"]["time"].replace(":", "").partition("+")[0]
    preload = result["options"]["preload"]
    name = f"{stamp}-{result['machine']['commit']}" + (f"-preload{preload}" if preload else "")
    file = folder / f"{name}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    return [file]
