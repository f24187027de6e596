"""Checks IANA time zone names."""

from __future__ import annotations

import difflib
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones


def known(name: str) -> bool:
    """Whether a name is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a path outside of the database, or a folder of it
        return False
    return True


def fault(name: str) -> str:
    """The fault of a zone's name, or "".

    >>> fault("Europe/Berlin"), fault("Europe/Berln")
    ('', "'Europe/Berln' is not a time zone: did you mean Europe/Berlin?")
    """
    if known(name):
        return ""
    found = sorted(available_timezones())
    cities = {one.rpartition("/")[2].lower(): one for one in found}
    near = difflib.get_close_matches(name, found, n=1) or [cities[city] for city in difflib.get_close_matches(name.lower(), cities, n=1)]
    return f"{name!r} is not a time zone: {f'did you mean {near[0]}?' if near else 'give an IANA name such as Europe/Berlin'}"
