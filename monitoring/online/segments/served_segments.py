"""Judges the segments of one version's rows: the values of some features, or ranges of them, as `driftloop.watch` does with a table.

The reference period is the version's own first blocks: its errors on training rows are fewer than on new ones. It cuts the features, and each
segment's later rows are compared with it. The false-alarm rate is over all segments of all features together (`driftloop.drift.segments`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.blocks import Block
from driftloop.errors import DriftloopError
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.results import NO_BLOCK
from driftloop.metrics.task import Task
from driftloop.predictions.segments import segment_columns, segment_evidence
from driftloop.predictions.segments.segment_columns import SegmentCut
from driftloop.predictions.segments.segment_evidence import SegmentEvidence
from monitoring.features import Feature
from monitoring.stream_settings import StreamConfig

REFERENCE_ROWS: Final = 2000  # judged rows of the reference period, in whole blocks
MOST_SEGMENTS: Final = 50  # of a stream, those with most rows in the reference period
FeatureRows = Sequence[tuple[float | str, ...]]


@dataclass(frozen=True)
class SegmentKnown:
    """What is known of one segment; nan where unknown."""

    name: str  # feature=value
    rows: int  # newest judged ones, that the KPI is measured on
    kpi: float
    kpi_before: float  # of the reference period
    e_value: float  # of the closed test, at its alarm or now; nan where the segment has too few reference rows to be judged
    p_value: float  # of its highest e-value so far
    drift: bool
    since: str  # time of the first row of the block in which it was named; "" without drift


def reference_blocks(config: StreamConfig) -> int:
    """Blocks of a version's reference period."""
    return max(segment_evidence.LEAST_BLOCKS, -(-REFERENCE_ROWS // config.block_size))


class ServedSegments:
    """The segments of one version.

    Args:
        config: the stream, with `segments`.
        task: what measures the KPI.
        newest: judged blocks that a segment's KPI is measured on, by default as many as the reference period has.
    """

    def __init__(self, config: StreamConfig, task: Task, *, newest: int | None = None) -> None:
        self._config, self._task = config, task
        self._waiting: list[tuple[FeatureRows, np.ndarray]] | None = []  # blocks of the reference period; None after it
        self._newest: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=newest or reference_blocks(config))
        self._cuts: tuple[SegmentCut, ...] = ()
        self._kept: list[np.ndarray] = []  # of each feature, which of its segments are meant
        self._before: list[float] = []
        self._evidence: SegmentEvidence | None = None
        self._blocks = 0
        self._known: tuple[SegmentKnown, ...] | None = None
        self._faults: list[str] = []

    def update(self, features: FeatureRows, losses: np.ndarray, *, time: str) -> None:
        """Take one judged block.

        Args:
            features: of its rows, as in `Row`.
            losses: of the same rows, as in `Scoring`, without nan.
            time: of its first row.
        """
        self._known = None
        if self._waiting is not None:
            self._waiting.append((features, losses))
            if len(self._waiting) == reference_blocks(self._config):
                self._begin(self._waiting)
                self._waiting = None
            return
        if self._evidence is None or not len(losses):
            return
        codes = segment_columns.codes(self._table(features), self._cuts)
        self._newest.append((codes, losses))
        self._evidence.update(self._units([Block(0, 0, len(losses))], codes, losses), block=self._blocks, time=time)
        self._blocks += 1

    def known(self) -> tuple[SegmentKnown, ...]:
        """At most `MOST_SEGMENTS`, the worst first, then those that are not judged; none in the reference period."""
        if self._known is None:
            self._known = tuple(sorted(self._scores(), key=_badness)[:MOST_SEGMENTS])
        return self._known

    @property
    def note(self) -> str:
        """What is not judged; "" if nothing."""
        if self._waiting is not None:
            return f"segments: {len(self._waiting):,} of the {reference_blocks(self._config):,} blocks are there that later ones are compared with"
        return "; ".join(self._faults)

    def _begin(self, blocks: Sequence[tuple[FeatureRows, np.ndarray]]) -> None:
        table = self._table([row for features, _ in blocks for row in features])
        losses = np.concatenate([part for _, part in blocks])
        self._cuts = tuple(cut for name in self._config.segments for cut in self._cut(table, name))
        if not self._cuts or not len(losses):
            return
        codes = segment_columns.codes(table, self._cuts)
        sizes = [len(cut.labels) for cut in self._cuts]
        counts = np.concatenate([np.bincount(column, minlength=size) for column, size in zip(codes.T, sizes, strict=True)])
        kept = np.zeros(len(counts), bool)
        kept[np.argsort(-counts, kind="stable")[:MOST_SEGMENTS]] = True
        if left := int((counts[~kept] > 0).sum()):
            self._faults.append(f"segments: the {left:,} with fewest rows are not judged: {MOST_SEGMENTS} are the most of a stream")
        self._kept = np.split(kept & (counts > 0), np.cumsum(sizes)[:-1])
        self._before = [self._kpi(losses[column == code]) for column, size in zip(codes.T, sizes, strict=True) for code in range(size)]
        ends = np.cumsum([len(part) for _, part in blocks])
        spans = [Block(at, int(end) - len(part), int(end)) for at, (end, (_, part)) in enumerate(zip(ends, blocks, strict=True))]
        self._evidence = SegmentEvidence.begun(self._units(spans, codes, losses), sizes, task=self._task, alpha=self._config.alpha)
        self._note_small(int((kept & (counts > 0)).sum()) - sum(int(taken.sum()) for taken in self._evidence.judged))

    def _note_small(self, segments: int) -> None:
        if segments:
            least, rows = segment_evidence.least(self._task), self._task.by_row is self._task
            what = "rows" if rows else f"blocks with a defined {KPIS[self._config.kpi].words}"
            self._faults.append(f"segments: {segments:,} with fewer than {least} {what} in the reference period are too small to be judged")

    def _cut(self, table: pd.DataFrame, name: str) -> tuple[SegmentCut, ...]:
        try:
            return segment_columns.read(table, [name], taken=(), time_column="", first=len(table))
        except DriftloopError as exc:  # an identifier: the other features are judged
            self._faults.append(str(exc).replace("--segments", "segments:"))
            return ()

    def _units(self, blocks: Sequence[Block], codes: np.ndarray, losses: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """What is bet on, of each feature: the losses and segments of those that are meant."""
        found = []
        for column, kept in zip(codes.T, self._kept, strict=True):
            given, segment = segment_evidence.units_of(losses, column.astype(np.int64), blocks, self._task).of(0, len(blocks))
            found.append((given[kept[segment]], segment[kept[segment]]))
        return found

    def _table(self, rows: FeatureRows) -> pd.DataFrame:
        places = {feature.name: (at, feature) for at, feature in enumerate(self._config.features)}
        return pd.DataFrame({name: _column([row[places[name][0]] for row in rows], places[name][1]) for name in self._config.segments})

    def _kpi(self, losses: np.ndarray) -> float:
        return self._task.value(losses) if len(losses) else math.nan

    def _scores(self) -> list[SegmentKnown]:
        if self._evidence is None:
            return []
        width = len(self._cuts)
        codes = np.concatenate([np.empty((0, width), np.int16), *[part for part, _ in self._newest]])
        losses = np.concatenate([part for _, part in self._newest]) if self._newest else np.empty(0)
        found, at, place = [], 0, 0
        for column, (cut, kept, judged) in enumerate(zip(self._cuts, self._kept, self._evidence.judged, strict=True)):
            for code, label in enumerate(cut.labels):
                here = losses[codes[:, column] == code]
                late = code >= len(cut.labels) - 1 - (cut.edges is None) and len(here)  # missing and new ones, since the reference period
                if kept[code] or late:
                    found.append(self._score(f"{cut.name}={label}", here, self._before[at], place if judged[code] else None))
                at, place = at + 1, place + int(judged[code])
        return found

    def _score(self, name: str, losses: np.ndarray, before: float, place: int | None) -> SegmentKnown:
        evidence = self._evidence
        if evidence is None or place is None:
            return SegmentKnown(name, len(losses), self._kpi(losses), before, math.nan, math.nan, False, "")
        highest = float(evidence.highest[place])
        p_value = min(1.0, 1 / highest) if highest > 0 else math.nan
        drift = bool(evidence.named[place] != NO_BLOCK)
        return SegmentKnown(name, len(losses), self._kpi(losses), before, float(evidence.newest[place]), p_value, drift, evidence.times[place])


def _column(values: Sequence[float | str], feature: Feature) -> pd.Series:
    """Numbers, or what is a segment as it is: texts, booleans and categories."""
    if not (feature.texts or feature.boolean or feature.categorical):
        return pd.Series(values, dtype=np.float64)
    read = (lambda value: value) if feature.texts else bool if feature.boolean else (lambda value: str(int(value)))
    return pd.Series(
        [None if isinstance(value, float) and math.isnan(value) else read(value) for value in values], dtype=None if feature.boolean else "category"
    )


def _badness(one: SegmentKnown) -> tuple[bool, float, int, str]:
    return not one.drift, *((1.0, -one.rows) if math.isnan(one.e_value) else (-one.e_value, 0)), one.name
