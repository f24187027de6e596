"""Reads a column of times by a declared format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.times import numbers, zones
from driftloop.data.times.formats import NUMBERS
from driftloop.data.times.reading import Reading, TimeColumn
from driftloop.errors import DataError

_ABBREVIATION: Final = "%Z"


def reading(column: TimeColumn, time_format: str, *, zone: str = "") -> Reading:
    """The times of a column of texts by a format of `strptime`, or one of `formats.NUMBERS`.

    A row may lack the format's trailing fraction of a second or time of day: writers omit zeros.

    Raises:
        DataError: no row fits the format, or a zone's abbreviation is ambiguous.
    """
    if time_format in NUMBERS:
        found = numbers.declared(column, time_format)
    else:
        texts = pd.Series(column.texts, dtype=object)
        names = np.full(len(texts), "", object)
        if _ABBREVIATION in time_format:
            texts, names = _taken_out(texts, time_format)
        found = _parsed(texts, names, time_format, zone=zone)
    if column.given.any() and np.isnat(found.times).all():
        raise DataError(
            f"--time_column {column.name!r} holds no times of the format {time_format!r} (the first value is {column.example}): give another --time_format"
        )
    unfit = np.flatnonzero(np.isnat(found.times) & column.given)
    return Reading(found.times, found.zoned, {int(row): f"not a time of the format {time_format!r}" for row in unfit} | found.reasons)


def _parsed(texts: pd.Series, names: np.ndarray, time_format: str, *, zone: str) -> Reading:
    times = np.full(len(texts), np.datetime64("NaT"), "datetime64[ns]")
    zoned = np.zeros(len(texts), bool)
    for form in _variants(re.sub(rf"\s*{_ABBREVIATION}\s*", " ", time_format).strip() if _ABBREVIATION in time_format else time_format):
        left = np.isnat(times) & texts.notna().to_numpy()
        if left.any():
            parsed = pd.to_datetime(texts[left], format=form, errors="coerce", utc=True)
            times[left] = parsed.dt.tz_localize(None).to_numpy("datetime64[ns]")
            zoned[left] = "%z" in form
    named = names != ""
    if named.any():
        years = times[named & ~np.isnat(times)].astype("datetime64[Y]").astype(np.int64) + 1970
        east = zones.offsets(np.unique(names[named].astype(str)), zone=zone, years=(int(years.min()), int(years.max())) if len(years) else (2000, 2000))
        seconds = [east[name] for name in names[named]]
        times[named] -= np.array([np.iinfo(np.int64).min if one is None else one for one in seconds], np.int64).astype("timedelta64[s]")
    return Reading(times, zoned | named)


def _variants(time_format: str) -> Iterator[str]:
    yield time_format
    if re.search(r"[.,]%f", time_format):
        yield re.sub(r"[.,]%f", "", time_format)
    if clock := re.search(r"%[HI]", time_format):
        head, tail = re.sub(r"[\sT,:_-]+$", "", time_format[: clock.start()]), time_format[clock.start() :]
        if "%" in head and not re.search(r"%[YymdbBjGUVWuw]", tail):
            yield head


def _taken_out(texts: pd.Series, time_format: str) -> tuple[pd.Series, np.ndarray]:
    """The texts without their zone's abbreviation, and the abbreviations: found where the format has the zone, or at the end of a word."""
    words = time_format.split()
    at = next(index for index, word in enumerate(words) if _ABBREVIATION in word)
    rest, names = [], []
    for text in texts:
        parts = text.split() if isinstance(text, str) else []
        found = re.fullmatch(r"(.*?)([A-Za-z]{1,5})", parts[at]) if at < len(parts) else None
        names.append(found.group(2) if found else "")
        rest.append(" ".join([*parts[:at], *filter(None, [found.group(1)]), *parts[at + 1 :]]) if found else None)
    return pd.Series(rest, dtype=object), np.array(names, object)
