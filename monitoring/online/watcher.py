"""Watches one stream: ingests records and analyses them in a background thread.

`take` is cheap enough for a request. `think` does the slow work (training reference, kind of drift, forecast, estimate,
feature distances); a thread calls it about every second.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from scipy import stats

from driftloop.drift.estimate.confidence import Estimate
from driftloop.drift.forecast.crossing import Forecast
from driftloop.drift.inputs.distribution import FeatureTest
from driftloop.errors import DriftloopError
from driftloop.metrics import kpi
from driftloop.training.reference import Reference
from monitoring.online import gaps, input_tests, version_record
from monitoring.online.gaps import Gap
from monitoring.online.intake import Intake
from monitoring.online.judging import Figure
from monitoring.online.state import Known
from monitoring.online.version_record import KPI_BLOCKS, Served
from monitoring.records.events import Record
from monitoring.references import fitting, known_columns
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary

TOLERATED: Final = 0.01  # share of invalid rows considered normal
QUALITY_ALPHA: Final = 0.001  # false-alarm rate for a window with this share (binomial)
COMPARE_SECONDS: Final = 5.0  # minimum time between two comparisons of the features
RETRY_SECONDS: Final = 60.0  # between attempts to get a missing reference

FindReference = Callable[[str], Reference]
"""Returns a version's training reference; raises DriftloopError if there is none."""


