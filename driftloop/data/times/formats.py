"""Time formats: those of `strptime`, Java's patterns (declared by ARFF), and names for plain numbers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

NUMBERS: Final = ("unix_s", "unix_ms", "unix_us", "unix_ns", "excel")
"""Formats of plain numbers: since 1970 in UTC, or Excel's serial days."""

_JAVA: Final = {"d": "%d", "H": "%H", "h": "%I", "m": "%M", "s": "%S", "a": "%p", "z": "%Z", "Z": "%z", "X": "%z", "D": "%j", "u": "%u"}
# What a format must not contain, what it needs then, and the advice: `strptime` silently misreads each of these.
_MISREAD: Final = (
    ("", "YyGcx", "it has no year: times without one cannot be ordered"),
    ("d", "mbBcx", "it has a day but no month: %m is the month, %M the minutes"),
    ("M", "HIcX", "it has minutes but no hour: %M is the minutes, %m the month"),
    ("S", "McX", "it has seconds but no minutes: those are %M"),
    ("I", "p", "%I is the hour of a 12-hour clock and needs %p: the 24-hour clock is %H"),
    ("p", "Icx", "%p belongs to a 12-hour clock, whose hour is %I"),
)
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", re.DOTALL)


def fault(text: str) -> str:
    """The fault of a format, or "".

    >>> fault("%d/%m/%Y %H:%M"), fault("unix_ms")
    ('', '')
    >>> fault("dd/MM/yyyy")
    "'dd/MM/yyyy' is not a time format: did you mean '%d/%m/%Y'?"
    """
    if text in NUMBERS:
        return ""
    if "%" not in text:
        meant = from_java(text)
        hint = (
            f"did you mean {meant!r}?"
            if meant and "%y" in meant.lower() and "%m" in meant.lower()
            else f"write it as %d/%m/%Y %H:%M, or for numbers one of {', '.join(NUMBERS)}"
        )
        return f"{text!r} is not a time format: {hint}"
    try:
        datetime.strptime("", text)
    except re.error:
        return f"{text!r} is not a time format: it has one part of the time twice"
    except ValueError as exc:
        if "does not match" not in str(exc) and "unconverted" not in str(exc):
            return f"{text!r} is not a time format ({exc}): write it as %d/%m/%Y %H:%M"
    return _misread(text)


def _misread(text: str) -> str:
    named = set(re.findall(r"%([A-Za-z])", text.replace("%%", "")))
    told = next((why for part, needed, why in _MISREAD if (not part or part in named) and not named & set(needed)), "")
    if "j" in named and named & set("dmbB"):
        told = "%j is the day of the year, which excludes a month: the day of the month is %d"
    if re.search(r"%[HI][:.h]?%m", text):
        told = "%m after the hour is the month: minutes are %M"
    if told:
        return f"{text!r} is not a time format supported here: {told}"
    import pandas as pd  # imported here, because a script's --help needs no package

    try:
        pd.to_datetime(["-"], format=text.replace("%Z", ""), errors="coerce", utc=True)
    except ValueError as exc:  # week numbers without a day
        return f"{text!r} is not a time format supported here ({exc}): a week needs its day, as in %G-W%V-%u"
    return ""


def from_java(pattern: str) -> str | None:
    """A pattern of Java's SimpleDateFormat as one of `strptime`; None when `strptime` has no equivalent.

    >>> from_java("yyyy-MM-dd'T'HH:mm:ss.SSSXXX"), from_java("d-MMM-yy h:mm a"), from_java("ww")
    ('%Y-%m-%dT%H:%M:%S.%f%z', '%d-%b-%y %I:%M %p', None)
    """
    parts = [_directive(found.group(), letter=found.group(1)) for found in _TOKEN.finditer(pattern)]
    return None if None in parts else "".join(part or "" for part in parts)


def _directive(token: str, *, letter: str | None) -> str | None:
    if not letter:
        literal = token[1:-1].replace("''", "'") or "'" if token[0] == "'" and len(token) > 1 else token
        return literal.replace("%", "%%")
    if letter in "yY":  # Y is the week's year; with a month the calendar year is meant
        return "%y" if len(token) == 2 else "%Y"
    if letter in "ML":
        return "%m" if len(token) < 3 else "%b" if len(token) == 3 else "%B"
    if letter == "E":
        return "%A" if len(token) > 3 else "%a"
    if letter == "S":
        return "%f" if len(token) >= 3 else None  # Java reads fewer digits as milliseconds, strptime as a fraction
    return _JAVA.get(letter)
