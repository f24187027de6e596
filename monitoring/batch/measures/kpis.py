"""The KPI of a window: blocks judged by the online rule, which restarts with each version; baselines on the same rows; versions; label delay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from driftloop.data.labels import Labels
from driftloop.drift.estimate import row_kpi
from driftloop.drift.estimate.confidence import LabelFree
from driftloop.drift.forecast import goal_scores
from driftloop.drift.verdict import Verdict
from driftloop.metrics import baselines as trivial
from driftloop.metrics import kpi, task
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training.reference import Reference
from monitoring.batch.measures.label_age import LabelAge
from monitoring.batch.measures.window_measures import BlockMeasure, ForecastMeasure, Interval, LabelMeasure, VersionMeasure
from monitoring.batch.measures.window_rows import WindowRows
from monitoring.online import judging, version_record
from monitoring.online.judging import Scoring
from monitoring.online.version_record import BlockKpi
from monitoring.records.events import parse_time, time_text
from monitoring.stream_settings import StreamConfig

DRAWN: Final = 120  # most blocks in the document; beyond that neighbours are merged
JUDGED: Final = 2000  # most blocks that the rule judges, likewise
_DAY: Final = np.timedelta64(1, "D")
Baselines = Mapping[str, np.ndarray]  # of each for every row: its prediction, (N,), nan without one; or its losses


@dataclass(frozen=True, eq=False)
class JudgedVersion:
    """One version's labelled answers, as the rule saw them."""

    version: str
    rows: np.ndarray  # (M,) indices of the window's rows, in time order
    blocks: tuple[BlockMeasure, ...]
    verdict: Verdict | None  # of the latest block; the alarm's once the rule has alarmed
    drift: bool
    in_sample: bool  # whether all are training rows


def errors(rows: WindowRows, config: StreamConfig, answers: np.ndarray | None = None) -> np.ndarray:
    """The losses of the rows' predictions, or of other answers, which are taken as certain; as in `Scoring`, nan where there is none."""
    scoring = Scoring(config)
    return scoring.losses(rows.labels, rows.predictions, rows.probabilities) if answers is None else scoring.losses(rows.labels, answers)


def by_row(rows: WindowRows, config: StreamConfig) -> np.ndarray:
    """The loss of each row that explains the KPI, (N,), as in `Scoring`."""
    return Scoring(config).by_row(errors(rows, config))


def interval(costs: np.ndarray, config: StreamConfig) -> Interval:
    """The KPI of rows with these losses; nan is ignored."""
    found = Scoring(config).kpi(costs)
    return Interval(found.value, found.lower, found.upper, found.rows)


def compared(rows: WindowRows, day_before: WindowRows, config: StreamConfig, reference: Reference | None) -> Baselines:
    """The losses of each baseline; arguments as for `baselines`."""
    found = {name: errors(rows, config, guess) for name, guess in baselines(rows, day_before, config, reference).items()}
    doing = config.measured_by
    if isinstance(doing, ChosenKpi) and config.shares:
        name, outputs = doing.baseline(len(rows))
        found[name] = Scoring(config).of_outputs(rows.labels, outputs)
    return found


def baselines(rows: WindowRows, day_before: WindowRows, config: StreamConfig, reference: Reference | None) -> Baselines:
    """Each baseline's prediction for every row.

    Args:
        day_before: rows of the 24 hours before the window.
        reference: its labels give the constant baseline of a task's own KPI; None: there is none.
    """
    found = {"fallback": rows.baselines}
    if config.task == "classification" and not Scoring(config).sure_only:
        times, labels = (np.concatenate([getattr(side, name) for side in (day_before, rows)]) for name in ("times", "labels"))
        found["no_change"] = trivial.previous(labels)[len(day_before) :]
        found["same_time_yesterday"] = trivial.day_earlier(labels, times)[len(day_before) :]
    if reference is not None and len(reference) and not config.measured_by.chosen:
        name = "majority" if config.task == "classification" else "median"
        found[name] = np.full(len(rows), _constant(reference, config))
    return found


def _constant(reference: Reference, config: StreamConfig) -> float:
    codes = Labels(config.labels).encode(reference.labels.tolist())
    known = codes[~np.isnan(codes)]
    return task.of(config.task).constant(known.astype(np.int64) if config.labels else known) if len(known) else math.nan


