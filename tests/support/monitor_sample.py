"""A monitor without HTTP, references to give it, and records to feed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from monitor_records import ELEC

from driftloop.training.reference import About, Reference
from monitoring import stream_settings
from monitoring.online.monitor import Monitor
from monitoring.references import References


def some_reference(rows: int = 3000, **columns: float) -> Reference:
    """Uniform features, but for those given as constants; right in 9 of 10 rows."""
    rng = np.random.default_rng(5)
    values = rng.random((rows, 6))
    for name, value in columns.items():
        values[:, ELEC.feature_names.index(name)] = value
    labels = rng.integers(0, 2, rows)
    about = About("elec", "classification", ELEC.feature_names, (0, 1), "run", (0, rows))
    times = np.datetime64("2020-01-01", "ns") + np.arange(rows)
    return Reference(about, values.astype(np.float32), labels, np.where(rng.random(rows) < 0.9, labels, 1 - labels), np.full(rows, 0.75), times)


class Kept:
    """References that are at hand."""

    def __init__(self, find: Callable[[str], Reference], champion: str = "") -> None:
        self._find, self._champion = find, champion

    def find(self, stream: str, model: str, version: str) -> Reference:
        return self._find(version)

    def champion(self, model: str) -> str:
        return self._champion


def monitor(references: Any = None) -> Monitor:
    found: References | None = references
    return Monitor(stream_settings.load(), references=found)


def told(made: Monitor, stream: str = "elec") -> dict[str, Any]:
    made.watchers[stream].think()
    return made.watchers[stream].known().as_json()


def feed(made: Monitor, records: list[dict[str, Any]], *, batch: int = 500) -> None:
    for start in range(0, len(records), batch):
        made.ingest(records[0]["stream"], records[start : start + batch])
