"""The segments of a window: which have become worse than in the first rows of the version that answered, judged by the monitor's own class.

The reference period are the version's first rows after its training rows: those before the window, from the log, and where these are too few the window's
first blocks. Each window starts over, with its own alpha, as for the KPI of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from driftloop.training.reference import Reference
from monitoring.batch.measures import kpis
from monitoring.batch.measures import window_rows as reading
from monitoring.batch.measures.kpis import JUDGED, JudgedVersion
from monitoring.batch.measures.window_measures import SegmentMeasure, Window
from monitoring.batch.measures.window_rows import WindowRows
from monitoring.log.prediction_log import PredictionLog
from monitoring.online import judging
from monitoring.online.segments.served_segments import FeatureRows, ServedSegments, reference_blocks
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary


def judge(
    log: PredictionLog,
    config: StreamConfig,
    window: Window,
    rows: WindowRows,
    vocabulary: Vocabulary,
    *,
    judged: Sequence[JudgedVersion],
    references: Mapping[str, Reference],
) -> tuple[tuple[SegmentMeasure, ...], list[str]]:
    """The segments of each version, and notes of what is not judged; a version of which all rows are training rows is left out.

    Raises:
        LogAwayError: MongoDB is unreachable.
    """
    found: list[SegmentMeasure] = []
    notes: list[str] = []
    for one in judged if config.segments else ():
        if one.in_sample or not len(one.rows):
            continue
        parts = kpis.cut(one.rows, config.block_size, most=JUDGED)
        made = ServedSegments(replace(config, alpha=config.alpha / len(judged)), config.measured_by, newest=len(parts))
        before = _first(log, config, window, vocabulary, version=one.version, reference=references.get(one.version))
        size = config.block_size
        _learn(made, before, [np.arange(start, start + size) for start in range(0, len(before) - size + 1, size)], config, vocabulary)
        _learn(made, rows, parts, config, vocabulary)
        found += [SegmentMeasure(version=one.version, **asdict(known)) for known in made.known()]
        notes += [f"Version {one.version}: {made.note}." if len(judged) > 1 else f"{made.note[:1].upper()}{made.note[1:]}."] if made.note else []
    return tuple(found), notes


def _first(log: PredictionLog, config: StreamConfig, window: Window, vocabulary: Vocabulary, *, version: str, reference: Reference | None) -> WindowRows:
    """The first labelled rows of a version that are older than the window, without its training rows."""

    def wanted(some: WindowRows) -> np.ndarray:
        mine: np.ndarray = some.by_model & (some.versions == version) & judging.known(kpis.errors(some, config)) & ~kpis.in_sample(some, reference)
        return mine

    return reading.first(log, config, window, vocabulary, version=version, most=reference_blocks(config) * config.block_size, wanted=wanted)


def _learn(made: ServedSegments, rows: WindowRows, parts: Sequence[np.ndarray], config: StreamConfig, vocabulary: Vocabulary) -> None:
    costs, possible = kpis.errors(rows, config), rows.possible
    for part in parts:
        made.update(_features(possible[part], config, vocabulary), costs[part], time=kpis.moment(rows.times[part[0]]))


def _features(rows: np.ndarray, config: StreamConfig, vocabulary: Vocabulary) -> FeatureRows:
    """Rows (N, F) as the monitor has them: texts as they are."""
    table = rows.astype(object)
    for at, column in enumerate(vocabulary.columns):
        if config.features[at].texts:
            there = ~np.isnan(rows[:, at])
            table[there, at] = np.array(column.categories, object)[rows[there, at].astype(np.int64)]
    return [tuple(row) for row in table]
