"""How a time is written: formats of `strptime`, Java's patterns (ARFF declares those), and names for plain numbers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

NUMBERS: Final = ("unix_s", "unix_ms", "unix_us", "unix_ns", "excel")
"""Formats of plain numbers: since 1970 in UTC, or Excel's serial days."""

_JAVA: Final = {"d": "%d", "H": "%H", "h": "%I", "m": "%M", "s": "%S", "a": "%p", "z": "%Z", "Z": "%z", "X": "%z", "D": "%j", "u": "%u"}
# What a format must not name, what it must name then, and what to write: `strptime` reads each of them as some other time, in silence.
_MISREAD: Final = (
    ("", "YyGcx", "it names no year: a time without one has no place among others"),
    ("d", "mbBcx", "it names a day but no month: %m is the month, %M are minutes"),
    ("M", "HIcX", "it names minutes but no hour: %M are minutes, %m is the month"),
    ("S", "McX", "it names seconds but no minutes: those are %M"),
    ("I", "p", "%I is the hour of a 12-hour clock and needs %p: the hour of 24 is %H"),
    ("p", "Icx", "%p is of a 12-hour clock, whose hour is %I"),
)
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", re.DOTALL)


def fault(text: str) -> str:
    """What is wrong with a format, or nothing.

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
        return f"{text!r} is not a time format: it names one part of the time twice"
    except ValueError as exc:
        if "does not match" not in str(exc) and "unconverted" not in str(exc):
            return f"{text!r} is not a time format ({exc}): write it as %d/%m/%Y %H:%M"
    return _misread(text)


def _misread(text: str) -> str:
    named = set(re.findall(r"%([A-Za-z])", text.replace("%%", "")))
    told = next((why for part, needed, why in _MISREAD if (not part or part in named) and not named & set(needed)), "")
    if "j" in named and named & set("dmbB"):
        told = "%j is the day of the year, beside which there is no month: the day of the month is %d"
    if re.search(r"%[HI][:.h]?%m", text):
        told = "%m after the hour is the month: minutes are %M"
    if told:
        return f"{text!r} is not a time format that can be read: {told}"
    import pandas as pd  # here, because --help of a script needs no package

    try:
        pd.to_datetime(["-"], format=text.replace("%Z", ""), errors="coerce", utc=True)
    except ValueError as exc:  # week numbers without a day
        return f"{text!r} is not a time format that can be read ({exc}): a week needs its day, as in %G-W%V-%u"
    return ""


def from_java(pattern: str) -> str | None:
    """A pattern of Java's SimpleDateFormat as one of `strptime`; None when it holds what `strptime` lacks.

    >>> from_java("yyyy-MM-dd'T'HH:mm:ss.SSSXXX"), from_java("d-MMM-yy h:mm a"), from_java("ww")
    ('%Y-%m-%dT%H:%M:%S.%f%z', '%d-%b-%y %I:%M %p', None)
    """
    parts = [_directive(found.group(), letter=found.group(1)) for found in _TOKEN.finditer(pattern)]
    return None if None in parts else "".join(part or "" for part in parts)


def _directive(token: str, *, letter: str | None) -> str | None:
    if not letter:
        literal = token[1:-1].replace("''", "'") or "'" if token[0] == "'" and len(token) > 1 else token
        return literal.replace("%", "%%")
    if letter in "yY":  # Y is the year of the week; who writes it beside a month means the year
        return "%y" if len(token) == 2 else "%Y"
    if letter in "ML":
        return "%m" if len(token) < 3 else "%b" if len(token) == 3 else "%B"
    if letter == "E":
        return "%A" if len(token) > 3 else "%a"
    if letter == "S":
        return "%f" if len(token) >= 3 else None  # of fewer digits Java makes milliseconds, strptime a fraction
    return _JAVA.get(letter)
