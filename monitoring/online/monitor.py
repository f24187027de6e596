"""The monitor without HTTP: a watcher and an analysis thread per stream, the metrics, and the refill after a start."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from driftloop.errors import DataError, DriftloopError
from monitoring.fleet import ranking, shared_alpha
from monitoring.fleet.ranking import FleetPage
from monitoring.online.intake import QUALITY_ROWS
from monitoring.online.segments import first_rows
from monitoring.online.watcher import Watcher
from monitoring.prometheus import MonitorMetrics, Sample
from monitoring.records import events
from monitoring.records.events import Label, Prediction, Record, Rejected
from monitoring.references import References
from monitoring.stream_settings import StreamConfig

if TYPE_CHECKING:
    from monitoring.log.prediction_log import PredictionLog

LOG: Final = logging.getLogger("monitoring")
REFILL_ROWS: Final = 20_000  # newest predictions per stream that a start reads from the log
REFILL_DELAYED_ROWS: Final = 60_000  # of a stream with label_delay: most of the newest rows may be too young to be judged
CHUNK: Final = 1000  # records of the log taken at once
THINK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 10.0  # between attempts to read an unreachable log
CHAMPION_SECONDS: Final = 15.0


class Monitor:
    """All streams.

    Args:
        streams: by name.
        references: source of training references; None: features are not compared.
        log: refills the windows at a start; None: they start empty.
        fleet_alpha: the false-alarm rate over all streams together; None: each stream alarms at its own.

    Raises:
        SettingsError: `fleet_alpha` is outside its range, see `shared_alpha.each`.
    """

    def __init__(
        self,
        streams: Mapping[str, StreamConfig],
        *,
        references: References | None = None,
        log: PredictionLog | None = None,
        fleet_alpha: float | None = None,
    ) -> None:
        self._references, self._log, self.fleet_alpha = references, log, fleet_alpha
        self.watchers = {
            name: Watcher(config, find_reference=functools.partial(references.find, name, config.model) if references else None)
            for name, config in shared_alpha.shared(streams, fleet_alpha).items()
        }
        self.metrics = MonitorMetrics(self._samples)
        self.ready = log is None  # whether the log has been read, or tried once
        self.refilled = log is None
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._think, args=(watcher,), name=f"think-{name}", daemon=True) for name, watcher in self.watchers.items()]
        if log is not None:
            self._threads.append(threading.Thread(target=self._refill_until_done, name="refill", daemon=True))

    def start(self) -> None:
        """Start the analysis and the refill."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads after their current step."""
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=2)

    def ingest(self, stream: str, records: Iterable[Any]) -> int:
        """Take JSON records of a stream; return how many were new. One invalid record refuses all.

        Raises:
            KeyError: there is no such stream.
            DataError: a record is invalid, or does not fit the stream.
        """
        watcher = self.watchers[stream]
        read = [events.from_json(record) for record in records]
        for record in read:
            watcher.check(record)
        new, blocks = watcher.take(read)
        self._count(stream, new, blocks)
        return len(new)

    def _count(self, stream: str, new: Iterable[Record], blocks: int) -> None:
        latency = self.metrics.latency_seconds.labels(stream)
        for record in new:
            self.metrics.records.labels(stream, record.kind).inc()
            if isinstance(record, Prediction) and record.latency_ms:  # 0: another system's, not known
                latency.observe(record.latency_ms / 1000)
        if blocks:
            self.metrics.blocks.labels(stream).inc(blocks)

    def refill(self) -> None:
        """Take the newest rows of the log that are not known yet; counters do not count them.

        Raises:
            DriftloopError: the log does not answer.
        """
        if self._log is None:
            return
        from monitoring.log.prediction_log import REJECTED

        for name, watcher in self.watchers.items():
            found = self._log.newest(name, REFILL_DELAYED_ROWS if watcher.config.label_delay else REFILL_ROWS)
            for version, rows in first_rows.read(self._log, watcher.config, found, trained_until=functools.partial(self._trained_until, watcher.config)):
                watcher.begin(version, list(_from_log(rows, watcher)))
            found += self._log.newest(name, QUALITY_ROWS, collection=REJECTED)
            found.sort(key=lambda document: document["served_at"])  # in order of arrival: row times may have been replayed
            records = _from_log(found, watcher)
            while chunk := list(itertools.islice(records, CHUNK)):  # lets requests in between
                watcher.take(chunk)
        self.refilled = True

    def _trained_until(self, config: StreamConfig, version: str) -> str:
        """The time of a version's last training row; "" if unknown."""
        try:
            found = self._references.find(config.name, config.model, version) if self._references else None
        except DriftloopError:
            return ""
        return f"{found.times[-1].astype('datetime64[ms]')}Z" if found is not None and len(found) else ""

    def _refill_until_done(self) -> None:
        while not self._end.is_set():
            try:
                self.refill()
                return
            except DriftloopError as exc:
                LOG.warning("windows are not refilled yet: %s", exc)
            finally:
                self.ready = True
            self._end.wait(RETRY_SECONDS)

    def _think(self, watcher: Watcher) -> None:
        ask_at = 0.0
        while not self._end.wait(THINK_SECONDS):
            try:
                blocks = watcher.think()
                if blocks:
                    self.metrics.blocks.labels(watcher.config.name).inc(blocks)
                if self._references is not None and time.monotonic() >= ask_at:
                    ask_at = time.monotonic() + CHAMPION_SECONDS
                    watcher.champion = self._references.champion(watcher.config.model)
            except DriftloopError as exc:
                LOG.warning("stream %s: %s", watcher.config.name, exc)
            except Exception:  # a bug must not end a stream's monitoring: logged, and tried again
                LOG.exception("stream %s: the analysis failed", watcher.config.name)

    def _samples(self) -> Iterator[Sample]:
        for watcher in self.watchers.values():
            yield from watcher.known().samples()
        if self.fleet_alpha is not None:
            yield Sample("driftloop_fleet_alpha", (), self.fleet_alpha)

    def fleet(self, page: int, per_page: int) -> FleetPage:
        """A page of all streams by evidence, as `ranking.page_of`."""
        rows = [watcher.known().fleet_row for watcher in self.watchers.values()]
        return ranking.page_of(rows, fleet_alpha=self.fleet_alpha, page=page, per_page=per_page)


def _from_log(documents: Iterable[Mapping[str, Any]], watcher: Watcher) -> Iterator[Record]:
    """The log's records, each prediction followed by its label; those that do not fit the stream are skipped."""
    for document in documents:
        kinds: list[type[Record]] = [Prediction if "prediction" in document else Rejected, *[Label] * ("label" in document)]
        try:
            for kind in kinds:
                given = {field.name: document[field.name] for field in fields(kind) if field.name in document}
                record = events.from_json({**given, "kind": kind.kind})
                watcher.check(record)
                yield record
        except DataError as exc:
            LOG.warning("a record of the log is skipped: %s", exc)
