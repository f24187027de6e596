"""The shipper's two destinations: MongoDB and the monitor.

`deliver` returns when all records have arrived except permanently rejected ones, which it returns with the reason;
`AwayError` means: retry later. Delivery is idempotent. `name` is also the name of the consumer's cursor; `tend` does
periodic work.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import requests

from driftloop.errors import DriftloopError, LogError, SettingsError
from driftloop.system import loopback
from monitoring.log.mongo import LogSlowError
from monitoring.log.prediction_log import PredictionLog
from monitoring.records.events import Record

MONITOR_RECORDS = 1000  # in one request
CONNECT_S, ANSWER_S = 1.5, 20.0
EXPIRE_EVERY_S = 3600.0
_FAULTS = {400, 404, 413, 422}  # the monitor's statuses that blame the records

Refused = list[tuple[Record, str]]


class AwayError(DriftloopError):
    """The destination accepts nothing now; `slow`: a smaller batch may work."""

    def __init__(self, message: str, *, slow: bool = False) -> None:
        super().__init__(message)
        self.slow = slow


class ToMongo:
    """Delivers to the prediction log; after a failure it reopens the log, which restarts a dead embedded server.

    Args:
        open_log: opens the log; called at once, so that wrong settings show.
        keep_days: older predictions are deleted every hour; 0 keeps everything.
    """

    name = "mongodb"

    def __init__(self, open_log: Callable[[], PredictionLog], *, keep_days: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self._open, self._keep_days = open_log, keep_days
        self._log: PredictionLog | None = open_log()
        self._ready = False
        self._expire_at = time.monotonic()

    def deliver(self, records: Sequence[Record]) -> Refused:
        """Write records to the log.

        Raises:
            AwayError: not all have arrived.
        """
        added = self._with_log(lambda log: log.add(records))
        for name in ("new", "already", "joined", "pending", "replaced"):
            self.counts[name] += getattr(added, name)
        return list(added.refused)

    def tend(self) -> None:
        """Delete expired records."""
        if self._keep_days and time.monotonic() >= self._expire_at:
            self._expire_at = time.monotonic() + EXPIRE_EVERY_S
            self.counts["expired"] += self._with_log(lambda log: log.expire(keep_days=self._keep_days))

    def close(self) -> None:
        """Close the log, and end the embedded server if it is ours."""
        if self._log:
            self._log.close()
        self._log = None

    def _with_log(self, work: Callable[[PredictionLog], Any]) -> Any:
        try:
            if self._log is None:
                self._log, self._ready = self._open(), False
            if not self._ready:
                self._log.ready(keep_days=self._keep_days)
                self._ready = True
            return work(self._log)
        except (LogError, SettingsError) as exc:
            if self._log and not self._log.keeps_server():
                self.close()
            raise AwayError(str(exc), slow=isinstance(exc, LogSlowError)) from exc


class ToMonitor:
    """Sends to the monitor's `POST /ingest/<stream>`."""

    name = "monitor"

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"the monitor's URL must look like http://127.0.0.1:8010, not {url!a:.100}")
        self.counts: Counter[str] = Counter()
        self._url = url.rstrip("/")
        self._session = loopback.session()

    def deliver(self, records: Sequence[Record]) -> Refused:
        """Send records.

        Raises:
            AwayError: not all have arrived.
        """
        by_stream: dict[str, list[Record]] = {}
        for record in records:
            by_stream.setdefault(record.stream, []).append(record)
        refused: Refused = []
        for stream, group in by_stream.items():
            for first in range(0, len(group), MONITOR_RECORDS):
                refused += self._send(stream, group[first : first + MONITOR_RECORDS])
        self.counts["new"] += len(records) - len(refused)
        return refused

    def tend(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _send(self, stream: str, records: list[Record]) -> Refused:
        try:
            answer = self._session.post(
                f"{self._url}/ingest/{stream}", json={"records": [record.as_json() for record in records]}, timeout=(CONNECT_S, ANSWER_S), allow_redirects=False
            )
        except requests.Timeout as exc:
            raise AwayError(f"the monitor at {self._url} does not answer in time", slow=isinstance(exc, requests.ReadTimeout)) from exc
        except requests.RequestException as exc:
            raise AwayError(f"the monitor at {self._url} is unreachable") from exc
        if answer.status_code in {200, 202, 204}:
            return []
        said = _error_of(answer)
        if answer.status_code not in _FAULTS or said is None:
            raise AwayError(f"the monitor at {self._url} answers {answer.status_code}")
        if len(records) == 1 or answer.status_code == 404:  # a stream it does not monitor
            return [(record, said) for record in records]
        middle = len(records) // 2
        return self._send(stream, records[:middle]) + self._send(stream, records[middle:])


def _error_of(answer: requests.Response) -> str | None:
    """The error in a response of our monitor; None if the response is not the monitor's."""
    try:
        error = answer.json()["error"]
        return f"{answer.status_code} {error['code']}: {error['message']:.300}"
    except (ValueError, LookupError, TypeError):
        return None


Delivery = ToMongo | ToMonitor
