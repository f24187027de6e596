"""Implausible trips, with the reason: they are set aside and counted by block, never dropped silently.

Every limit is inclusive. Of several faults the first is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

TARGET: Final = "duration_minutes"
TIME: Final = "pickup_time"
FEATURES: Final = ("pickup_zone", "dropoff_zone", "distance_miles", "hour", "weekday")
ZONES: Final = (1, 263)  # 264 and 265 stand for unknown places
DISTANCE_MILES: Final = (0.1, 100.0)
DURATION_MINUTES: Final = (1.0, 60.0)
SPEED_MPH: Final = (1.0, 80.0)


def faults(frame: pd.DataFrame) -> dict[int, str]:
    """The unusable trips: row, from 0, to the reason, with the trip's value in brackets.

    >>> trip = {"pickup_zone": 1, "dropoff_zone": 2, "distance_miles": 46826.2, "duration_minutes": 12.0, "file_month": 202011}
    >>> faults(pd.DataFrame([trip | {"pickup_time": pd.Timestamp("2020-11-03 10:00")}]))
    {0: 'distance_miles over 100 (46826.2)'}
    """
    found: dict[int, str] = {}
    for bad, reason, values in _rules(frame):
        for row in np.flatnonzero(bad.to_numpy(bool)):
            found.setdefault(int(row), f"{reason} ({_written(values.iloc[row])})")
    return found


def _rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str, pd.Series]]:
    times, miles, minutes = frame[TIME], frame["distance_miles"], frame[TARGET]
    yield times.dt.year * 100 + times.dt.month != frame["file_month"], f"{TIME} outside its file's month", times
    yield from _outside(miles, "distance_miles", DISTANCE_MILES)
    yield from _outside(minutes, TARGET, DURATION_MINUTES)
    yield from _outside(60 * miles / minutes, "miles an hour", SPEED_MPH)
    for name in ("pickup_zone", "dropoff_zone"):
        yield from _outside(frame[name], name, ZONES)


def _outside(values: pd.Series, name: str, limits: tuple[float, float]) -> Iterator[tuple[pd.Series, str, pd.Series]]:
    low, high = limits
    yield values < low, f"{name} under {low:g}", values
    yield values > high, f"{name} over {high:g}", values


def _written(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, int | float | np.number) else str(value)
