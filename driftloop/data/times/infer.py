"""Infers a column's time format from all rows: one form for all, day first or month first as the rows decide."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from driftloop.data.times import forms, zone_names, zones
from driftloop.data.times.forms import Parts
from driftloop.data.times.reading import Reading, TimeColumn, in_nanoseconds
from driftloop.errors import DataError

_SEPARATORS: Final = ("-", "/", ".")
# Formats that are not inferred, for a message.
_HINTS: Final = ((r"\d{4}-W\d\d-\d", "%G-W%V-%u"), (r"\d{4}W\d{3}", "%GW%V%u"), (r"\d{4}-\d{3}", "%Y-%j"), (r"\d{4}_\d\d_\d\d", "%Y_%m_%d"))
_MANY: Final = 12  # steps needed before even spacing is not chance
_EVEN: Final = 1.25  # months have 28 to 31 days


def reading(column: TimeColumn, *, zone: str = "") -> Reading:
    """The times of a column of texts.

    Rows in a minority form are not read; their reason states it.

    Args:
        column: the texts.
        zone: the column's IANA time zone; it resolves abbreviations.

    Raises:
        DataError: no row has a date, the year has two digits, day and month are ambiguous, or a zone is.
    """
    parts = forms.taken_apart(column.texts)
    form = _form(column, parts)
    reasons: dict[int, str] = {}
    rows = parts.form == form
    for row in np.flatnonzero(~rows & (parts.form != forms.NONE)):
        reasons[int(row)] = f"not written as most rows are ({column.shown(int(np.flatnonzero(rows)[0]))})"
    rows &= _one_clock(parts, rows, reasons)
    if form == forms.YEAR_FIRST:
        _check_month_second(column, parts, rows)
    month, day = (parts.second, parts.first) if form in _SEPARATORS and _day_first(column, parts, rows) else (parts.first, parts.second)
    found = forms.days(parts.year, month, day).astype("datetime64[us]")
    found[~rows] = np.datetime64("NaT")
    times = in_nanoseconds(found, reasons) + parts.clock
    zoned = parts.zone != ""
    return Reading(_without_offset(times, parts, zoned & rows, reasons, zone=zone), zoned, reasons)


def _form(column: TimeColumn, parts: Parts) -> str:
    """The form of most rows; on a tie the one that occurs first."""
    found, first, counts = np.unique(parts.form[parts.form != forms.NONE].astype(str), return_index=True, return_counts=True)
    if not len(found):
        like = next((like for pattern, like in _HINTS if re.fullmatch(pattern, column.example.strip("'"))), "%d/%m/%Y %H:%M")
        raise DataError(
            f"--time_column {column.name!r} holds no dates (the first value is {column.example}): write them as 2024-05-31T14:30, "
            f"or give --time_format, such as {like!r}"
        )
    form = str(found[np.lexsort((first, -counts))[0]])
    example = column.shown(int(np.flatnonzero(parts.form == form)[0]))
    if form == forms.SHORT_YEAR:
        raise DataError(f"--time_column {column.name!r} has years of two digits ({example}): say how with --time_format, such as %d/%m/%y or %y-%m-%d")
    if form == forms.NO_DATE:
        raise DataError(f"--time_column {column.name!r} holds times of day without a date ({example}): add the date, as 2024-05-31T14:30")
    return form


def _one_clock(parts: Parts, rows: np.ndarray, reasons: dict[int, str]) -> np.ndarray:
    """Which rows use the majority's clock, 12-hour or 24-hour; rows without a time of day fit both."""
    timed = parts.timed & rows
    twelve = bool((parts.half & timed).sum() * 2 > timed.sum())
    wrong = timed & (parts.half != twelve)
    reasons |= dict.fromkeys(map(int, np.flatnonzero(wrong)), f"not on the {12 if twelve else 24}-hour clock of most rows")
    return np.asarray(~wrong, bool)


def _day_first(column: TimeColumn, parts: Parts, rows: np.ndarray) -> bool:
    """Whether the first of two numbers is the day: decided by numbers above 12, else by the order of the rows, else by the steps between their days."""
    first, second = parts.first, parts.second
    day_first, month_first = (np.flatnonzero(rows & (high > 12) & (high <= 31) & (low <= 12)) for high, low in ((first, second), (second, first)))
    if len(day_first) and len(month_first):
        raise DataError(
            f"--time_column {column.name!r} holds {column.shown(int(day_first[0]))}, where the day is first, and "
            f"{column.shown(int(month_first[0]))}, where the month is: write all alike, or give the right --time_format"
        )
    if len(day_first) or len(month_first):
        return bool(len(day_first))
    year = parts.year[rows]
    by_day, by_month = forms.days(year, second[rows], first[rows]), forms.days(year, first[rows], second[rows])
    told = ~(np.isnat(by_day) | np.isnat(by_month))
    if (by_day == by_month)[told].all():
        return True
    for holds in (_is_sorted, _is_regular):
        if holds(by_day[told]) != holds(by_month[told]):
            return holds(by_day[told])
    row = int(np.flatnonzero(told & (by_day != by_month))[0])
    text = str(column.texts[int(np.flatnonzero(rows)[row])])
    raise DataError(
        f"--time_column {column.name!r} can be read day first or month first ({text!r} is {by_day[row]} or {by_month[row]}), and no row decides which: "
        f"give --time_format {_format(text, '%d', '%m')!r} or {_format(text, '%m', '%d')!r}"
    )


