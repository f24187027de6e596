"""Tests whether a window's inputs have moved: beyond sampling noise, and beyond the usual variation between stretches of the training rows.

A feature has moved only if its distance rejects two null hypotheses, so the false-alarm rate is at most that of either test:

    noise    the same rows in permuted blocks (`monitoring.online.input_tests`): more than sampling noise, autocorrelation included?
    wobble   training stretches as long as the window, each against the rest (`driftloop.drift.inputs.spans`): more than the seasonal variation?

A window within the training rows is compared with the training rows outside it, like the stretches; one that covers them all with nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from driftloop.data.schema.schema import Column, shown
from driftloop.drift.inputs import levels, shift_words, spans
from driftloop.drift.inputs.dependence import told
from driftloop.drift.inputs.distribution import FeatureTest, holm
from driftloop.drift.inputs.spans import ColumnSpans, Spans
from driftloop.training.reference import Reference
from monitoring.batch.measures.level_shares import MOST_NAMED, LevelShares
from monitoring.batch.measures.window_measures import FeatureMeasure, Window
from monitoring.batch.measures.window_rows import WindowRows, thinned
from monitoring.features import Feature
from monitoring.online import input_tests
from monitoring.stream_settings import StreamConfig

STATISTIC: Final = "ks"
NO_REFERENCE: Final = "no training reference: not compared"
MOST_VALUES: Final = 24  # of a feature that are plotted individually


@dataclass(frozen=True, eq=False)
class _Stretches:
    """What the window is compared with: training days outside it, and stretches of these as long as the window."""

    spans: Spans
    allowed: np.ndarray  # (days,)
    slices: Sequence[slice]


def compare(
    rows: WindowRows,
    config: StreamConfig,
    window: Window,
    reference: Reference,
    *,
    alpha: float,
    columns: Sequence[Column] = (),
    known: Sequence[int] = (),
) -> tuple[FeatureMeasure, ...]:
    """Every feature against the training reference, those that moved most first.

    Args:
        reference: fitting the stream; see `monitoring.references.fitting`.
        alpha: chance that any feature is said to have moved when none has.
        columns: what the features hold, by default numbers that are there or left out; see `input_tests.compare`.
        known: the codes that the model has learned of each category.
    """
    possible = rows.possible
    chosen = thinned(len(possible), input_tests.MOST_ROWS)
    names, many = config.feature_names, max(1, len(chosen))
    noise = input_tests.compare(reference.rows, possible[chosen], names=names, alpha=alpha, rows=many, columns=columns, known=known)
    stretches = _stretches(reference, window, rows.times, columns)
    if not stretches.allowed.any():
        return without_reference(rows, config, columns=columns, known=known, why="the window covers all training rows: not compared")
    level = alpha / len(config.features)
    about = _About.each(possible, reference, columns, known)
    found = [_Found.of(stretches, at, about[at], noise[at], level) for at in range(len(config.features))]
    corrected = holm([one.p for one in found])
    made = [_measure(*given, alpha=alpha) for given in zip(config.features, found, corrected, rows.features.T, strict=True)]
    return tuple(sorted(made, key=lambda one: (not one.moved, -one.distance if not math.isnan(one.distance) else 1, one.feature)))


def without_reference(
    rows: WindowRows, config: StreamConfig, *, columns: Sequence[Column] = (), known: Sequence[int] = (), why: str = NO_REFERENCE
) -> tuple[FeatureMeasure, ...]:
    """The features of a window without a reference: only the counts of missing and new values; the arguments as for `compare`."""
    missing = np.isnan(rows.features).sum(axis=0)
    nan = math.nan
    found = []
    for at, (one, many) in enumerate(zip(config.features, missing, strict=True)):
        coded = bool(columns) and levels.are_levels(columns[at])
        made = FeatureMeasure(one.name, STATISTIC, nan, nan, nan, nan, nan, False, int(many), one.categorical or coded, (), (), (), f"{one.name}: {why}")
        if columns:
            unseen = int(np.count_nonzero(rows.features[:, at] >= known[at])) if known[at] else 0
            made = replace(made, missing_now=int(many) / len(rows) if len(rows) else nan, unseen=unseen)
        found.append(made)
    return tuple(found)


def message(tests: Sequence[FeatureMeasure], *, alpha: float) -> str:
    """The result of all tests, in one or two sentences."""
    moved = [test for test in tests if test.moved]
    untold = [test for test in tests if math.isnan(test.corrected)]
    usual = "" if any(not math.isnan(test.p_wobble) for test in tests) else " The usual variation between such stretches is unknown: only noise was tested."
    if moved:
        farthest = shift_words.listed(_moved(test) for test in moved[:3])
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return f"The inputs moved: {farthest}{more}; at most {100 * alpha:g} % of windows without drift are reported as moved.{usual}"
    if len(untold) == len(tests):
        return "The inputs were not tested: no reference, or too few rows."
    rest = f"; too little data on {', '.join(test.feature for test in untold)}" if untold else ""
    return f"The inputs did not move beyond noise{'' if usual else ' and the usual variation'}{rest}."


def _moved(test: FeatureMeasure) -> str:
    if test.words:
        return f"{shown(test.feature)}: {test.words}"
    return f"{test.feature} ({test.statistic.upper()} {test.distance:.3f}{_most(test)})"


def _most(test: FeatureMeasure) -> str:
    return "" if math.isnan(test.usual) else f"; usual up to {test.usual:.3f}"


def _stretches(reference: Reference, window: Window, times: np.ndarray, columns: Sequence[Column]) -> _Stretches:
    """Of a window with rows at these times: where they begin late or end early, the days before and after are no part of it."""
    known = reference.spans or spans.of_rows(reference.times, reference.rows, columns=columns)
    start, stop = (times.min(), times.max() + np.timedelta64(1, "ms")) if len(times) else window.bounds
    days = math.ceil((stop - start) / np.timedelta64(1, "D"))
    allowed = known.outside(start, stop)
    # Parts of a day differ from each other by the hour: days say nothing of how far they usually lie apart.
    return _Stretches(known, allowed, known.stretches(days, allowed) if window.days >= 1 else ())


@dataclass(frozen=True, eq=False)
class _About:
    """A feature of the window, and what it holds to the model."""

    values: np.ndarray  # (N,) in the model's codes; nan where missing or impossible
    column: Column | None  # None: numbers, and values that are missing are no matter of the model
    known: int  # codes that the model has learned; 0: all
    missing: float  # share of the reference's rows without a value

    @classmethod
    def each(cls, possible: np.ndarray, reference: Reference, columns: Sequence[Column], known: Sequence[int]) -> list[_About]:
        if not columns:
            return [cls(values, None, 0, math.nan) for values in possible.T]
        missing = np.isnan(reference.rows).mean(axis=0) if len(reference) else np.full(len(columns), math.nan)
        return [cls(values, columns[at], known[at] if known else 0, float(missing[at])) for at, values in enumerate(possible.T)]


@dataclass(frozen=True, eq=False)
class _Found:
    """One feature: its distance, the usual one, both p-values, and its bins with the counts of both sides."""

    distance: float
    usual: float
    p_noise: float  # of what is farthest beyond both nulls: the values, or the missing or new ones; corrected for how many were asked for
    p_wobble: float
    far: str  # the distance of the values, and what moved: "KS 0.123", "TV 0.180 (diesel 40 % → 22 %)", "KS 0.012 (missing 2 % → 14 %)"
    words: str  # what is in brackets
    column: ColumnSpans
    before: np.ndarray  # (B + 1,)
    now: np.ndarray  # (B + 1,)
    levels: LevelShares | None = None  # of a category or boolean
    missing: tuple[float, float] = (math.nan, math.nan)  # share of the training rows and of the window's without a value

    @property
    def p(self) -> float:
        return _both(self.p_noise, self.p_wobble)

    @staticmethod
    def of(stretches: _Stretches, at: int, about: _About, noise: FeatureTest, level: float) -> _Found:
        column, values = stretches.spans.columns[at], about.values
        before, now = column.counts[stretches.allowed].sum(axis=0), column.counted(values)
        distance = spans.apart(now, before, category=column.category)
        others = spans.usual(column, stretches.slices, stretches.allowed)
        chance = spans.chance(distance, others, rows=int(now.sum()), level=level)
        usual = float(others.max()) if len(others) else math.nan
        far = "no values" if math.isnan(distance) else f"{STATISTIC.upper()} {distance:.3f}"
        if about.column is None:
            return _Found(distance, usual, noise.p_value, chance, far, "", column, before, now)
        asked = len(noise.aspects)
        chances = {"values": lambda: chance} | {name: functools.partial(_CHANCES[name], stretches, column, values, level / asked) for name in _CHANCES}
        pairs = [(_times(asked, one.p_value), _times(asked, chances[one.name]()), one.name) for one in noise.aspects]
        pairs.sort(key=lambda pair: (math.isnan(pair[0]), _both(*pair[:2]) if not math.isnan(pair[0]) else 0.0))
        told = [pairs[0][2], *(name for *both, name in pairs[1:] if _both(*both) <= level)]
        shares = LevelShares.of(about.column, column, stretches.allowed, values, known=about.known) if levels.are_levels(about.column) else None
        missing = _share_missing(column, stretches.allowed, about), float(np.isnan(values).mean()) if len(values) else math.nan
        far, words = _told(told, distance, shares, missing)
        return _Found(distance, usual, *pairs[0][:2], far, words, column, before, now, shares, missing)


def _both(noise: float, wobble: float) -> float:
    return noise if math.isnan(wobble) else max(noise, wobble)


def _share_missing(column: ColumnSpans, allowed: np.ndarray, about: _About) -> float:
    """Share of the training rows without a value; of the newest ones where the others were not counted."""
    if column.missing is None:
        return about.missing
    absent, there = column.missing[allowed].sum(), column.counts[allowed].sum()
    return float(absent / (absent + there)) if absent + there else math.nan


def _told(aspects: Sequence[str], distance: float, shares: LevelShares | None, missing: tuple[float, float]) -> tuple[str, str]:
    """How far these aspects of a feature are apart, in words with the distance of the values and without."""
    again = shares is not None and shares.moved_by_new and "unseen" in aspects
    each = {
        "values": shares.words if shares and not again else "",
        "missing": "" if any(map(math.isnan, missing)) else shift_words.missing(*missing),
        "unseen": shares.new_words if shares else "",
    }
    words = "; ".join(filter(None, (each[name] for name in aspects)))
    apart = "no values" if math.isnan(distance) else f"{'TV' if shares else STATISTIC.upper()} {distance:.3f}"
    return f"{apart} ({words})" if words else apart, words


def _times(questions: int, p: float) -> float:
    """Bonferroni's correction; nan stays nan."""
    return p if math.isnan(p) else min(1.0, questions * p)


