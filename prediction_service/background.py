"""Background work: probes models, gets the monitor's verdicts, refreshes the fallback tables.

Requests never wait for it. An unreachable monitor changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import requests

from driftloop.errors import DriftloopError
from driftloop.system import loopback
from monitoring.fallback import Fallback
from monitoring.stream_settings import StreamConfig
from prediction_service.answering import MonitorVerdict, ServedStream

MONITOR_TIMEOUT_S = 1.0
RETRY_S = 60.0  # after a table could not be fetched
LOG = logging.getLogger("prediction_service")

Fetch = Callable[[StreamConfig, str], Fallback]  # returns the table for a stream and a registered version; raises DriftloopError


class Background:
    """A thread that checks the streams every `every_s` seconds, from `start` to `close`.

    Args:
        monitor_url: http://host:port; "": no verdicts on the models.
        fetch: returns the fallback table of a version; None: the tables stay the same.
    """

    def __init__(self, streams: list[ServedStream], *, monitor_url: str, fetch: Fetch | None, every_s: float) -> None:
        self._streams, self._monitor_url, self._fetch, self._every_s = streams, monitor_url.rstrip("/"), fetch, every_s
        self._not_before: dict[str, float] = {}  # by stream: when to retry a table that could not be fetched
        self._session = loopback.session()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Start with a first round at once."""
        self._thread.start()

    def close(self) -> None:
        """Start no further round; one that is running ends with the process."""
        self._closed.set()

    def look(self) -> None:
        """One round over all streams."""
        for stream in self._streams:
            stream.model.probe(unless_within_s=self._every_s)
            if self._monitor_url:
                self._ask_monitor(stream)
            if self._fetch and stream.config.ours and stream.model.version not in {"", stream.fallback.version}:
                self._renew(stream, self._fetch)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # this thread must survive unexpected errors
                LOG.exception("a background round failed")
            if self._closed.wait(self._every_s):
                return

    def _ask_monitor(self, stream: ServedStream) -> None:
        try:
            response = self._session.get(f"{self._monitor_url}/streams/{stream.config.name}", timeout=MONITOR_TIMEOUT_S)
            response.raise_for_status()
            found = response.json()
            verdict = MonitorVerdict(found.get("acceptable") is not False, str(found.get("version") or ""))
        except (requests.RequestException, ValueError, AttributeError):
            return
        if verdict.acceptable != stream.verdict.acceptable:
            LOG.warning("%s: the monitor finds version %s %s", stream.config.name, verdict.version, "acceptable" if verdict.acceptable else "unacceptable")
        stream.verdict = verdict

    def _renew(self, stream: ServedStream, fetch: Fetch) -> None:
        name = stream.config.name
        if time.monotonic() < self._not_before.get(name, 0.0):
            return
        try:
            stream.fallback = fetch(stream.config, stream.model.version)
        except DriftloopError as exc:
            self._not_before[name] = time.monotonic() + RETRY_S
            LOG.warning("%s: keeping the fallback table of version %s: %s", name, stream.fallback.version or "unknown", exc)
