"""Parses windows of the log, time intervals, from the user's text.

    2020-04                                        a month
    2020-04-05                                     a day
    2020-04-01T00:00:00Z..2020-04-08T00:00:00Z     from the first time to just before the second
    last-month, last-day                           the whole month or day before that of the newest logged row

Months and days are in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from driftloop.errors import DataError, SettingsError
from monitoring.batch.measures.window_measures import Window
from monitoring.records.checks import YEARS
from monitoring.records.events import parse_time, time_text

Step = Literal["month", "week", "day"]
STEPS: Final = ("month", "week", "day")
MOST_WINDOWS: Final = 10_000  # of one backfill
_MONTH, _DAY = re.compile(r"\d{4}-\d\d"), re.compile(r"\d{4}-\d\d-\d\d")
_FORMS: Final = "give a month (2020-04), a day (2020-04-05), two times (2020-04-01T00:00:00Z..2020-04-08T00:00:00Z), last-month or last-day"


def parse(text: str, *, newest: str | None) -> Window:
    """The window that a text describes, in one of the forms above.

    Args:
        newest: time of the stream's newest row in the log; None without rows.

    Raises:
        SettingsError: the text is not a window, or the window begins after the newest row.

    >>> parse("2020-02", newest="2020-12-31T23:59:00.000Z")
    Window(name='2020-02', start='2020-02-01T00:00:00.000Z', stop='2020-03-01T00:00:00.000Z')
    >>> parse("last-day", newest="2020-12-31T23:59:00.000Z").name
    '2020-12-30'
    """
    if newest is None:
        raise SettingsError(f"window {text!a:.60}: the log holds no row of this stream: check the stream's name and the database")
    if text in {"last-month", "last-day"}:
        return _before(parse_time(newest), step="month" if text == "last-month" else "day")
    found = _named(text)
    if found.start > newest:
        raise SettingsError(f"window {found.name} begins after the newest logged row ({newest}): give an earlier one")
    return found


def between(first: str, last: str, *, by: Step = "month") -> tuple[Window, ...]:
    """Consecutive windows from the start of the first to the end of the last; the last one may extend beyond it.

    Args:
        first, last: months, days or pairs of times.
        by: calendar months, or 7-day or 1-day windows from the first's start.

    Raises:
        SettingsError: a text is not a window, the last ends before the first begins, or there are more than `MOST_WINDOWS`.

    >>> [one.name for one in between("2019-12", "2020-02")]
    ['2019-12', '2020-01', '2020-02']
    """
    if by not in STEPS:
        raise SettingsError(f"--by is {by!a:.30}: give one of {', '.join(STEPS)}")
    start, stop = parse_time(_named(first).start), parse_time(_named(last).stop)
    start = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0) if by == "month" else start
    if stop <= start:
        raise SettingsError(f"--last {last} ends before --first {first} begins: give them in order")
    if (stop - start) / timedelta(days={"month": 28, "week": 7, "day": 1}[by]) > MOST_WINDOWS:
        raise SettingsError(f"--first {first} --last {last} --by {by}: more than {MOST_WINDOWS} windows: give fewer")
    found = []
    while start < stop:
        end = _next_month(start) if by == "month" else start + timedelta(days=7 if by == "week" else 1)
        found.append(_window(start, end))
        start = end
    return tuple(found)


def _named(text: str) -> Window:
    try:
        if _MONTH.fullmatch(text):
            start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
            stop = _next_month(start)
        elif _DAY.fullmatch(text):
            start = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
            stop = start + timedelta(days=1)
        else:
            begin, _, end = text.partition("..")
            start, stop = parse_time(begin), parse_time(end)
    except (ValueError, OverflowError, DataError) as exc:
        raise SettingsError(f"{text!a:.60} is not a window: {_FORMS}") from exc
    if not YEARS[0] <= start.year <= stop.year <= YEARS[1]:
        raise SettingsError(f"window {text!a:.60} is outside the years {YEARS[0]} to {YEARS[1]}")
    if time_text(start) >= time_text(stop):
        raise SettingsError(f"window {text!a:.60} ends before it begins: give the earlier time first")
    return _window(start, stop)


def _before(newest: datetime, *, step: Step) -> Window:
    today = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    if step == "day":
        return _window(today - timedelta(days=1), today)
    stop = today.replace(day=1)
    return _window((stop - timedelta(days=1)).replace(day=1), stop)


def _next_month(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _window(start: datetime, stop: datetime) -> Window:
    """The window under its shortest name, so that each window has only one."""
    begin, end = time_text(start), time_text(stop)
    name = f"{begin}..{end}"
    if begin.endswith("T00:00:00.000Z"):
        if stop == start + timedelta(days=1):
            name = begin[:10]
        elif start.day == 1 and stop == _next_month(start):
            name = begin[:7]
    return Window(name, begin, end)
