"""The input and result types of reading a time column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

YEARS: Final = (1678, 2261)
"""First and last year that datetime64[ns] covers completely."""
_FIRST, _AFTER = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")
OUTSIDE: Final = f"outside the years {YEARS[0]} to {YEARS[1]}"


@dataclass(frozen=True, eq=False)
class TimeColumn:
    """A time column as text, without surrounding blanks; entry i belongs to row i."""

    name: str
    texts: np.ndarray  # (N,) of str, None where missing

    @property
    def given(self) -> np.ndarray:
        """(N,) bool: whether a row has a value."""
        return pd.notna(self.texts)

    def shown(self, row: int) -> str:
        """A row's value for a message."""
        text = str(self.texts[row])
        return repr(text if len(text) <= 40 else f"{text[:40]}…")

    @property
    def example(self) -> str:
        """The first value for a message."""
        given = np.flatnonzero(self.given)
        return self.shown(int(given[0])) if len(given) else "missing"


@dataclass(frozen=True, eq=False)
class Reading:
    """Times as read; NaT where a row has none, with the reason in `reasons` if there is a specific one."""

    times: np.ndarray  # (N,) datetime64[ns]: UTC where `zoned`, else local time
    zoned: np.ndarray  # (N,) bool
    reasons: dict[int, str] = field(default_factory=dict)


def in_nanoseconds(times: np.ndarray, reasons: dict[int, str]) -> np.ndarray:
    """Times of a coarser unit as datetime64[ns]; those out of range become NaT, with a reason in `reasons`."""
    outside = (times < _FIRST) | (times >= _AFTER)
    reasons |= dict.fromkeys(map(int, np.flatnonzero(outside)), OUTSIDE)
    return np.where(outside, np.datetime64("NaT"), times).astype("datetime64[ns]")