def _missing_chance(stretches: _Stretches, column: ColumnSpans, values: np.ndarray, level: float) -> float:
    """Chance that one more stretch lacks as many values more, or fewer, than the training rows."""
    absences, absent = column.absences, np.isnan(values)
    if absences is None or not len(values):
        return math.nan
    now = np.array([(~absent).sum(), absent.sum()])
    distance = spans.apart(now, absences.counts[stretches.allowed].sum(axis=0), category=True)
    return spans.chance(distance, spans.usual(absences, stretches.slices, stretches.allowed), rows=len(values), level=level)


def _new_chance(stretches: _Stretches, column: ColumnSpans, values: np.ndarray, level: float) -> float:
    """Chance that one more stretch holds as many values that no other day has; nan where days do not say which of the rare ones they had."""
    there, days = values[~np.isnan(values)], column.counts[stretches.allowed].sum(axis=0)
    if not len(there) or days[-1]:
        return math.nan
    had = column.tops[days[:-1] > 0]
    share = float(1 - np.isin(there, had).mean())
    return spans.chance(share, spans.usually_new(column, stretches.slices, stretches.allowed), rows=len(there), level=level)


_CHANCES: Final = {"missing": _missing_chance, "unseen": _new_chance}


def _measure(feature: Feature, found: _Found, corrected: float, given: np.ndarray, *, alpha: float) -> FeatureMeasure:
    edges, before, now, names = _drawn(feature, found)
    moved = bool(corrected <= alpha)
    noise, season = ("cannot tell" if math.isnan(p) else told(p).removeprefix("p ") for p in (found.p_noise, found.p_wobble))
    statistic = "tv" if found.column.category else STATISTIC
    why = f"p (noise) {noise}, p (season) {season}"
    far = found.far if found.far == "no values" else f"{found.far}, {why}"  # nothing was tested then
    return FeatureMeasure(
        feature=feature.name,
        statistic=statistic,
        distance=found.distance,
        usual=found.usual,
        p_noise=found.p_noise,
        p_wobble=found.p_wobble,
        corrected=corrected,
        moved=moved,
        missing=int(np.isnan(given).sum()),
        categorical=feature.categorical or found.levels is not None,
        edges=edges,
        reference=before,
        current=now,
        message=f"{feature.name}: {far}{'; it moved' if moved else ''}",
        names=names,
        words=found.words,
        missing_before=found.missing[0],
        missing_now=found.missing[1],
        unseen=found.levels.unseen if found.levels else 0,
        new=found.levels.new if found.levels else (),
    )


