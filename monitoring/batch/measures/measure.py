"""Measures a window of the prediction log completely, as one document.

Stateless and deterministic: the same log and references give the same document.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np

from driftloop.errors import DriftloopError
from driftloop.training.reference import Reference
from monitoring.batch.measures import input_drift, kpis, label_age, row_quality, window_segments, window_verdict
from monitoring.batch.measures import window_rows as reading
from monitoring.batch.measures.kpis import Baselines, JudgedVersion
from monitoring.batch.measures.window_measures import DriftMeasure, FeatureMeasure, LabelMeasure, Measures, QualityMeasure, VersionMeasure, Window
from monitoring.batch.measures.window_rows import WindowRows
from monitoring.batch.report import measure_words
from monitoring.log.prediction_log import PredictionLog
from monitoring.online import judging
from monitoring.records.events import parse_time, time_text
from monitoring.references import References, fitting, known_columns
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary

MOST_LABELLED: Final = 0.9  # label coverage from which waiting for the rest is pointless


def measure(log: PredictionLog, config: StreamConfig, window: Window, *, references: References | None) -> Measures:
    """The measures of a window.

    Args:
        references: source of training references; a note says what is unknown for a version without one.

    Raises:
        LogAwayError: MongoDB is unreachable.
    """
    vocabulary = reading.of_stream(config)
    rows = reading.read(log, config, window, vocabulary)
    age = label_age.measure(log, config, rows)
    rows = age.of_mature(rows)
    known, notes = _references(rows, config, references)
    main = _main(rows)
    reference = known.get(main)
    tests = _tests(rows, config, window, reference, vocabulary)
    bad = row_quality.measure(rows, reading.read_refused(log, config, window, vocabulary), config, window, reference)
    day_before = _day_before(log, config, window, rows)
    costs, told = kpis.errors(rows, config), kpis.compared(rows, day_before, config, reference)
    judged = [kpis.judge(rows, one, config, known.get(one), told, alpha=config.alpha / len(kpis.names(rows))) for one in kpis.names(rows)]
    looked = window_verdict.tell(log, config, window, rows, vocabulary, judged=judged, tests=tests, quality=bad, references=known)
    seen = _Seen(config, window, rows, kpis.labels(rows, age), tests, bad, judged, looked)
    kappa = kpis.kappa_temporal(rows, day_before, config)
    segments, untold = window_segments.judge(log, config, window, rows, vocabulary, judged=judged, references=known)
    made = _document(seen, costs, told, kappa=kappa, versions=kpis.versions(rows, config, known), notes=[*notes, *filter(None, [age.note]), *untold])
    return _worded(seen, replace(made, segments=segments))


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the next step and the notes depend on."""

    config: StreamConfig
    window: Window
    rows: WindowRows
    labels: LabelMeasure
    tests: Sequence[FeatureMeasure]
    quality: QualityMeasure
    judged: Sequence[JudgedVersion]
    verdict: DriftMeasure


def _document(seen: _Seen, costs: np.ndarray, told: Baselines, *, kappa: float, versions: tuple[VersionMeasure, ...], notes: Sequence[str]) -> Measures:
    config, rows, judged = seen.config, seen.rows, seen.judged
    mine = rows.by_model & judging.known(costs)
    return Measures(
        stream=config.name,
        window=seen.window,
        task=config.task,
        kpi_name=config.kpi,
        unit=config.unit,
        higher_is_better=config.higher_is_better,
        threshold=config.threshold,
        alpha=config.alpha,
        block_size=config.block_size,
        model=config.model,
        labels=seen.labels,
        kpi=kpis.interval(costs[mine], config),
        baselines={name: kpis.interval(by[mine], config) for name, by in told.items()},
        kappa_temporal=kappa,
        by_fallback=int((~rows.by_model).sum()),
        latency_ms=kpis.latency(rows),
        versions=versions,
        blocks=tuple(block for one in judged for block in one.blocks),
        verdict=seen.verdict,
        features=tuple(seen.tests),
        quality=seen.quality,
        estimate=kpis.estimate(rows, config, judged[-1] if judged else None),
        forecast=kpis.forecast(rows, judged, config, seen.window.stop),
        next_step="",
        notes=(*notes, *_notes(seen)),
    )


def _worded(seen: _Seen, made: Measures) -> Measures:
    return replace(made, verdict=replace(made.verdict, sentence=measure_words.headline(made)), next_step=_next_step(seen, made))


def _references(rows: WindowRows, config: StreamConfig, references: References | None) -> tuple[dict[str, Reference], list[str]]:
    """The reference of each version that answered, and a note for each without one."""
    found, notes = {}, []
    for version in kpis.names(rows):
        try:
            if references is None:
                raise DriftloopError("no registry or folder of references is given")
            found[version] = fitting(references.find(config.name, config.model, version), config)
        except DriftloopError as exc:
            notes.append(f"No training reference for version {version}: {exc}. Its inputs are not compared, and its training rows are not marked.")
    return found, notes


