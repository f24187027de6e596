"""Converts local times to UTC: offsets, abbreviations, and the hour that occurs twice when summer time ends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from driftloop.errors import DataError, SettingsError

# Hours east of UTC. Those of North America are RFC 5322's.
_HOURS: Final = {
    **{"Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3},
    **{"EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10, "NST": -3.5, "NDT": -2.5},
    **{"AEST": 10, "AEDT": 11, "ACST": 9.5, "ACDT": 10.5, "AWST": 8, "NZST": 12, "NZDT": 13, "JST": 9, "KST": 9, "SAST": 2, "PKT": 5, "HKT": 8},
}
# The zones that an abbreviation may mean, and which other abbreviation in the column decides.
_AMBIGUOUS: Final = {
    "BST": (("Europe/London", "Asia/Dhaka"), {"GMT": 1}),
    "CST": (("America/Chicago", "Asia/Shanghai"), {"CDT": -6}),
    "IST": (("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"), {"IDT": 2}),
    "AST": (("America/Halifax", "Asia/Riyadh"), {"ADT": -4}),
}
_BESIDE: Final = {"IDT": 3, "ADT": -3}  # known, but not conclusive by themselves
_OFFSET: Final = re.compile(r"(?:UTC|GMT|UT)?\s*([+-])(\d{1,2}):?(\d{2})?(?::?(\d{2}))?", re.IGNORECASE)
_MOST_HOURS: Final = 18  # the range of offsets
_COMMON: Final = (
    *("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/St_Johns", "America/Sao_Paulo", "America/Santiago"),
    *("America/Havana", "Atlantic/Azores", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "Asia/Tehran", "Asia/Jerusalem", "Asia/Beirut"),
)
_HOUR: Final = np.timedelta64(1, "h")
_NIGHT: Final = np.timedelta64(6, "h")  # repeated hours of two nights are further apart


def offsets(texts: Iterable[str], *, zone: str = "", years: tuple[int, int] = (2000, 2030)) -> dict[str, int | None]:
    """Seconds east of UTC for each zone in a column's times; None for an unknown one.

    Args:
        texts: such as "Z", "+02:00", "UTC-3", "CEST".
        zone: the column's IANA time zone: its own abbreviations take precedence.
        years: first and last of the column.

    Raises:
        DataError: an abbreviation is ambiguous.

    >>> offsets(["Z", "-0330", "CEST", "soon"])
    {'Z': 0, '-0330': -12600, 'CEST': 7200, 'soon': None}
    >>> offsets(["IST"], zone="Asia/Kolkata"), offsets(["GMT", "BST"])
    ({'IST': 19800}, {'GMT': 0, 'BST': 3600})
    """
    given = [str(text) for text in texts]
    own = _abbreviations(zone, years) if zone else {}
    return {text: _offset(text, given, own) for text in given}


def _offset(text: str, given: list[str], own: dict[str, int]) -> int | None:
    name = text.upper()
    if numbers := _OFFSET.fullmatch(text):
        sign, hours, minutes, seconds = numbers.groups(default="0")
        found = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        return None if found > _MOST_HOURS * 3600 or int(minutes) > 59 or int(seconds) > 59 else -found if sign == "-" else found
    if name in own:
        return own[name]
    if name in _AMBIGUOUS:
        zones, beside = _AMBIGUOUS[name]
        hours_beside = [beside[other.upper()] for other in given if other.upper() in beside]
        if not hours_beside:
            raise DataError(f"the zone {text!r} is ambiguous ({', '.join(zones)}): give the right one as --time_zone, or write offsets such as +01:00")
        return hours_beside[0] * 3600
    east = _HOURS.get(name, _BESIDE.get(name))
    return None if east is None else round(east * 3600)


def _abbreviations(zone: str, years: tuple[int, int]) -> dict[str, int]:
    """A zone's abbreviations with their offsets, in seconds, in these years."""
    place = ZoneInfo(zone)
    moments = [datetime(year, month, 1, tzinfo=UTC).astimezone(place) for year in range(max(years[0], 1900), min(years[1], 2100) + 1) for month in range(1, 13)]
    return {str(moment.tzname()).upper(): round(moment.utcoffset().total_seconds()) for moment in moments}  # type: ignore[union-attr]


