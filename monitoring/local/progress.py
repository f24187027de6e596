"""Prints the progress of `monitoring local`: retrains that begin and end."""

from __future__ import annotations

from typing import Any

import requests

from driftloop.system import loopback

TIMEOUT_S = 2.0


class RetrainProgress:
    """Follows a retrain hook; `url` is that of its list."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._told: dict[tuple[str, str], str] = {}  # state by key and start

    def news(self) -> list[str]:
        """A line for each retrain that has begun or ended since; none while the hook does not answer."""
        lines = []
        for one in reversed(known(self._url)):
            which = (one["key"], one["started_at"])
            if self._told.get(which) == one["state"]:
                continue
            self._told[which] = one["state"]
            lines.append(_line(one))
        return lines


def known(url: str) -> list[dict[str, Any]]:
    """The retrains that a hook knows, the newest first; none while it does not answer."""
    try:
        with loopback.session() as session:
            response = session.get(url, timeout=TIMEOUT_S)
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()["retrains"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return []
    return found


def running(url: str) -> bool:
    """Whether a hook retrains now."""
    return any(one["state"] == "running" for one in known(url))


def _line(one: dict[str, Any]) -> str:
    """One retrain in words.

    >>> _line({"stream": "elec", "state": "running", "alert": "KpiBelowThreshold", "until_time": "1998-03-20T00:00:00.000Z", "log": "r.log"})
    'elec: the alert KpiBelowThreshold starts a retrain on the rows before 1998-03-20T00:00:00.000Z (r.log)'
    """
    if one["state"] == "running":
        return f"{one['stream']}: the alert {one['alert']} starts a retrain on the rows before {one['until_time']} ({one['log']})"
    if one["state"] == "promoted":
        return f"{one['stream']}: version {one['version']} is served: {one['message']}"
    return f"{one['stream']}: the retrain is over ({one['state']}): {one['message']}"
