"""The verdict on a window with its evidence: is the model bad, and why?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.drift import diagnosis
from driftloop.drift.answer import Answer, Standing
from driftloop.drift.verdict import Verdict
from driftloop.training.reference import Reference
from monitoring.batch.measures import input_drift, kpis
from monitoring.batch.measures import window_rows as reading
from monitoring.batch.measures.kpis import JudgedVersion
from monitoring.batch.measures.window_measures import DriftMeasure, FeatureMeasure, QualityMeasure, Window
from monitoring.batch.measures.window_rows import WindowRows
from monitoring.log.prediction_log import PredictionLog
from monitoring.online.judging import Scoring
from monitoring.references import known_columns
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary

MOST_OLDER: Final = 20_000  # rows before the window that the kind is determined from
MOST_TOLD: Final = 5000  # of each side, equally spaced: as many as online; more would take minutes
LEAST_ROWS: Final = 30  # with fewer the kind is never "none"
IN_SAMPLE: Final = "In-sample: the model was trained on these rows, so their KPI says nothing about new rows."


@dataclass(frozen=True)
class _Kind:
    kind: str
    message: str
    explained: float
    rest: float


def tell(
    log: PredictionLog,
    config: StreamConfig,
    window: Window,
    rows: WindowRows,
    vocabulary: Vocabulary,
    *,
    judged: Sequence[JudgedVersion],
    tests: Sequence[FeatureMeasure],
    quality: QualityMeasure,
    references: Mapping[str, Reference],
) -> DriftMeasure:
    """The verdict; raises a LogAwayError when MongoDB is unreachable."""
    alarmed = next((one for one in judged if one.drift), None)
    moved = any(test.moved for test in tests)
    data_message = input_drift.message(tests, alpha=config.alpha)
    if alarmed:
        told = _kind(log, config, window, rows, vocabulary, alarmed=alarmed, reference=references.get(alarmed.version))
    else:
        told = _Kind("cannot tell" if _too_few(judged, tests, rows=len(rows)) else "none", "", math.nan, math.nan)
    costs = kpis.errors(rows, config)
    found = kpis.interval(costs[rows.by_model], config)
    standing = Standing(found.value, found.lower, found.upper, config.goal, drifted=alarmed is not None)
    return DriftMeasure(
        drift=alarmed is not None or moved,
        kind=Answer.of(standing, told=told.kind, moved=moved, bad_data=quality.bad).kind,
        sentence="",  # worded once all measures are known
        kpi_drift=alarmed is not None,
        data_drift=moved,
        kpi_message=_kpi_message(judged, alarmed, rows, "mature label" if config.label_delay else "label"),
        data_message=data_message,
        kind_message=told.message,
        explained=told.explained,
        rest=told.rest,
    )


def _too_few(judged: Sequence[JudgedVersion], tests: Sequence[FeatureMeasure], *, rows: int) -> bool:
    """Whether there are too few rows to rule out drift; unchanged inputs do not replace an unknown KPI."""
    if not any(len(one.rows) for one in judged):
        return True
    labelled = max((len(one.rows) for one in judged if not one.in_sample), default=0)
    compared = rows if any(not math.isnan(test.corrected) for test in tests) else 0
    return max(labelled, compared) < LEAST_ROWS


def _kpi_message(judged: Sequence[JudgedVersion], alarmed: JudgedVersion | None, rows: WindowRows, label: str) -> str:
    if not any(one.blocks for one in judged):
        return "There is no verdict on the KPI: " + ("there are no rows." if not len(rows) else f"no row answered by a model has a {label}.")
    one = alarmed or max(judged, key=lambda each: len(each.rows))
    assert one.verdict is not None
    of = f" (version {one.version})" if len(judged) > 1 else ""
    text = f"{'At the alarm' if one.drift else 'Latest judged block'}{of}: {one.verdict.message}."
    return f"{text} {IN_SAMPLE}" if one.in_sample else text


def _kind(
    log: PredictionLog,
    config: StreamConfig,
    window: Window,
    rows: WindowRows,
    vocabulary: Vocabulary,
    *,
    alarmed: JudgedVersion,
    reference: Reference | None,
) -> _Kind:
    """The kind of one version's alarm: its rows in the window against its earlier ones, training rows excluded."""
    if not config.features:
        return _Kind("cannot tell", "There is no estimate of what the inputs explain: the stream has no features.", math.nan, math.nan)
    since = None if reference is None or not len(reference) else kpis.moment(reference.times[-1])

    def wanted(some: WindowRows) -> np.ndarray:
        return some.by_model & (some.versions == alarmed.version) & some.labelled & ~kpis.in_sample(some, reference)

    before = reading.before(log, config, window, vocabulary, most=MOST_OLDER, since=since, wanted=wanted)
    before = before[reading.thinned(len(before), MOST_TOLD)]
    newest = rows[alarmed.rows[reading.thinned(len(alarmed.rows), MOST_TOLD)]]
    words = Vocabulary(())
    if columns := known_columns(reference, config):
        (before, _), (newest, words) = (reading.in_codes_of(columns, side, vocabulary) for side in (before, newest))
    (older, older_costs), (now, now_costs) = (_usable(side, config, missing=bool(columns)) for side in (before, newest))
    if not len(older):
        why = f"the log has no labelled rows that version {alarmed.version} answered before the window, after its training rows"
        return _Kind("cannot tell", f"There is no estimate of what the inputs explain: {why}.", math.nan, math.nan)
    told: Verdict = Scoring(config).told_kind(older, older_costs, now, now_costs, columns=words.columns, known=words.known, alpha=config.alpha)
    change = _mean(now_costs, config) - _mean(older_costs, config)
    sides = f"{len(now):,} rows of the window against the {len(older):,} that the version answered just before it"
    return _Kind(told.kind, f"{told.message} ({sides}.)", change - told.statistic, told.statistic)


def _usable(rows: WindowRows, config: StreamConfig, *, missing: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows, unless `missing` without those that lack a value, and their losses."""
    possible = rows.possible
    whole = np.full(len(rows), True) if missing else ~np.isnan(possible).any(axis=1)
    costs = kpis.by_row(rows, config)
    whole &= ~np.isnan(costs)
    return possible[whole], costs[whole]


def _mean(costs: np.ndarray, config: StreamConfig) -> float:
    """The mean in the unit of the kind's test: see `diagnosis.comparable`."""
    found = diagnosis.comparable(costs, config.goal)
    return float(found.mean()) if len(found) else math.nan