def to_utc(local: np.ndarray, zone: str) -> tuple[np.ndarray, dict[int, str]]:
    """Local times of a zone as UTC, and the rows whose local time does not exist or is ambiguous.

    When summer time ends an hour occurs twice: its rows belong to the first pass until the times step back, then to the second.

    Args:
        local: (N,) datetime64[ns], in the order of the file; NaT stays.
        zone: an IANA name.

    >>> night = np.array(["2023-10-29T01:30", "2023-10-29T02:30", "2023-10-29T02:00", "2023-03-26T02:30"], "datetime64[ns]")
    >>> [str(time)[11:16] for time in to_utc(night, "Europe/Berlin")[0]], to_utc(night, "Europe/Berlin")[1]
    (['23:30', '00:30', '01:00', ''], {3: 'does not exist in Europe/Berlin: the clocks went forward over it'})
    """
    index = pd.DatetimeIndex(local)
    placed = [index.tz_localize(zone, ambiguous=np.full(len(local), summer), nonexistent="NaT") for summer in (True, False)]
    passes = [one.tz_convert(None).to_numpy("datetime64[ns]") for one in placed]
    times, later = np.minimum(*passes), np.maximum(*passes)
    gone = np.flatnonzero(np.isnat(times) & ~np.isnat(local))
    faults = {int(row): f"does not exist in {zone}: the clocks went forward over it" for row in gone}
    steps = np.diff(local[~np.isnat(local)])
    hourly = len(steps) > 0 and bool(np.median(steps.astype(np.int64)).astype("timedelta64[ns]") >= _HOUR)
    for night in _nights(local, np.flatnonzero(times < later)):
        split = _second_pass(local[night], hourly=hourly)
        if split is None:
            faults |= {int(row): f"occurs twice in {zone}, and no step back in the rows shows which one it is: write its offset" for row in night}
        else:
            times[night[split:]] = later[night[split:]]
    times[list(faults)] = np.datetime64("NaT")
    return times, faults


def _nights(local: np.ndarray, twice: np.ndarray) -> list[np.ndarray]:
    """The rows of repeated hours, by night."""
    return [night for night in np.split(twice, np.flatnonzero(np.abs(np.diff(local[twice])) > _NIGHT) + 1) if len(night)]


def _second_pass(local: np.ndarray, *, hourly: bool) -> int | None:
    """Position of the first row of the second pass; None when ambiguous. Where rows are an hour apart, two equal ones are one of each."""
    back = np.flatnonzero(np.diff(local) < np.timedelta64(0))
    if len(back):
        return int(back[0]) + 1
    return 1 if hourly and len(local) == 2 and local[0] == local[1] else None


def ends_summer_time(before: np.datetime64, after: np.datetime64) -> str:
    """A zone whose local clock went back between the times of two consecutive rows, or "".

    >>> ends_summer_time(np.datetime64("2023-10-29T02:30"), np.datetime64("2023-10-29T02:00"))
    'Europe/Berlin'
    """
    return next((zone for zone in _COMMON if _comes_twice(before, zone) and _comes_twice(after, zone)), "")


def _comes_twice(time: np.datetime64, zone: str) -> bool:
    when = time.astype("datetime64[s]").item().replace(tzinfo=ZoneInfo(zone))
    return bool(when.utcoffset() > when.replace(fold=1).utcoffset())


def moment(text: str, *, zone: str = "") -> np.datetime64:
    """An ISO time of a flag, converted like a stream's times: with an offset to UTC, else local to `zone`, else unchanged.

    >>> moment("2020-01-01T00:00+02:00"), moment("2020-07-01", zone="Europe/Berlin")
    (np.datetime64('2019-12-31T22:00:00.000000000'), np.datetime64('2020-06-30T22:00:00.000000000'))

    Raises:
        SettingsError: the text is not a time of the years 1678 to 2261, the range of nanoseconds.
    """
    try:
        when = datetime.fromisoformat(text)
        if zone and when.tzinfo is None:
            when = when.replace(tzinfo=ZoneInfo(zone))
        when = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
        return pd.Timestamp(when).as_unit("ns").to_datetime64()
    except (ValueError, OverflowError) as exc:  # pandas' OutOfBoundsDatetime is a ValueError
        raise SettingsError(f"{text!r} is not a time: write it as 2020-04-01T07:30:00Z") from exc
