"""Prediction events like those of the stream "elec", for the benchmarks of the log and the monitor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from monitoring import stream_settings
from monitoring.records.events import Prediction


def prediction(name: str, time: str, features: Iterable[float], *, answer: int) -> Prediction:
    """The event with id `name`: class `answer` predicted with probability 0.8 for these features."""
    values: dict[str, float | str | bool | None] = dict(zip(_names(), map(float, features), strict=True))
    shares = [0.2, 0.8] if answer else [0.8, 0.2]
    return Prediction(name, "elec", time, time, "drift_model", "1", values, answer, 0.8, shares, baseline=0, fallback="", latency_ms=3.25)


@cache
def _names() -> tuple[str, ...]:
    return stream_settings.load()["elec"].feature_names
