"""Reads numeric times: seconds or finer since 1970, inferred from their size over the whole column, and Excel's serial days."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.times import forms, infer
from driftloop.data.times.formats import NUMBERS
from driftloop.data.times.reading import Reading, TimeColumn, in_nanoseconds
from driftloop.errors import DataError

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_DIGITS: Final = re.compile(r"([+-]?)(\d{1,18}|[1-8]\d{18})(?:\.(\d*))?", re.ASCII)
_EXPONENT: Final = re.compile(r"[+-]?\d(?:\.(?P<part>\d*))?[eE]\+?(?P<power>\d{1,2})", re.ASCII)
_ROUND_S: Final = 100  # whole hours and days end in two zeros, which an exponent drops
_UNITS: Final = {"unix_s": 10**9, "unix_ms": 10**6, "unix_us": 10**3, "unix_ns": 1}  # in nanoseconds
_NAMES: Final = {"unix_s": "Unix seconds", "unix_ms": "Unix milliseconds", "unix_us": "Unix microseconds", "unix_ns": "Unix nanoseconds"}
_LAST_S: Final = 9_200_000_000  # in 2261
_OLDEST_S: Final = 100_000_000  # in 1973: numbers under it may be counters
_CALENDAR_YEARS: Final = (1900, 2100)  # of dates such as 20240131
_EXCEL: Final = np.datetime64("1899-12-30", "ms")
_DAY_MS: Final = 86_400_000
_CONCLUSIVE: Final = (8, 14)  # numbers of digits that Unix time does not have in our years


def are_numbers(texts: np.ndarray) -> bool:
    """Whether more than half of the texts are numbers."""
    given = [text for text in texts if text is not None]
    return sum(bool(_NUMBER.fullmatch(text)) for text in given) * 2 > len(given) > 0


def reading(column: TimeColumn) -> Reading:
    """The times of a column of numbers: dates such as 20240131, or Unix time in the unit inferred from the size of most.

    Raises:
        DataError: they are ambiguous.
    """
    if _is_calendar(column.texts):
        return infer.reading(column)
    whole = np.abs(_split(column.texts)[0].astype(np.float64))
    fits = {name: (whole >= _OLDEST_S * (10**9 // size)) & (whole <= _LAST_S * (10**9 // size)) for name, size in _UNITS.items()}
    best = max(fits, key=lambda name: int(fits[name].sum()))
    if fits[best].sum() * 2 <= column.given.sum():
        raise DataError(
            f"--time_column {column.name!r} holds no dates (the first value is {column.example}): write them as 2024-05-31T14:30, "
            f"or say with --time_format what the numbers are ({_meant(whole)}{', '.join(NUMBERS)})"
        )
    coarse = _rounded(column.texts, _UNITS[best])
    if coarse is not None:
        raise DataError(
            f"--time_column {column.name!r} holds {coarse!r}, a time whose last digits a spreadsheet dropped: write the numbers out, "
            "or write dates as 2024-05-31T14:30"
        )
    found = declared(column, best)
    others = np.flatnonzero(column.given & ~fits[best])
    found.times[others] = np.datetime64("NaT")
    return Reading(found.times, found.zoned, {int(row): f"not in {_NAMES[best]} as most rows are" for row in others})


def declared(column: TimeColumn, name: str) -> Reading:
    """The times of a column of numbers in a known format: one of `formats.NUMBERS`."""
    whole, fraction, given = _split(column.texts)
    reasons: dict[int, str] = {}
    if name == "excel":
        days = np.clip((whole + fraction) * _DAY_MS, -(10.0**15), 10.0**15)  # far outside, without overflow
        times = in_nanoseconds(_EXCEL + np.round(days).astype("timedelta64[ms]"), reasons)
    else:
        size = _UNITS[name]
        outside = np.abs(whole.astype(np.float64)) > _LAST_S * (10**9 // size)
        whole = np.where(outside, np.iinfo(np.int64).min, whole * size + np.round(fraction * size).astype(np.int64))
        times = whole.astype("datetime64[ns]")
    times[~given] = np.datetime64("NaT")
    return Reading(times, np.full(len(times), name != "excel"), {row: reason for row, reason in reasons.items() if given[row]})


def _is_calendar(texts: np.ndarray) -> bool:
    """Whether the numbers are dates without separators, as 20240131 or 202401311430."""
    lengths = {len(text) for text in texts if text is not None}
    if not lengths & {8, 10, 12, 14}:
        return False
    parts = forms.taken_apart(texts)
    right = ~np.isnat(forms.days(parts.year, parts.first, parts.second)) & ~np.isnat(parts.clock) & (parts.form == forms.YEAR_FIRST)
    right &= (parts.year >= _CALENDAR_YEARS[0]) & (parts.year <= _CALENDAR_YEARS[1])
    share = right.sum() / max(1, int(pd.notna(texts).sum()))
    return bool(share == 1 or (share > 0.5 and lengths & set(_CONCLUSIVE)))


def _split(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The whole part of each number, int64, its fraction, and whether it is a number; 0 where not."""
    if any(text is not None and "e" in text.lower() for text in texts):
        values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        texts = np.array([f"{value:.6f}" if np.isfinite(value) else None for value in values], object)
    found = [_DIGITS.fullmatch(text) if text is not None else None for text in texts]
    given = np.array([match is not None for match in found], bool)
    parts = [match.groups("") if match else ("", "0", "") for match in found]
    sign = np.array([-1 if part[0] == "-" else 1 for part in parts], np.int64)
    whole = np.array([int(part[1]) for part in parts], np.int64)
    fraction = np.array([float(f"0.{part[2]}0") for part in parts], np.float64)
    return sign * whole, sign * fraction, given


def _rounded(texts: np.ndarray, size: int) -> str | None:
    """A number of a column whose exponents hide the minutes, such as 1.5463E+09; None if at least one shows them."""
    given = [text for text in texts if text is not None]
    found = [match for match in map(_EXPONENT.fullmatch, given) if match]
    if len(found) * 2 <= len(given):
        return None
    step_s = 10.0 ** (max(int(match["power"]) for match in found) - max(len(match["part"] or "") for match in found)) * size / 10**9
    return None if step_s <= _ROUND_S else next(text for text in given if "e" in text.lower())


def _meant(whole: np.ndarray) -> str:
    """Suggested formats for numbers of this size."""
    middle = float(np.median(whole[whole > 0])) if (whole > 0).any() else 0.0
    if 1678 <= middle <= 2261:
        return "years: %Y; else "
    if 167_801 <= middle <= 226_112 and ((whole % 100 >= 1) & (whole % 100 <= 12)).all():
        return "months: %Y%m; else "
    if 10_101 <= middle <= 991_231 and (whole % 100 <= 31).all() and (whole // 100 % 100 <= 12).all():
        return "days such as 240131: %y%m%d; else "
    if 1_678_001 <= middle <= 2_261_366 and ((whole % 1000 >= 1) & (whole % 1000 <= 366)).all():
        return "days of the year such as 2024060: %Y%j; else "
    return "Excel's days: excel; else " if 20_000 <= middle <= 80_000 else ""