class Watcher:
    """One stream.

    Args:
        config: the stream.
        find_reference: without it, features are not compared.
        clock: seconds, for the pauses between comparisons.
    """

    def __init__(self, config: StreamConfig, *, find_reference: FindReference | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self.champion = ""  # set by the thread that asks the registry
        self.intake = Intake(config, waits=find_reference is not None)
        self._find_reference, self._clock = find_reference, clock
        self._lock = threading.Lock()
        self._references: dict[str, Reference] = {}
        self._ask_again: dict[str, float] = {}  # by version: when
        self._note = "" if find_reference else "no training reference: features are not compared"
        self._tests: tuple[FeatureTest, ...] = ()
        self._gaps: tuple[Gap, ...] = ()
        self._compared, self._compared_at = ("", 0), -math.inf  # version and number of the newest row; time
        self._estimate: Estimate | None = None
        self._forecast: Forecast | None = None
        self._forecast_of = ("", 0)  # version and its number of blocks

    def check(self, record: Record) -> None:
        """See `Intake.check`."""
        self.intake.check(record)

    def take(self, records: Iterable[Record]) -> tuple[list[Record], int]:
        """See `Intake.take`."""
        with self._lock:
            return self.intake.take(records)

    def begin(self, version: str, records: Iterable[Record]) -> None:
        """See `Intake.begin`."""
        with self._lock:
            self.intake.begin(version, records)

    def think(self) -> int:
        """Do the slow work; return the number of blocks judged in it. One thread at a time."""
        blocks = self._look_for_references()
        self._tell_kind()
        self._look_ahead()
        self._guess()
        self._compare()
        return blocks

    def _look_for_references(self) -> int:
        if self._find_reference is None:
            return 0
        with self._lock:
            versions = list(self.intake.versions)
        for gone in [version for version in (*self._references, *self._ask_again) if version not in versions]:
            self._references.pop(gone, None)
            self._ask_again.pop(gone, None)
        blocks = 0
        for version in versions:
            if version in self._references or self._ask_again.get(version, -math.inf) > self._clock():
                continue
            try:
                self._references[version] = fitting(self._find_reference(version), self.config)
                self._note = ""
            except DriftloopError as exc:
                self._ask_again[version] = self._clock() + RETRY_SECONDS
                self._note = str(exc)
            with self._lock:
                waiting = self.intake.versions.get(version)
                if waiting and not waiting.prepared:
                    waiting.prepare(self._references.get(version))
                    blocks += waiting.advance()
        return blocks

    def _tell_kind(self) -> None:
        with self._lock:
            version = self._version()
            older, newest = version.kind_rows() if version else ([], [])
            reference = self._references.get(version.version) if version else None
        if version and newest:
            kind = version_record.tell_kind(older, newest, self.config, self.intake.scoring, columns=known_columns(reference, self.config))
            with self._lock:
                version.take_kind(kind)

    def _look_ahead(self) -> None:
        with self._lock:
            version = self._version()
            if version is None or self._forecast_of == (version.version, version.blocks):
                return
            key, scores = (version.version, version.blocks), list(version.scores)
            others = [other for other in self.intake.versions.values() if other.scores and other is not version]
            lifetimes = [other.lifetime() for other in others]
        found = version_record.predict(scores, self.config, lifetimes)
        with self._lock:
            self._forecast, self._forecast_of = found, key

    def _guess(self) -> None:
        with self._lock:
            version = self._version()
            newest = list(self.intake.rows)[-self.config.block_size :]
        found = version.estimate(newest) if version else None
        with self._lock:
            self._estimate = found

    def _compare(self) -> None:
        with self._lock:
            now = (self.intake.in_use, self.intake.values.seen)
            reference = self._references.get(self.intake.in_use)
            if now == self._compared or self._clock() - self._compared_at < COMPARE_SECONDS:
                return
            newest = self.intake.values.rows()
        tests, missing = self._inputs(newest, reference)
        with self._lock:
            self._tests, self._gaps, self._compared, self._compared_at = tests, missing, now, self._clock()

    def _inputs(self, newest: np.ndarray, reference: Reference | None) -> tuple[tuple[FeatureTest, ...], tuple[Gap, ...]]:
        """The tests of the features against the reference; and what is missing and new, where they are not plain numbers."""
        names, rows = self.config.feature_names, KPI_BLOCKS * self.config.block_size
        columns = known_columns(reference, self.config)
        vocabulary = Vocabulary(columns)
        newest = vocabulary.rows(newest) if columns else newest
        found = gaps.of_rows(newest[-rows:], vocabulary, names) if columns else ()
        if reference is None:
            return (), found
        known = vocabulary.known
        tests = input_tests.compare(reference.rows, newest, names=names, alpha=self.config.alpha, rows=rows, columns=vocabulary.columns, known=known)
        return tests, found

    def _version(self) -> Served | None:
        return self.intake.versions.get(self.intake.in_use)

    def known(self) -> Known:
        """The current state."""
        with self._lock:
            version, intake = self._version(), self.intake
            labels, labelled = intake.label_counts, sum(row.label is not None for row in intake.due)
            bad, rows = intake.invalid.true, intake.invalid.events
            return Known(
                config=self.config,
                version=intake.in_use,
                champion=self.champion,
                drift=self._drift(version),
                verdict=version.verdict if version else None,
                told=version.kind if version else None,
                evidence=version.evidence if version else None,
                note="; ".join(
                    filter(None, (self._note, version.note if version else "", labels.note, version.segments.note if version and version.segments else ""))
                ),
                kpi=version.kpi() if version else Figure(math.nan, math.nan, math.nan, 0),
                baselines=version.baselines() if version else {},
                blocks=version.blocks if version else 0,
                newest_labelled=intake.newest_labelled,
                coverage=labelled / len(intake.due) if intake.due else math.nan,
                estimate=self._estimate,
                forecast=self._forecast if version and self._forecast_of[0] == version.version else None,
                features=self._tests,
                gaps=self._gaps,
                invalid=Figure(bad / rows if rows else math.nan, *kpi.wilson_interval(bad, rows), rows),
                last=dict(intake.last),
                last_block=version.scores[-1].last_time if version and version.scores else "",
                fleet=version.fleet.state if version and version.fleet else None,
                labels=labels,
                segments=version.segments.known() if version and version.segments else (),
            )

    def _drift(self, version: Served | None) -> dict[str, bool]:
        """Whether drift holds, for the KPI ("performance") and each kind that can be decided."""
        flags = {}
        kind = version.kind.kind if version and version.kind else ""
        if version and version.verdict:
            flags = {"performance": version.drift, "concept": kind == "concept", "both": kind == "both"}
        if kind == "data" or any(not math.isnan(test.corrected) for test in self._tests):
            flags["data"] = kind == "data" or any(test.moved for test in self._tests)
        bad, rows = self.intake.invalid.true, self.intake.invalid.events
        if rows:
            flags["quality"] = bool(stats.binom.sf(bad - 1, rows, TOLERATED) <= QUALITY_ALPHA)
        return flags