def kappa_temporal(rows: WindowRows, day_before: WindowRows, config: StreamConfig) -> float:
    """κ-temporal of the rows that a model answered, for which both errors are known; nan for a regression.

    Args:
        day_before: rows of the 24 hours before the window.
    """
    if config.task == "regression":
        return math.nan
    labels = np.concatenate([day_before.labels, rows.labels])
    copies = trivial.previous(labels)[len(day_before) :]
    costs, no_change = (_wrong(rows, answers)[rows.by_model] for answers in (rows.predictions, copies))
    both = ~np.isnan(costs) & ~np.isnan(no_change)
    shares = (1 - costs[both].mean(), 1 - no_change[both].mean()) if both.any() else (math.nan, math.nan)
    return kpi.kappa_temporal(accuracy=float(shares[0]), no_change=float(shares[1]))


def _wrong(rows: WindowRows, answers: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(rows.labels) | np.isnan(answers), np.nan, rows.labels != answers)


def in_sample(rows: WindowRows, reference: Reference | None) -> np.ndarray:
    """Which rows are not later than the model's training rows, (N,)."""
    if reference is None or not len(reference):
        return np.zeros(len(rows), bool)
    return rows.times <= reference.times[-1].astype("datetime64[ms]")


def judge(rows: WindowRows, version: str, config: StreamConfig, reference: Reference | None, told: Baselines, *, alpha: float) -> JudgedVersion:
    """Let the rule judge the rows that a version answered; only those after its training rows, if there are any.

    Args:
        told: losses of the baselines, (N,) each.
        alpha: false-alarm rate of the rule.
    """
    costs = errors(rows, config)
    mine = rows.by_model & (rows.versions == version) & judging.known(costs)
    old = in_sample(rows, reference)
    fresh = mine & ~old
    at = np.flatnonzero(fresh if fresh.any() else mine)
    whole = not fresh.any() and len(at) > 0
    rule = Scoring(replace(config, alpha=alpha)).rule(probation=False)  # each window starts over
    if reference is not None and len(reference):
        before = Scoring(config).of_reference(reference)
        rule.prepare(before[judging.known(before)][-REFERENCE_BLOCKS * config.block_size :], block_size=config.block_size)
    verdict: Verdict | None = None
    seen: list[_Seen] = []
    for part in cut(at, config.block_size, most=JUDGED):
        newest = rule.update(costs[part])
        verdict = verdict if verdict and verdict.drift else newest
        seen.append(_Seen(part, verdict.drift, newest.statistic / newest.threshold))
    blocks = tuple(_drawn(rows, [seen[number] for number in group], costs, told, config) for group in cut(np.arange(len(seen)), 1, most=DRAWN))
    return JudgedVersion(version, at, blocks, verdict, bool(verdict and verdict.drift), whole)