def _tests(rows: WindowRows, config: StreamConfig, window: Window, reference: Reference | None, vocabulary: Vocabulary) -> tuple[FeatureMeasure, ...]:
    """The features against the reference, where there is one."""
    columns = known_columns(reference, config)
    if not columns:
        return input_drift.compare(rows, config, window, reference, alpha=config.alpha) if reference else input_drift.without_reference(rows, config)
    rows, words = reading.in_codes_of(columns, rows, vocabulary)
    if reference is None:
        return input_drift.without_reference(rows, config, columns=words.columns, known=words.known)
    return input_drift.compare(rows, config, window, reference, alpha=config.alpha, columns=words.columns, known=words.known)


def _main(rows: WindowRows) -> str:
    """The version that answered most rows, the later one in a tie; "" when no model answered."""
    names = kpis.names(rows)
    return max(reversed(names), key=lambda name: int(np.count_nonzero(rows.by_model & (rows.versions == name)))) if names else ""


def _day_before(log: PredictionLog, config: StreamConfig, window: Window, rows: WindowRows) -> WindowRows:
    """The rows of the 24 hours before the window, at which a baseline of classes looks back."""
    if config.task == "regression" or not len(rows):
        return rows[:0]
    start = parse_time(window.start)
    return reading.read(log, config, Window("", time_text(start - timedelta(days=1)), window.start), reading.of_stream(config))


def _next_step(seen: _Seen, made: Measures) -> str:
    config, found = seen.config, seen.verdict
    newest = seen.judged[-1] if seen.judged else None
    if found.kpi_drift:
        if newest and not newest.drift:
            return f"Measure the next window: drift is not proven for version {newest.version}, which serves now."
        first = "Check the data source first. " if seen.quality.bad else ""
        how = "" if config.retrains_alone else ", with a retrain hook that runs and knows the model's table"
        return f"{first}Retrain on the rows before {seen.window.stop} by measuring this window again{how}: {measure_words.retraining(config, seen.window.name)}"
    if not len(seen.rows) and not seen.quality.refused:
        step = "No predictions were logged in this window: check the caller and the log."
    elif not seen.judged and len(seen.rows):
        step = "Find out why no model answers: only the fallback did."
    elif seen.quality.bad:
        step = f"Check the data source: {seen.quality.message}"
    elif seen.labels.immature and (seen.labels.immature == len(seen.rows) or (seen.labels.coverage >= MOST_LABELLED and not made.moved)):
        step = f"Measure again when {seen.labels.immature:,} rows that are younger than label_delay are mature: until then they are not judged."
    elif not seen.labels.labelled:
        step = "Wait for labels and measure again: without them it is unknown whether the model is still good enough."
    elif made.moved:
        step = f"Check the data source: {', '.join(made.moved)} moved. A retrain is not due: the KPI is not proven to be worse than its threshold."
    elif seen.labels.coverage < MOST_LABELLED:
        step = f"Measure again when more labels have arrived: {seen.labels.due - seen.labels.labelled:,} of {seen.labels.due:,} are missing."
    elif not made.answer.calm:
        step = f"Measure again when more rows have labels: the KPI is not yet proven to be good enough{measure_words.enough(made)}."
    else:
        step = "Nothing."
    return step


def _notes(seen: _Seen) -> list[str]:
    notes, old = [], sum(int(one.in_sample) for one in seen.judged)
    newest = seen.rows.times[-1] if len(seen.rows) else None
    if old:
        notes.append(window_verdict.IN_SAMPLE)
    if len(seen.judged) > 1:
        notes.append(f"{len(seen.judged)} versions answered; each has its own rule with an equal share of alpha.")
    lost = int(np.count_nonzero(seen.rows.by_model & seen.rows.labelled & ~judging.known(kpis.errors(seen.rows, seen.config))))
    if lost:
        notes.append(f"{lost:,} labelled rows have no probabilities, which the KPI {seen.config.kpi} needs: they are left out.")
    if seen.rows.foreign_labels:
        notes.append(f"{seen.rows.foreign_labels:,} labels are unknown to the stream and count as missing.")
    untold = [test.feature for test in seen.tests if math.isnan(test.p_wobble) and not math.isnan(test.p_noise)]
    if untold:
        notes.append(f"The usual variation between stretches as long as the window is unknown for {', '.join(untold)}: only sampling noise was tested.")
    if newest is not None and seen.labels.labelled < seen.labels.due:
        which = " that are older than label_delay" if seen.labels.immature else ""
        notes.append(f"{seen.labels.due - seen.labels.labelled:,} of {seen.labels.due:,} rows{which} have no label yet.")
    return notes
