"""Prints the progress of `monitoring local` and `monitoring keeper`, such as retrains that start and end."""

from __future__ import annotations

import sys
from typing import Any

import requests

from driftloop.system import loopback

TIMEOUT_S = 2.0


def say(line: str) -> None:
    """Print a line of progress on stderr."""
    print(line, file=sys.stderr, flush=True)


class RetrainProgress:
    """Follows a retrain hook by its /retrains `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: dict[tuple[str, str], str] = {}  # state by key and start

    def news(self) -> list[str]:
        """A line for each retrain that has started or ended since the last call; none while the hook does not answer."""
        lines = []
        for one in reversed(known(self._url)):
            which = (one["key"], one["started_at"])
            if self._seen.get(which) != one["state"]:
                self._seen[which] = one["state"]
                lines.append(_line(one))
        return lines


def known(url: str) -> list[dict[str, Any]]:
    """The retrains of a hook, newest first; none while it does not answer."""
    try:
        with loopback.session() as session:
            response = session.get(url, timeout=TIMEOUT_S)
        response.raise_for_status()
        return list(response.json()["retrains"])
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return []


def running(url: str) -> bool:
    """Whether a hook's retrain is running."""
    return any(one["state"] == "running" for one in known(url))


def _line(one: dict[str, Any]) -> str:
    """One retrain in words.

    >>> _line({"stream": "elec", "state": "running", "alert": "KpiBelowThreshold", "until_time": "1998-03-20T00:00:00.000Z", "log": "r.log"})
    'elec: alert KpiBelowThreshold starts a retrain on the rows before 1998-03-20T00:00:00.000Z (r.log)'
    """
    if one["state"] == "running":
        return f"{one['stream']}: alert {one['alert']} starts a retrain on the rows before {one['until_time']} ({one['log']})"
    if one["state"] == "promoted":
        return f"{one['stream']}: version {one['version']} is served: {one['message']}"
    return f"{one['stream']}: the retrain ended ({one['state']}): {one['message']}"