def _check_month_second(column: TimeColumn, parts: Parts, rows: np.ndarray) -> None:
    """Reject year, day, month: rows that fit both would be read as year, month, day."""
    day_second = np.flatnonzero(rows & (parts.first > 12) & (parts.first <= 31) & (parts.second <= 12))
    text = str(column.texts[int(day_second[0])]) if len(day_second) > 1 else ""  # a single one may be a typo
    if text and not text[4].isdigit() and not (rows & (parts.second > 12) & (parts.second <= 31) & (parts.first <= 12)).any():
        raise DataError(
            f"--time_column {column.name!r} holds {text!r}, where the day seems to precede the month: "
            f"give --time_format {_format(text, '%d', '%m')!r} or {_format(text, '%m', '%d')!r}"
        )


def _is_sorted(days: np.ndarray) -> bool:
    return bool((np.diff(days) >= np.timedelta64(0)).all())


def _is_regular(days: np.ndarray) -> bool:
    """Whether sorted days are about equally spaced, as the firsts of each month are and the first twelve days of each January are not."""
    gaps = np.diff(np.unique(days)).astype(np.int64)
    return _is_sorted(days) and len(gaps) >= _MANY and bool(gaps.max() <= _EVEN * gaps.min())


def _format(text: str, first: str, second: str) -> str:
    """A text's format, for --time_format.

    >>> _format("5/3/2024 2:30:05.25 PM", "%d", "%m"), _format("2024/13/03 14:30", "%d", "%m")
    ('%d/%m/%Y %I:%M:%S.%f %p', '%Y/%d/%m %H:%M')
    """
    date, clock = re.match(r"(\d{4}\D\d+\D\d+|\S*\d{4})(.*)", text).groups()  # type: ignore[union-attr]
    date = re.sub(r"^\d{4}(\D)\d+(\D)\d+$", rf"%Y\1{first}\2{second}", date)
    date = re.sub(r"^\d+(\D+)\d+(\D+)\d+$", rf"{first}\1{second}\2%Y", date)
    hour = "%I" if re.search(r"[AaPp]\.?[Mm]", clock) else "%H"
    for pattern, directive in ((r"[AaPp]\.?[Mm]\.?", "%p"), (r"(?:UTC|GMT)?[+-]\d\d?:?\d{0,2}$|(?<=\d)Z$", "%z"), (r"[A-Z]{3,5}$", "%Z")):
        clock = re.sub(pattern, directive, clock)
    clock = re.sub(r"([.,])\d+", r"\1%f", clock) if clock.count(":") == 2 else clock
    for directive in (hour, "%M", "%S"):
        clock = re.sub(r"(?<![%\d])\d+", directive, clock, count=1)
    return date + clock


def _without_offset(times: np.ndarray, parts: Parts, zoned: np.ndarray, reasons: dict[int, str], *, zone: str) -> np.ndarray:
    """Times in UTC where they have a zone; NaT where it is unknown."""
    if not zoned.any():
        return times
    texts, codes = np.unique(parts.zone[zoned].astype(str), return_inverse=True)
    times, carriers = times.copy(), np.flatnonzero(zoned)
    years = parts.year[zoned]
    east = zones.offsets(texts, zone=zone, years=(int(years.min()), int(years.max())))
    for place in [text for text in texts if "/" in text and zone_names.known(text)]:  # a name of the database, not an offset
        rows = carriers[texts[codes] == place]
        times[rows], faults = zones.to_utc(times[rows], str(place))
        reasons |= {int(rows[index]): f"which {reason}" for index, reason in faults.items()}
        east[place] = 0
    seconds = np.array([np.iinfo(np.int64).min if east[text] is None else east[text] for text in texts], np.int64).astype("timedelta64[s]")
    times[carriers] -= seconds[codes]
    for row in carriers[np.isnat(seconds)[codes]]:
        reasons[int(row)] = f"of the unknown zone {parts.zone[row]!r}: write an offset such as +01:00, or no zone and --time_zone Europe/Berlin"
    return times