def cut(at: np.ndarray, size: int, *, most: int) -> list[np.ndarray]:
    """Split into at most `most` runs of at least `size` neighbours without a remainder; fewer than `size` make one run.

    >>> [len(part) for part in cut(np.arange(10), 3, most=100)], len(cut(np.arange(10), 1, most=4)), cut(np.arange(0), 3, most=4)
    ([3, 3, 4], 4, [])
    """
    parts = max(1, min(len(at) // size, most))
    return np.array_split(at, np.arange(1, parts) * len(at) // parts) if len(at) else []


@dataclass(frozen=True, eq=False)
class _Seen:
    """A judged block: indices of its rows, whether the rule has alarmed so far, and its evidence."""

    rows: np.ndarray
    drift: bool
    evidence: float


def _drawn(rows: WindowRows, group: Sequence[_Seen], costs: np.ndarray, told: Baselines, config: StreamConfig) -> BlockMeasure:
    at, last, scoring = np.concatenate([block.rows for block in group]), group[-1], Scoring(config)
    compared = {name: scoring.value(costs_of[at]) for name, costs_of in told.items()}
    first_time, last_time = map(moment, rows.times[at[[0, -1]]])
    return BlockMeasure(first_time, last_time, rows.versions[at[0]], interval(costs[at], config), compared, last.drift, float(last.evidence))


def versions(rows: WindowRows, config: StreamConfig, references: Mapping[str, Reference]) -> tuple[VersionMeasure, ...]:
    """The model versions that answered, in the order of their first row."""
    costs, found = errors(rows, config), []
    for version in names(rows):
        at = np.flatnonzero(rows.by_model & (rows.versions == version))
        reference = references.get(version)
        old = int(in_sample(rows[at], reference).sum())
        run_id = reference.about.run_id if reference else ""
        labelled = int(rows.labelled[at].sum())
        first, last = map(moment, rows.times[at[[0, -1]]])
        found.append(VersionMeasure(version, run_id, len(at), labelled, old, first, last, interval(costs[at], config)))
    return tuple(found)


def names(rows: WindowRows) -> list[str]:
    """The model versions that answered, in the order of their first row."""
    return list(dict.fromkeys(rows.versions[rows.by_model].tolist()))


def labels(rows: WindowRows, age: LabelAge) -> LabelMeasure:
    """How many labels have arrived, and how late; `rows` are without those that are not mature."""
    late = ((rows.labelled_at - rows.times) / _DAY)[rows.labelled]
    late = late[~np.isnan(late)]
    days = {"median": float(np.median(late)), "p95": float(np.quantile(late, 0.95)), "most": float(late.max())} if len(late) else {}
    return LabelMeasure(len(rows), int(rows.labelled.sum()), days, age.delay.total_seconds(), int(age.immature.sum()), age.early)


def latency(rows: WindowRows) -> dict[str, float]:
    """Milliseconds for an answer; {} without any: backfilled rows have no latency."""
    known = rows.latency_ms[rows.latency_ms > 0]
    return {name: float(np.quantile(known, share)) for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))} if len(known) else {}


def estimate(rows: WindowRows, config: StreamConfig, judged: JudgedVersion | None) -> str:
    """The estimated KPI of the rows without labels, with the error of such estimates on the window itself; "" without rows."""
    if not len(rows):
        return ""
    outputs = rows.probabilities if config.task == "classification" else rows.predictions[:, None]
    sure = ~np.isnan(outputs).any(axis=1)
    mine = sure & rows.by_model & (rows.versions == (judged.version if judged else ""))
    if config.task == "regression":
        outputs = outputs[:, 0]
    kpi_of_rows = row_kpi.of_task(config.measured_by, unit=config.unit)
    if kpi_of_rows is None:
        return f"Cannot tell: there is no estimate of the {config.measured_by.loss_words}."
    label_free, possible = LabelFree(kpi_of_rows, coded=[one.coded for one in config.features]), rows.possible
    places = judged.rows[sure[judged.rows]] if judged else np.empty(0, np.int64)
    parts = cut(places, config.block_size, most=DRAWN)
    for part in parts:
        label_free.learn(outputs[part], rows.labels[part], possible[part])
    open_rows = mine & ~rows.labelled
    asked = np.flatnonzero(open_rows) if open_rows.any() else parts[-1] if parts else np.empty(0, np.int64)
    told = label_free.estimate(outputs[asked], possible[asked]).message
    return f"{f'{len(asked):,} rows without labels' if open_rows.any() else 'All rows have labels; latest block'}: {told}."


def forecast(rows: WindowRows, judged: Sequence[JudgedVersion], config: StreamConfig, stop: str) -> ForecastMeasure:
    """When the latest version's KPI will cross the threshold, counted from the window's end."""
    nothing = ForecastMeasure(math.nan, math.nan, math.nan, "", "", "")
    if not judged or not judged[-1].blocks:
        return replace(nothing, message="no forecast: no labelled blocks")
    if fault := goal_scores.fault(config.goal):
        return replace(nothing, message=fault)
    blocks, costs = judged[-1].blocks, errors(rows, config)
    before = [version_record.lifetime(_scores(one, costs), config) for one in judged[:-1] if one.blocks]
    found = version_record.predict(_scores(judged[-1], costs), config, before)
    if found is None:
        return replace(nothing, message=f"no forecast: {len(blocks)} blocks are too few")
    pace = (parse_time(blocks[-1].last_time) - parse_time(blocks[0].first_time)) / len(blocks)
    early, late = (time_text(parse_time(stop) + pace * ahead)[:10] if math.isfinite(ahead) else "" for ahead in (found.early, found.late))
    return ForecastMeasure(found.early, found.middle, found.late, early, late, found.message)


def _scores(one: JudgedVersion, costs: np.ndarray) -> list[BlockKpi]:
    """The blocks of a version as the monitor keeps them."""
    parts = np.split(costs[one.rows], np.cumsum([block.kpi.rows for block in one.blocks])[:-1])
    return [
        BlockKpi(block.kpi.value, block.kpi.rows, block.first_time, block.last_time, float(part.var())) for block, part in zip(one.blocks, parts, strict=True)
    ]


def moment(when: np.datetime64) -> str:
    """The time as the log writes it."""
    return f"{when.astype('datetime64[ms]')}Z"
