"""How a time is written: formats of `strptime`, Java's patterns (ARFF declares those), and names for plain numbers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

NUMBERS: Final = ("unix_s", "unix_ms", "unix_us", "unix_ns", "excel")
"""Formats of plain numbers: since 1970 in UTC, or Excel's serial days."""

_JAVA: Final = {"d": "%d", "H": "%H", "h": "%I", "m": "%M", "s": "%S", "a": "%p", "z": "%Z", "Z": "%z", "X": "%z", "D": "%j", "u": "%u"}
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
    import pandas as pd

    try:  # pandas, which reads the columns, refuses parts that do not belong together, such as %G without a weekday
        pd.to_datetime(pd.Series(["x"]), format=text.replace("%Z", ""), errors="coerce", utc=True)
    except ValueError as exc:
        return f"{text!r} is not a time format ({exc}): write it as %d/%m/%Y %H:%M"
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