def _drawn(feature: Feature, found: _Found) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """Bounds of the plotted bins, or the plotted categories, the share of both sides in each, and the categories' names."""
    if found.levels is not None:
        codes, names = found.levels.codes[:MOST_NAMED], found.levels.names[:MOST_NAMED]
        before, now = found.levels.before[:MOST_NAMED], found.levels.now[:MOST_NAMED]
        return tuple(codes.astype(np.float64).tolist()), tuple(before.tolist()), tuple(now.tolist()), names
    tops = found.column.tops.astype(np.float64)
    before, now = (counts / max(counts.sum(), 1) for counts in (found.before, found.now))
    if feature.categorical and len(tops):
        most = np.argsort(-(before + now)[: len(tops)], kind="stable")[:MOST_VALUES]
        return tuple(tops[most].tolist()), tuple(before[most].tolist()), tuple(now[most].tolist()), ()
    if not len(tops):
        return (), (), (), ()
    inner = found.column.drawn.astype(np.float64) if len(found.column.drawn) else tops[:: math.ceil(len(tops) / MOST_VALUES)][:-1]
    ends = np.searchsorted(tops, inner, side="right")  # bins up to each inner bound
    parts = [np.add.reduceat(side, np.concatenate([[0], ends])) if len(inner) else np.array([side.sum()]) for side in (before, now)]
    low, high = (edge if math.isinf(limit) else beyond(edge, limit) for beyond, edge, limit in ((min, tops[0], feature.low), (max, tops[-1], feature.high)))
    if len(found.column.drawn) > 1:  # the outermost bins are plotted as wide as the others and hold all values beyond
        low, high = 2 * inner[0] - inner[1], 2 * inner[-1] - inner[-2]
    return (float(low), *inner.tolist(), float(high)), tuple(parts[0].tolist()), tuple(parts[1].tolist()), ()
