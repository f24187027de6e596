"""Parses texts of times: the form of each, and its year, month, day, time of day and zone.

Nothing is decided here: 05/03/2019 has two numbers and a year, and which of them is the month follows from the whole column (`driftloop.data.times.infer`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

YEAR_FIRST, NAMED, MONTH, SHORT_YEAR, NO_DATE, NONE = "year first", "named", "month", "short year", "no date", ""
"""Forms besides "a/b/y" and its like, whose first two numbers are a day and a month in either order."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL: Final = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "sept")
_NAMES: Final = {**{name: index for index, name in enumerate(_MONTHS, 1)}, **{name: index for index, name in enumerate(_FULL, 1)}, "sept": 9}

_ZONE = r"(?:\s*(?P<zone>[Zz]|(?:UTC|GMT|UT)?\s*[+-]\d{1,2}(?::?\d{2}(?::?\d{2})?)?|[A-Za-z][A-Za-z_/]{1,40})(?:\s*[\[(][^\])]*[\])])?)?"
_HALF = r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
_CLOCK = rf"(?P<hour>\d{{1,2}})(?:(?P<c1>[:.])(?P<minute>\d{{2}})(?:(?P<c2>[:.])(?P<second>\d{{2}})(?:[.,](?P<part>\d+))?)?)?{_HALF}"
_TIME = rf"(?:(?:\s*,\s*|\s+(?:at\s+)?|[Tt_:]){_CLOCK}{_ZONE})?$"
_DAY_NAME = r"^(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_NAME = r"(?P<name>(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[A-Za-z]*)\.?"
_COMPACT = r"(?P<year>\d{4})(?P<a>\d{2})(?P<b>\d{2})"
_COMPACT_CLOCK = r"(?P<hour>\d{2})(?:(?P<minute>\d{2})(?:(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?)?"
_PATTERNS: Final = tuple(
    (form, re.compile(pattern, re.ASCII))
    for form, pattern in (
        (YEAR_FIRST, rf"^(?P<year>\d{{4}})(?P<s1>[-/.])(?P<a>\d{{1,2}})(?P<s2>[-/.])(?P<b>\d{{1,2}}){_TIME}"),
        ("{s1}", rf"^(?P<a>\d{{1,2}})(?P<s1>[-/.])\s?(?P<b>\d{{1,2}})(?P<s2>[-/.])\s?(?P<year>\d{{4}}){_TIME}"),
        (YEAR_FIRST, rf"^{_COMPACT}(?:[T_ ]?{_COMPACT_CLOCK}{_ZONE})?$"),
        (YEAR_FIRST, rf"^{_COMPACT}{_TIME}"),
        (YEAR_FIRST, rf"^(?P<year>\d{{4}})(?P<s1>-)(?P<a>\d{{2}})(?P<s2>-)(?P<b>\d{{2}})T{_COMPACT_CLOCK}{_ZONE}$"),
        (NAMED, rf"{_DAY_NAME}(?P<b>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/ ]*{_NAME}[-/, ]*(?P<year>\d{{4}}){_TIME}"),
        (NAMED, rf"{_DAY_NAME}{_NAME}\s*(?P<b>\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|\s+)(?P<year>\d{{4}}){_TIME}"),
        (NAMED, rf"^(?P<year>\d{{4}})[-/ ]{_NAME}[-/ ](?P<b>\d{{1,2}}){_TIME}"),
        (NAMED, rf"{_DAY_NAME}{_NAME}\s+(?P<b>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+(?P<year>\d{{4}})$"),
        (MONTH, r"^(?P<year>\d{4})[-/](?P<a>\d{1,2})$"),
        (MONTH, r"^(?P<a>\d{1,2})[-/](?P<year>\d{4})$"),
        (MONTH, rf"^{_NAME}[-/, ]*(?P<year>\d{{4}})$"),
        (MONTH, r"^(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])$"),
        (MONTH, r"^[Qq](?P<quarter>[1-4])[-/ ](?P<year>\d{4})$"),
        (SHORT_YEAR, r"^(?P<b>\d{1,2})[-/.]\s?\d{1,2}[-/.]\s?\d{2}(?:[ T,].*)?$"),
        (SHORT_YEAR, rf"{_DAY_NAME}\d{{1,2}}[-/. ]+{_NAME}[-/., ']*\d{{2}}(?:[ T,].*)?$"),
        (SHORT_YEAR, rf"^{_NAME}[-/ ']+\d{{2}}$"),
        (NO_DATE, rf"^(?P<b>\d{{1,2}}):\d{{2}}(?::\d{{2}}(?:[.,]\d+)?)?{_HALF}{_ZONE}$"),
    )
)


@dataclass(frozen=True, eq=False)
class Parts:
    """The parsed parts of N texts; entry i of every array belongs to text i."""

    form: np.ndarray  # (N,) object: one of the forms above, or the separator of "a/b/y"
    year: np.ndarray  # (N,) int64
    first: np.ndarray  # (N,) int64: the month where the form defines it, else the first of two numbers
    second: np.ndarray  # (N,) int64: the day, or the second of two numbers
    clock: np.ndarray  # (N,) timedelta64[ns]: time of day; NaT where invalid
    zone: np.ndarray  # (N,) object: zone, "" without one
    timed: np.ndarray  # (N,) bool: whether there is a time of day
    half: np.ndarray  # (N,) bool: whether it is on a 12-hour clock


def taken_apart(texts: np.ndarray) -> Parts:
    """The parts of each text, which has no surrounding blanks; None has no form.

    >>> parts = taken_apart(np.array(["2019-03-05T14:30Z", "05/03/2019 2:30 PM", "5 Mar 2019", "14:30", "soon"], object))
    >>> parts.form.tolist(), parts.first.tolist(), parts.zone.tolist()
    (['year first', '/', 'named', 'no date', ''], [3, 5, 3, 0, 0], ['Z', '', '', '', ''])
    >>> parts.clock[:2].astype("timedelta64[m]").tolist()
    [datetime.timedelta(seconds=52200), datetime.timedelta(seconds=52200)]
    """
    count = len(texts)
    form, zone = np.full(count, NONE, object), np.full(count, "", object)
    year, first, second = (np.zeros(count, np.int64) for _ in range(3))
    clock, timed, half = np.zeros(count, "timedelta64[ns]"), np.zeros(count, bool), np.zeros(count, bool)
    for name, where, groups in _matches(texts):
        form[where] = groups.text("s1") if name == "{s1}" else name
        year[where], second[where] = groups.number("year"), groups.number("b", 1)
        first[where] = _months(groups)
        clock[where], zone[where] = _clock(groups), groups.text("zone")
        timed[where], half[where] = groups.given("hour"), groups.given("half")
        form[where[groups.text("s1") != groups.text("s2")]] = NONE
    return Parts(form, year, first, second, clock, zone, timed, half)


def _matches(texts: np.ndarray) -> Iterator[tuple[str, np.ndarray, _Groups]]:
    """Each form with the positions of its texts and their groups; a text has the first form that fits."""
    left = np.flatnonzero(pd.notna(texts))
    for name, pattern in _PATTERNS:
        if not len(left):
            return
        found = [pattern.match(text) for text in texts[left]]
        fits = np.array([match is not None for match in found], bool)
        if fits.any():
            yield name, left[fits], _Groups(pattern, [match.groups("") for match in found if match])
        left = left[~fits]


class _Groups:
    """The named groups of a pattern as numpy arrays; a group that a text does not have is empty."""

    def __init__(self, pattern: re.Pattern[str], found: Sequence[tuple[str, ...]]) -> None:
        names = sorted(pattern.groupindex, key=pattern.groupindex.__getitem__)  # all groups have names
        self._columns, self.count = dict(zip(names, zip(*found, strict=True), strict=True)), len(found)

    def text(self, name: str) -> np.ndarray:
        return np.array(self._columns.get(name, ("",) * self.count), object)

    def number(self, name: str, default: int = 0) -> np.ndarray:
        if name not in self._columns:
            return np.full(self.count, default, np.int64)
        return np.array([int(text) if text else default for text in self._columns[name]], np.int64)

    def given(self, name: str) -> np.ndarray:
        return np.asarray(self.text(name) != "", bool)

    def nanoseconds(self) -> np.ndarray:
        """The fraction of a second; digits below a nanosecond are dropped."""
        return np.array([int(text[:9].ljust(9, "0")) if text else 0 for text in self._columns.get("part", ("",) * self.count)], np.int64)


def _months(groups: _Groups) -> np.ndarray:
    if groups.given("name").any():
        return np.array([_NAMES.get(name.lower(), 0) for name in groups.text("name")], np.int64)
    quarter = groups.number("quarter")
    return np.where(quarter > 0, quarter * 3 - 2, groups.number("a"))


def _clock(groups: _Groups) -> np.ndarray:
    hour, minute, second = groups.number("hour"), groups.number("minute"), groups.number("second")
    half = np.char.lower(groups.text("half").astype("U1"))
    right = (hour < 24) & (minute < 60) & (second < 60) | (hour == 24) & (minute + second == 0)  # 24:00 is the day's end
    right &= (half == "") | (hour >= 1) & (hour <= 12)
    right &= ~groups.given("c2") | (groups.text("c1") == groups.text("c2"))  # 14:30.25 is not 14:30:25
    hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
    total = ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + groups.nanoseconds()
    return np.where(right, total, np.iinfo(np.int64).min).astype("timedelta64[ns]")


def days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Calendar days as datetime64[D], NaT for nonexistent ones.

    >>> days(np.array([2024, 2023, 2023]), np.array([2, 2, 13]), np.array([29, 29, 1]))
    array(['2024-02-29',        'NaT',        'NaT'], dtype='datetime64[D]')
    """
    start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    found = start.astype("datetime64[D]") + (day - 1)
    right = (month >= 1) & (month <= 12) & (day >= 1) & (found.astype("datetime64[M]") == start)
    return np.where(right, found, np.datetime64("NaT", "D"))
